//! Taking turns, each unit's own part: workers of one group restart one after the other.
//!
//! **Flow.** A unit that has to restart a healthy worker says so (`wants-turn`, all reasons in one).
//! The leader grants a numbered turn (see [`super::turns`]). The unit restarts in the hook in which
//! it sees its turn, and reports it done once the new process is healthy. Until its turn comes
//! nothing that a start reads is changed: a worker that dies meanwhile comes back as it was.
//!
//! **Assumptions.** A first start, and the restart of a worker that has been down for long, needs no
//! turn: nothing can be lost. One that does not answer for a moment is not down: while a member
//! restarts the others may wait for it, and answer nobody.
//! A start without a turn takes no plugin that no worker has run with, unless it is the Juju
//! leader's (see [`super::bundles`]).

use std::collections::BTreeSet;

use super::goal::WorkerGoal;
use crate::fingerprint;
use crate::layout::{Layout, WORKER_SERVICE};
use crate::limits;
use crate::model::Model;
use crate::observation::StartFacts;

/// Begins the reason of a restart that an operator asked for; the action's id follows.
const REQUEST: &str = "request-";
/// Begins the reason of a restart for plugins alone.
pub(super) const PLUGINS: &str = "plugins-";
/// Begins the reason of any other restart.
const CONFIGURATION: &str = "configuration-";

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

/// The restart that an operator asks for in this very hook. Passing over is no wish to restart.
#[must_use]
pub fn asked<'a>(model: &'a Model<'_>) -> Option<&'a String> {
    let (id, all, force) = model.seen.hook.restart()?;
    (all || !force).then_some(id)
}

/// The operator's newest request for a restart, which the next start answers; once answered it stays
/// in the facts, so that their file does not change again.
#[must_use]
pub fn request(model: &Model<'_>) -> Option<String> {
    let started = model.seen.host.started.as_ref();
    let answered = started.and_then(|started| started.request.clone());
    let asked = asked(model).cloned();
    let peers = model.peers.as_ref();
    let wanted = peers
        .and_then(|peers| peers.ours.wants_turn.as_deref())
        .and_then(|reason| reason.strip_prefix(REQUEST))
        .map(ToOwned::to_owned);
    let of_all = peers.and_then(|peers| peers.application.restart.clone());
    [asked, wanted, of_all, answered]
        .into_iter()
        .flatten()
        .reduce(newer)
}

/// Juju counts the actions of a model.
fn newer(one: String, other: String) -> String {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(first), Ok(second)) if second > first => other,
        _ => one,
    }
}

/// What to say and do about turns.
#[derive(Debug, Default)]
pub struct Rolling {
    /// `wants-turn`.
    pub wants: Option<String>,
    /// Whether an outdated worker may be restarted now.
    pub may_restart: bool,
    /// A worker that systemd keeps starting with something that is not wanted any more does not wait
    /// for its next attempt.
    pub restarts_now: bool,
    /// `turn-done`.
    pub done: Option<u64>,
}

/// Our own part.
#[must_use]
pub fn ours(model: &Model<'_>, goal: &WorkerGoal, standing: Standing, layout: &Layout) -> Rolling {
    let Some(peers) = &model.peers else {
        return Rolling::default();
    };
    let unit = model.seen.identity.unit();
    let open = peers
        .application
        .turn
        .as_ref()
        .filter(|turn| !turn.closed && turn.units.contains(&unit))
        .filter(|turn| peers.ours.turn_done != Some(turn.number));
    let alone = peers.others.is_empty();
    let unwell_s = peers
        .ours
        .unwell_since
        .map_or(0, |since| model.seen.now.saturating_sub(since));
    let was_down = unwell_s >= limits::DOWN_S && !is_healthy(model);
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
        restarts_now: attempts(model, goal, layout),
        done,
    }
}

/// Whether systemd is between two attempts to start what is not wanted any more.
fn attempts(model: &Model<'_>, goal: &WorkerGoal, layout: &Layout) -> bool {
    let WorkerGoal::Run { files, .. } = goal else {
        return false;
    };
    let host = &model.seen.host;
    let attempts = host
        .services
        .get(WORKER_SERVICE)
        .is_some_and(|fact| fact.active == "activating");
    let next = host.files.get(&layout.start_facts());
    let wanted = files
        .last()
        .map(|file| fingerprint::sha256(file.content.expose()));
    attempts && next.is_some() && next.map(|file| &file.sha256) != wanted.as_ref()
}

fn reason(facts: &StartFacts, model: &Model<'_>) -> String {
    let started = model.seen.host.started.as_ref();
    if let Some(id) = &facts.request
        && started.and_then(|started| started.request.as_ref()) != Some(id)
    {
        return format!("{REQUEST}{id}");
    }
    if started.is_some_and(|started| started.configuration == facts.configuration) {
        return for_plugins(&facts.plugins);
    }
    let text = format!("{}\n{}", facts.configuration, listed(&facts.plugins));
    format!("{CONFIGURATION}{}", fingerprint::short(text.as_bytes()))
}

/// The reason of a restart for these plugins alone: equal ones are for equal plugins.
pub(super) fn for_plugins(plugins: &BTreeSet<String>) -> String {
    let text = listed(plugins);
    format!("{PLUGINS}{}", fingerprint::short(text.as_bytes()))
}

fn listed(plugins: &BTreeSet<String>) -> String {
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    plugins.join(" ")
}
