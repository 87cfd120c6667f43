//! Which services are started, restarted and stopped.

use super::Step;
use super::bundles::Bundles;
use super::goal::{Goal, Warm, WorkerGoal};
use super::rolling::{Rolling, Standing};
use crate::fingerprint;
use crate::layout::{
    GATEWAY_SERVICE, GATEWAY_SOCKETS, Layout, WAKE_PATH, WARM_SERVICE, WORKER_SERVICE,
};
use crate::limits;
use crate::observation::{Host, ServiceFact};
use crate::render::units;

fn active<'a>(host: &'a Host, unit: &str) -> &'a str {
    let fact = host.services.get(unit);
    fact.map_or("inactive", |fact| fact.active.as_str())
}

fn is_outdated(host: &Host, unit: &str) -> bool {
    let fact = host.services.get(unit);
    fact.is_some_and(|fact| fact.outdated)
}

fn enable(host: &Host, unit: &str) -> Option<Step> {
    let fact: Option<&ServiceFact> = host.services.get(unit);
    fact.is_none_or(|fact| fact.enabled != "enabled")
        .then(|| Step::EnableUnit {
            unit: unit.to_owned(),
        })
}

fn start(unit: &str) -> Step {
    Step::StartUnit {
        unit: unit.to_owned(),
    }
}

fn restart(unit: &str, reason: &str) -> Step {
    Step::RestartUnit {
        unit: unit.to_owned(),
        reason: reason.to_owned(),
    }
}

/// What watches the gateway's state.
pub(super) fn wake(host: &Host, changed: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = enable(host, WAKE_PATH).into_iter().collect();
    match active(host, WAKE_PATH) {
        "active" | "activating" | "reloading" => {
            if changed || is_outdated(host, WAKE_PATH) {
                steps.push(restart(WAKE_PATH, "its definition changed"));
            }
        }
        _ => steps.push(start(WAKE_PATH)),
    }
    steps
}

/// The gateway, its sockets first.
///
/// A new program or a changed unit restarts the service alone: its sockets stay, and whoever
/// connects meanwhile waits. Only a socket that has to listen elsewhere, or does not listen yet, is
/// restarted. systemd refuses to start one beside its running service, so the service is part of
/// it: it ends first and starts again once the socket listens, all by one restart of the socket.
///
/// A socket that failed is left alone: somebody else has its port, which the gateway finds as well
/// and says, and restarting the gateway in every hook would not help. The gateway wants its
/// sockets, so its next start tries again.
pub(super) fn gateway(host: &Host, changed: impl Fn(&str) -> bool) -> Vec<Step> {
    let mut steps: Vec<Step> = GATEWAY_SOCKETS
        .iter()
        .chain([&GATEWAY_SERVICE])
        .filter_map(|unit| enable(host, unit))
        .collect();
    let service = active(host, GATEWAY_SERVICE);
    let runs = matches!(service, "active" | "activating" | "reloading");
    let mut moved = false;
    for socket in GATEWAY_SOCKETS {
        let state = active(host, socket);
        let elsewhere = changed(socket) || is_outdated(host, socket);
        if elsewhere && (state == "active" || runs) {
            steps.push(restart(socket, "it listens elsewhere"));
        } else if state == "inactive" && runs {
            steps.push(restart(socket, "it does not listen yet"));
        } else if state != "active" && (elsewhere || state == "inactive") {
            steps.push(start(socket));
            continue;
        } else {
            continue;
        }
        moved = true;
    }
    let renewed =
        changed(GATEWAY_SERVICE) || !host.gateway_installed || is_outdated(host, GATEWAY_SERVICE);
    match (runs, service) {
        (true, _) if renewed && !moved => {
            steps.push(restart(GATEWAY_SERVICE, "a new release"));
        }
        (true, _) => {}
        (false, _) => steps.push(start(GATEWAY_SERVICE)),
    }
    steps
}

/// The archive of the classes of a worker that is well, for its next start. One that could not be
/// made is tried again for another Java or Kafka only.
pub(super) fn warm(host: &Host, warm: &Warm, layout: &Layout) -> Option<Step> {
    let note = host.files.get(&layout.class_archive_key());
    let tried = [warm.key.clone(), units::not_archived(&warm.key)];
    let is_noted = |text: &String| {
        note.is_some_and(|file| file.sha256 == fingerprint::sha256(text.as_bytes()))
    };
    if tried.iter().any(is_noted) {
        return None;
    }
    match active(host, WARM_SERVICE) {
        "active" | "activating" | "deactivating" => None,
        _ => Some(start(WARM_SERVICE)),
    }
}

/// The worker: started, restarted in its turn, or stopped with Kafka's credentials taken away.
pub(super) fn worker(
    host: &Host,
    goal: &Goal,
    bundles: &Bundles,
    standing: Standing,
    rolling: &Rolling,
    layout: &Layout,
) -> Vec<Step> {
    let unit = || WORKER_SERVICE.to_owned();
    match &goal.worker {
        WorkerGoal::Keep => Vec::new(),
        WorkerGoal::Run { .. } if bundles.is_coming() => {
            // Whatever is being fetched is wanted by the next start: one start instead of two.
            Vec::new()
        }
        WorkerGoal::Run { .. } => match standing {
            Standing::Down => vec![Step::StartUnit { unit: unit() }],
            Standing::Outdated if rolling.may_restart => vec![Step::RestartUnit {
                unit: unit(),
                reason: "what it was started with is out of date".to_owned(),
            }],
            // Between two attempts with something that is not wanted any more.
            Standing::InBetween if rolling.restarts_now => vec![Step::RestartUnit {
                unit: unit(),
                reason: "what it cannot start with was taken back".to_owned(),
            }],
            Standing::Outdated
            | Standing::Fit
            | Standing::Unwell
            | Standing::InBetween
            | Standing::Unjudged => Vec::new(),
        },
        WorkerGoal::Stop => {
            let mut steps = Vec::new();
            if let Some(fact) = host.services.get(WORKER_SERVICE)
                && !matches!(fact.active.as_str(), "inactive" | "failed" | "deactivating")
            {
                steps.push(Step::StopUnit {
                    unit: unit(),
                    wait_s: limits::STOP_WAIT_S,
                });
            }
            for path in [
                layout.worker_properties(),
                layout.start_facts(),
                layout.kafka_trust_store(),
            ] {
                if host.files.contains_key(&path) {
                    steps.push(Step::RemoveFile { path });
                }
            }
            steps
        }
    }
}
