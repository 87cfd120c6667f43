//! What this unit can truthfully say of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::bundles::{self, Bundles};
use super::rolling::{Rolling, Standing, asked, is_healthy};
use super::tls::Door;
use super::trial::{self, Verdict};
use super::users::Users;
use crate::fingerprint;
use crate::layout::{GATEWAY_SERVICE, Layout};
use crate::limits;
use crate::model::Model;
use crate::model::options::{self, Good, Rejected};
use crate::model::peer::{Attempt, Peers, Reached, UnitData};
use crate::observation::RelationId;

/// Whether the gateway serves exactly the users that should be served, as it says itself.
#[must_use]
pub fn serves(model: &Model<'_>, users: Option<&Users>, layout: &Layout) -> bool {
    let host = &model.seen.host;
    let (Some(users), Some(gateway)) = (users, &host.gateway) else {
        return false;
    };
    let on_disk = host.files.get(&layout.gateway_users());
    gateway.users_generation == users.generation
        && on_disk.is_some_and(|fact| fact.sha256 == fingerprint::sha256(&users.bytes))
}

/// Whether the gateway's process runs.
#[must_use]
pub fn gateway_runs(model: &Model<'_>) -> bool {
    model
        .seen
        .host
        .services
        .get(GATEWAY_SERVICE)
        .is_some_and(|fact| fact.active == "active")
}

/// What this round knows already.
#[derive(Debug)]
pub struct Round<'a> {
    /// Bundles.
    pub bundles: &'a Bundles,
    /// The users file as it should be.
    pub users: Option<&'a Users>,
    /// The client door as it should be.
    pub door: &'a Door,
    /// How the worker stands.
    pub standing: Standing,
    /// Turns.
    pub rolling: &'a Rolling,
    /// How far the rotation of the internal user has come here.
    pub internal: Option<Reached>,
    /// The gateway's doors are open where they should be.
    pub doors: bool,
    /// The worker is not to run.
    pub stopped: bool,
    /// The start that has not succeeded yet.
    pub attempt: Option<&'a Attempt>,
    /// What the worker does not bear.
    pub verdict: Option<&'a Verdict>,
}

/// Our unit databag as it should be now.
#[must_use]
pub fn data(model: &Model<'_>, peers: &Peers, round: &Round<'_>, layout: &Layout) -> UnitData {
    let Round {
        bundles,
        users,
        door,
        standing,
        rolling,
        internal,
        doors,
        stopped,
        attempt,
        verdict,
    } = *round;
    let before = &peers.ours;
    let tls = door.data(model.seen, before.tls.as_ref());
    // A unit that clients have not been told of yet has to speak what they were told.
    let told = peers.application.tls.as_ref();
    let speaks = told.is_none_or(|told| !told.enabled) || tls.as_ref().is_some_and(|tls| tls.https);
    let host = &model.seen.host;
    let network = &model.seen.network;
    let serves = serves(model, users, layout);
    let loaded = bundles::loaded(model, &before.loaded);
    let fit = standing == Standing::Fit
        && serves
        && speaks
        && !bundles.is_coming()
        && bundles.wanted.is_subset(&loaded)
        && host
            .gateway
            .as_ref()
            .is_some_and(|gateway| gateway.client_door);
    // Once told to clients it stays: the gateways take over from each other.
    let address = match &before.address {
        None if !fit => None,
        // Where nobody listens yet, nobody is sent.
        Some(_) if !doors => before.address.clone(),
        Some(_) | None => {
            let found = network.client_ingress.clone();
            found.or_else(|| before.address.clone())
        }
    };
    // Asked for in this very hook: what answers now is on its way out.
    let ends = standing == Standing::Outdated && rolling.may_restart;
    let healthy = is_healthy(model) && !stopped && !ends;
    let version = model
        .seen
        .worker
        .known()
        .and_then(|worker| worker.version.clone());
    UnitData {
        address,
        peer_address: model.addresses.told.or(before.peer_address),
        peer_addresses: peer_addresses(model, before, standing),
        bundles: bundles
            .held
            .iter()
            .map(|(id, held)| (*id, held.digest.clone()))
            .collect(),
        sources: bundles
            .held
            .iter()
            .filter(|(_, held)| !held.source.is_empty())
            .map(|(id, held)| (*id, held.source.clone()))
            .collect(),
        resource: bundles.resource.clone(),
        loaded,
        users: known_users(users, serves, before),
        wants_turn: rolling.wants.clone(),
        turn_done: rolling.done,
        healthy,
        unwell_since: if healthy {
            None
        } else {
            before.unwell_since.or(Some(model.seen.now))
        },
        attempt: attempt.cloned(),
        good: if standing == Standing::Fit {
            host.started.as_ref().map(|started| Good {
                options: options::of(&model.options),
                plugins: started.plugins.clone(),
            })
        } else {
            before.good.clone()
        },
        rejected: rejected(model, before, standing, verdict),
        rejected_bundles: rejected_bundles(model, before, bundles, verdict),
        suspects: suspects(model, peers, bundles, verdict),
        cause: host
            .worker_log_cause
            .as_ref()
            .filter(|_| !healthy && !stopped)
            .map(|cause| crate::status::shorten(cause, limits::CAUSE_LENGTH)),
        faults: bundles.faults.clone(),
        version: version.or_else(|| before.version.clone()),
        tls,
        internal,
        leaving: model.seen.is_leaving(),
    }
}

/// Whom the gateway lets in, with which credential.
fn known_users(
    users: Option<&Users>,
    serves: bool,
    before: &UnitData,
) -> BTreeMap<RelationId, String> {
    match users {
        Some(users) if serves => users.fingerprints.clone(),
        // What was served before and should still be: the gateway drops nobody on its own.
        Some(users) => before
            .users
            .iter()
            .filter(|(id, fingerprint)| users.fingerprints.get(id) == Some(fingerprint))
            .map(|(id, fingerprint)| (*id, fingerprint.clone()))
            .collect(),
        None => before.users.clone(),
    }
}

/// Nothing but the one address that is told anyway is left out.
fn peer_addresses(model: &Model<'_>, before: &UnitData, standing: Standing) -> BTreeSet<IpAddr> {
    let now = model.addresses.of_peer();
    let mut all = now.clone();
    // Whatever else it is, the worker that runs may still be known by where it was.
    if standing != Standing::Fit || now.is_empty() {
        all.extend(before.addresses());
    }
    let told = model.addresses.told.or(before.peer_address);
    if all.len() == 1 && all.first() == told.as_ref() {
        all.clear();
    }
    all
}

/// An operator who asks for a restart of this unit has what was rejected tried again.
fn tries_again(model: &Model<'_>) -> bool {
    asked(model).is_some()
}

fn rejected(
    model: &Model<'_>,
    before: &UnitData,
    standing: Standing,
    verdict: Option<&Verdict>,
) -> Option<Rejected> {
    if let Some(Verdict::Options(rejected)) = verdict {
        return Some(rejected.clone());
    }
    let newest = options::fingerprint(&options::of(&model.seen.config));
    let runs_well =
        standing == Standing::Fit && options::fingerprint(&options::of(&model.options)) == newest;
    let rejected = before.rejected.as_ref();
    rejected
        .filter(|rejected| rejected.fingerprint == newest && !tries_again(model) && !runs_well)
        .cloned()
}

fn rejected_bundles(
    model: &Model<'_>,
    before: &UnitData,
    bundles: &Bundles,
    verdict: Option<&Verdict>,
) -> BTreeMap<String, String> {
    let mut rejected = before.rejected_bundles.clone();
    // A worker that was to blame itself, and runs well now with what was blamed.
    let runs_well = |digest: &String| {
        let started = model.seen.host.started.as_ref();
        is_healthy(model) && started.is_some_and(|started| started.plugins.contains(digest))
    };
    rejected
        .retain(|digest, _| bundles.is_held(digest) && !tries_again(model) && !runs_well(digest));
    if let Some(Verdict::Bundles(guilty)) = verdict
        && guilty.len() == 1
    {
        rejected.extend(guilty.clone());
    }
    rejected
}

fn suspects(
    model: &Model<'_>,
    peers: &Peers,
    bundles: &Bundles,
    verdict: Option<&Verdict>,
) -> BTreeMap<String, String> {
    let mut suspects = peers.ours.suspects.clone();
    let proven = trial::proven(peers);
    suspects.retain(|digest, _| {
        bundles.is_held(digest)
            && !proven.contains(digest)
            && bundles::rejected(peers, digest).is_none()
            && !tries_again(model)
    });
    if let Some(Verdict::Bundles(guilty)) = verdict {
        if guilty.len() > 1 {
            suspects.extend(guilty.clone());
        } else {
            suspects.retain(|digest, _| !guilty.contains_key(digest));
        }
    }
    suspects
}
