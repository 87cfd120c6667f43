//! What ran in a model, in the words of its own log: one line per finished hook, action or woken
//! round. Whoever reads it sees every round, also one whose traces the next has wiped.

use std::path::Path;

use serde::Deserialize;

/// A finished run.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    /// When it began, in milliseconds since the epoch.
    pub(super) start: u64,
    /// When its writes became visible, likewise.
    pub(super) end: u64,
    pub(super) unit: String,
    kind: String,
    pub(super) name: String,
    outcome: String,
    exit: i32,
    error: Option<String>,
    statuses: Vec<Shown>,
    commit: Option<Changes>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    of: String,
    status: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Changes {
    #[serde(default)]
    bags: Vec<Bag>,
}

#[derive(Debug, Deserialize)]
struct Bag {
    owner: String,
}

/// A unit's workload status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) state: String,
    pub(super) message: String,
}

/// A message as a status shows it: the charm cuts long ones at 120 characters.
fn cut(message: &str) -> String {
    if message.chars().count() <= 120 {
        return message.to_owned();
    }
    message.chars().take(119).chain(['…']).collect()
}

impl Status {
    /// A status as the charm would show it.
    pub(super) fn new(state: &str, message: &str) -> Self {
        Self {
            state: state.to_owned(),
            message: cut(message),
        }
    }
}

/// Everything that has finished so far, in order.
pub(super) fn read(path: &Path) -> Vec<Run> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Run {
    /// Whether it changed the databag of its unit's application.
    pub(super) fn wrote(&self) -> bool {
        let application = self.unit.split('/').next();
        let bags = self.commit.iter().flat_map(|changes| &changes.bags);
        bags.into_iter()
            .any(|bag| Some(bag.owner.as_str()) == application)
    }

    /// Fails the test unless the run ended well.
    pub(super) fn assert_good(&self) {
        let text = format!("{} {} of {}", self.kind, self.name, self.unit);
        assert_eq!(self.exit, 0, "{text}: {:?}", self.error);
        assert_eq!(self.outcome, "committed", "{text}");
    }
}

/// The status of a unit when the last of these runs had finished.
pub(super) fn status(runs: &[Run], unit: &str) -> Status {
    let mut shown = runs.iter().flat_map(|run| &run.statuses);
    let last = shown.rfind(|shown| shown.of == unit);
    last.map_or_else(Status::default, |shown| Status {
        state: shown.status.clone(),
        message: shown.message.clone(),
    })
}
