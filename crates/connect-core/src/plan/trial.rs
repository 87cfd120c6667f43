//! A worker that exits with something new: what is to blame, so that it can be taken back.
//!
//! **Assumptions.** Only what no worker of ours has run with can be to blame, and never while
//! brokers are: then nothing is judged. A worker exits if systemd had to start it again since it has
//! what it is started with, or if it is not healthy for [`limits::START_S`] seconds. Where several
//! plugins are new and the log names none, each is tried by itself (see [`super::bundles`]).

use std::collections::{BTreeMap, BTreeSet};

use super::goal::WorkerGoal;
use super::rolling::is_healthy;
use super::status::is_about_brokers;
use crate::fingerprint;
use crate::layout::{Layout, WORKER_SERVICE};
use crate::limits;
use crate::model::Model;
use crate::model::options::{self, Rejected};
use crate::model::peer::{Attempt, Peers};
use crate::status::shorten;

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New values of options.
    Options(Rejected),
    /// New plugins, by digest, with the cause. Of several each may be innocent.
    Bundles(BTreeMap<String, String>),
}

/// Digests of plugins that a worker of ours ran with, or that clients were told of.
#[must_use]
pub(super) fn proven(peers: &Peers) -> BTreeSet<String> {
    let units = std::iter::once(&peers.ours).chain(peers.others.values());
    let ran = units.flat_map(|unit| {
        let good = unit.good.iter().flat_map(|good| &good.plugins);
        good.chain(&unit.loaded)
    });
    let told = peers
        .application
        .clients
        .values()
        .map(|client| &client.digest);
    ran.chain(told)
        .filter(|digest| !digest.is_empty())
        .cloned()
        .collect()
}

/// The start that our worker has not succeeded in yet: of what is wanted, and nothing else.
#[must_use]
pub(super) fn attempt(model: &Model<'_>, goal: &WorkerGoal, layout: &Layout) -> Option<Attempt> {
    let WorkerGoal::Run { files, .. } = goal else {
        return None;
    };
    let peers = model.peers.as_ref()?;
    let with = fingerprint::sha256(files.last()?.content.expose());
    let next = model.seen.host.files.get(&layout.start_facts())?;
    if next.sha256 != with || is_healthy(model) {
        return None;
    }
    let before = peers.ours.attempt.as_ref();
    // Written in this very hook, it is another start than one with the same that was before it.
    let written = format!("write {}", layout.start_facts());
    let is_new = model.seen.done.contains(&written);
    let same = before.filter(|before| before.with == with && !is_new);
    let service = model.seen.host.services.get(WORKER_SERVICE);
    let restarts = service.map_or(0, |service| service.restarts);
    Some(Attempt {
        with,
        since: same.map_or(model.seen.now, |same| same.since),
        // Whatever ended before was started with something else. A start of ours counts from zero.
        restarts: same.map_or(restarts, |same| same.restarts.min(restarts)),
    })
}

/// Judges our worker.
#[must_use]
pub(super) fn judge(
    model: &Model<'_>,
    goal: &WorkerGoal,
    attempt: Option<&Attempt>,
) -> Option<Verdict> {
    let WorkerGoal::Run { facts, .. } = goal else {
        return None;
    };
    let peers = model.peers.as_ref()?;
    if !exits(model, attempt?) {
        return None;
    }
    let cause = match &model.seen.host.worker_log_cause {
        Some(cause) if is_about_brokers(cause) => return None,
        Some(cause) => shorten(cause, limits::CAUSE_LENGTH),
        None => "its process ends, and its log does not say why".to_owned(),
    };
    let values = options::of(&model.options);
    let good = match options::proof(&values, peers) {
        (true, _) | (false, None) => None,
        (false, Some(good)) => Some(good),
    };
    let proven = proven(peers);
    let new: BTreeSet<&String> = facts.plugins.difference(&proven).collect();
    let of_option = ["ConfigException", "for configuration", "configuration `"];
    let blames_option = of_option.iter().any(|words| cause.contains(words));
    match good {
        Some(good) if new.is_empty() || blames_option => Some(Verdict::Options(Rejected {
            fingerprint: options::fingerprint(&values),
            options: options::blame(good, &values, &cause),
            cause,
        })),
        // An option from the very start: there is nothing to go back to, and no plugin is to blame.
        None if blames_option => None,
        Some(_) | None if new.is_empty() => None,
        Some(_) | None => {
            let named = |digest: &&&String| cause.contains(digest.as_str());
            let guilty: Vec<&&String> = if new.iter().any(|digest| named(&digest)) {
                new.iter().filter(named).collect()
            } else {
                new.iter().collect()
            };
            let guilty = guilty
                .into_iter()
                .map(|digest| ((*digest).clone(), cause.clone()));
            Some(Verdict::Bundles(guilty.collect()))
        }
    }
}

fn exits(model: &Model<'_>, attempt: &Attempt) -> bool {
    let seen = model.seen;
    let Some(service) = seen.host.services.get(WORKER_SERVICE) else {
        return false;
    };
    let by_us = |verb: &str| seen.done.contains(&format!("{verb} {WORKER_SERVICE}"));
    if by_us("start") || by_us("restart") {
        return false;
    }
    let again = service.restarts > attempt.restarts || service.active == "failed";
    let late = attempt.since.saturating_add(limits::START_S) <= seen.now;
    matches!(service.active.as_str(), "active" | "activating" | "failed") && (again || late)
}
