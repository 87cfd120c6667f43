//! The internal user and CA, replaced while everything runs.
//!
//! **Flow.** The leader makes the next ones into a secret of their own and announces the rotation.
//! *Trust:* every unit lets peers in with either user and trusts both CAs. Once all say so, *use:*
//! every unit presents the next user, has its certificate from the next CA, and its worker restarts in
//! its turn, for a worker reads its user only then; a gateway in front of a worker that has not
//! restarted presents the other one. Once all say so, the next ones take the place of the old ones
//! in the first secret, and the old ones are forgotten.
//!
//! **Guarantees.** At any moment every door accepts whatever any unit presents. A unit that is away
//! holds the rotation where it is. **Assumptions.** A name is not used twice in a row, so that one
//! file can tell the users apart.

use super::goal::{FileGoal, GatewayGoal, Goal, WorkerGoal};
use super::rolling::Standing;
use crate::fingerprint;
use crate::layout::Layout;
use crate::model::peer::{Phase, Reached};
use crate::model::{Internal, Model};
use crate::wire::pem;

/// Name of the internal user; its successor takes the other one.
pub(crate) const USERS: [&str; 2] = ["internal", "internal-b"];

/// The name of the next internal user.
#[must_use]
pub fn next_username(now: Option<&Internal>) -> &'static str {
    match now {
        Some(internal) if internal.username == USERS[0] => USERS[1],
        Some(_) | None => USERS[0],
    }
}

/// The CAs that units trust one another by, PEM, in an order that a rotation does not change.
#[must_use]
pub fn authorities(model: &Model<'_>) -> String {
    let both = model.internal.iter().chain(&model.internal_other);
    let mut texts: Vec<&str> = both
        .map(|internal| internal.ca_certificate.as_str())
        .collect();
    texts.sort_unstable();
    texts.concat()
}

/// How far this unit has come in the rotation that the leader announced.
#[must_use]
pub fn reached(
    model: &Model<'_>,
    goal: &Goal,
    standing: Standing,
    layout: &Layout,
) -> Option<Reached> {
    let announced = model.peers.as_ref()?.application.internal.as_ref()?;
    let phase = announced.phase?;
    let reached = |phase| {
        let number = announced.number;
        Some(Reached { number, phase })
    };
    model.internal_other.as_ref()?;
    let gateway = goal.gateway.as_ref()?;
    if !trusts(model, gateway, goal, layout) {
        return None;
    }
    if phase == Phase::Use && uses(model, gateway, goal, standing) {
        return reached(Phase::Use);
    }
    reached(Phase::Trust)
}

fn on_disk(model: &Model<'_>, file: &FileGoal) -> bool {
    let fact = model.seen.host.files.get(&file.path);
    fact.is_some_and(|fact| fact.sha256 == fingerprint::sha256(file.content.expose()))
}

/// The gateway serves the newest settings and trusts both CAs, and so does the worker.
fn trusts(model: &Model<'_>, gateway: &GatewayGoal, goal: &Goal, layout: &Layout) -> bool {
    let Some(state) = &model.seen.host.gateway else {
        return false;
    };
    let serves = gateway.is_served(state, layout);
    let trusted = pem::certificates(&authorities(model))
        .iter()
        .all(|der| state.trusted_cas.contains(&fingerprint::sha256(der)));
    // The worker reads its trust store for each forwarded request.
    let worker = match &goal.worker {
        WorkerGoal::Run { live, .. } => live
            .iter()
            .filter(|file| file.path == layout.peer_trust_store())
            .all(|file| on_disk(model, file)),
        WorkerGoal::Stop => true,
        WorkerGoal::Keep => false,
    };
    serves && trusted && worker
}

/// The peer door presents the newest certificate, and the worker has started with the next user.
fn uses(model: &Model<'_>, gateway: &GatewayGoal, goal: &Goal, standing: Standing) -> bool {
    let host = &model.seen.host;
    let presented = host
        .gateway
        .as_ref()
        .and_then(|state| state.peer_certificate.as_ref());
    let door = gateway.certificate.is_none()
        && presented.is_some_and(|found| Some(&found.sha256) == host.peer_certificate.as_ref());
    door && (standing == Standing::Fit || matches!(goal.worker, WorkerGoal::Stop))
}
