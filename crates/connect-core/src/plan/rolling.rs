//! Taking turns: workers of one group restart one after the other.
//!
//! **Flow.** A unit that has to restart a healthy worker says so (`wants-turn`). The leader grants
//! a numbered turn to one unit, or to all of them while no connector exists. The unit restarts in
//! the hook in which it sees its turn, and reports it done once the new process is healthy.
//!
//! **Guarantees.** While a turn is open no other is granted, so a worker that does not come back
//! stops the roll. A turn that was granted while no connector existed may be joined: the leader's
//! own worker may be the one that restarts, and then it cannot look again. A unit that is gone closes its turn. **Assumptions.** A first start, and the
//! restart of a worker that is down anyway, needs no turn: nothing can be lost.

use super::goal::WorkerGoal;
use crate::fingerprint;
use crate::layout::WORKER_SERVICE;
use crate::model::Model;
use crate::model::peer::{Peers, Turn, UnitData};
use crate::observation::{Hook, StartFacts};

const REQUEST: &str = "request-";

/// How our own worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It runs with what it should run with, and is healthy.
    Fit,
    /// It runs with what it should run with, and is not healthy.
    Unwell,
    /// It runs with something else.
    Outdated,
    /// It does not run.
    Down,
    /// systemd is starting or stopping it.
    InBetween,
    /// It should not run, or cannot be judged.
    Unjudged,
}

/// Judges our worker.
#[must_use]
pub fn standing(model: &Model<'_>, goal: &WorkerGoal) -> Standing {
    let WorkerGoal::Run { facts, .. } = goal else {
        return Standing::Unjudged;
    };
    let host = &model.seen.host;
    let active = host
        .services
        .get(WORKER_SERVICE)
        .map_or("inactive", |fact| fact.active.as_str());
    match active {
        "active" => {}
        "activating" | "deactivating" | "reloading" => return Standing::InBetween,
        _ => return Standing::Down,
    }
    match &host.started {
        Some(started) if satisfies(started, facts) => {
            if is_healthy(model) {
                Standing::Fit
            } else {
                Standing::Unwell
            }
        }
        Some(_) | None => Standing::Outdated,
    }
}

fn satisfies(started: &StartFacts, wanted: &StartFacts) -> bool {
    started.configuration == wanted.configuration
        && wanted.plugins.is_subset(&started.plugins)
        && (wanted.request.is_none() || started.request == wanted.request)
}

/// Whether our worker answers 200 on `/health`.
#[must_use]
pub fn is_healthy(model: &Model<'_>) -> bool {
    model
        .seen
        .worker
        .known()
        .is_some_and(|worker| worker.healthy)
}

/// The operator's request for a restart that the next start answers; once answered it stays in the
/// facts, so that their file does not change again.
#[must_use]
pub fn request(model: &Model<'_>) -> Option<String> {
    let answered = model
        .seen
        .host
        .started
        .as_ref()
        .and_then(|started| started.request.clone());
    if let Hook::RestartRequested { id } = &model.seen.hook {
        return Some(id.clone());
    }
    model
        .peers
        .as_ref()
        .and_then(|peers| peers.ours.wants_turn.as_deref())
        .and_then(|reason| reason.strip_prefix(REQUEST))
        .map(ToOwned::to_owned)
        .or(answered)
}

/// What to say and do about turns.
#[derive(Debug, Default)]
pub struct Rolling {
    /// `wants-turn`.
    pub wants: Option<String>,
    /// Whether an outdated worker may be restarted now.
    pub may_restart: bool,
    /// `turn-done`.
    pub done: Option<u64>,
}

/// Our own part.
#[must_use]
pub fn ours(model: &Model<'_>, goal: &WorkerGoal, standing: Standing) -> Rolling {
    let Some(peers) = &model.peers else {
        return Rolling::default();
    };
    let unit = model.seen.identity.unit();
    let open = peers
        .application
        .turn
        .as_ref()
        .filter(|turn| turn.units.contains(&unit) && peers.ours.turn_done != Some(turn.number));
    let alone = peers.others.is_empty();
    let was_down = !peers.ours.healthy && !is_healthy(model);
    let facts = match goal {
        WorkerGoal::Run { facts, .. } => Some(facts),
        WorkerGoal::Stop | WorkerGoal::Keep => None,
    };
    let done = match (open, standing) {
        (Some(turn), Standing::Fit) => Some(turn.number),
        // Nothing left to restart: the turn must not stay open for ever.
        (Some(turn), Standing::Unjudged) if matches!(goal, WorkerGoal::Stop) => Some(turn.number),
        _ => peers.ours.turn_done,
    };
    Rolling {
        wants: facts
            .filter(|_| standing == Standing::Outdated && !alone)
            .map(|facts| reason(facts, model)),
        may_restart: standing == Standing::Outdated && (alone || open.is_some() || was_down),
        done,
    }
}

fn reason(facts: &StartFacts, model: &Model<'_>) -> String {
    let answered = model
        .seen
        .host
        .started
        .as_ref()
        .and_then(|started| started.request.as_ref());
    match &facts.request {
        Some(id) if answered != Some(id) => format!("{REQUEST}{id}"),
        Some(_) | None => {
            let plugins: Vec<&str> = facts.plugins.iter().map(String::as_str).collect();
            fingerprint::short(format!("{}\n{}", facts.configuration, plugins.join(" ")).as_bytes())
        }
    }
}

/// The turn that the leader should announce: the open one, or the next.
#[must_use]
pub fn grant(model: &Model<'_>, peers: &Peers, now: &UnitData) -> Option<Turn> {
    let identity = &model.seen.identity;
    let current = peers.application.turn.clone();
    let unit = |number: u32| -> Option<&UnitData> {
        if number == identity.unit_number {
            Some(now)
        } else {
            peers.others.get(&number)
        }
    };
    let is_open = current.as_ref().is_some_and(|turn| {
        turn.units.iter().any(|name| {
            let data = crate::model::peer::unit_number(name).and_then(unit);
            data.is_some_and(|data| data.turn_done != Some(turn.number) || !data.healthy)
        })
    });
    let mut wanting: Vec<u32> = peers
        .others
        .iter()
        .filter(|(_, data)| data.wants_turn.is_some())
        .map(|(number, _)| *number)
        .collect();
    if now.wants_turn.is_some() {
        wanting.push(identity.unit_number);
    }
    let name = |number: &u32| format!("{}/{number}", identity.application);
    if is_open {
        let mut turn = current?;
        if turn.joinable {
            let joining = wanting.iter().map(name);
            let joining: Vec<String> = joining.filter(|unit| !turn.units.contains(unit)).collect();
            turn.units.extend(joining);
        }
        return Some(turn);
    }
    let nothing_to_lose = model
        .seen
        .worker
        .known()
        .filter(|worker| worker.healthy)
        .and_then(|worker| worker.connectors.as_ref())
        .is_some_and(std::collections::BTreeMap::is_empty);
    if !nothing_to_lose {
        wanting.truncate(1);
    }
    wanting.sort_unstable();
    if wanting.is_empty() {
        return current;
    }
    Some(Turn {
        number: current.map_or(0, |turn| turn.number).saturating_add(1),
        units: wanting.iter().map(name).collect(),
        joinable: nothing_to_lose,
    })
}
