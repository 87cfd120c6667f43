//! Which units are not well, and for how long: the leader's view.
//!
//! A unit says itself since when its worker is not healthy. Only of a unit that cannot be reached,
//! or that has never said anything, does the leader keep the time. For [`Config::unit_timeout_s`]
//! seconds such a unit holds back new clients and a roll; after that it is *lost*: it leaves the
//! endpoints and holds back nobody, until it is well again.
//!
//! [`Config::unit_timeout_s`]: crate::model::config::Config::unit_timeout_s

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::limits;
use crate::model::Model;
use crate::model::config::Config;
use crate::model::peer::{Peers, UnitData, unit_number};
use crate::observation::Observation;
use crate::wire;

/// How the units are that stay.
#[derive(Debug, Default)]
pub struct Watch {
    /// Units whose worker is not healthy, or whom the leader cannot reach.
    pub unwell: BTreeSet<u32>,
    /// Units whose peer door takes no connection.
    pub unreachable: BTreeSet<u32>,
    /// Units that were unwell for too long.
    pub lost: BTreeSet<u32>,
    /// Units that the operator has the roll pass over.
    pub passed: BTreeSet<u32>,
    /// `silent`, as it should be.
    pub silent: BTreeMap<u32, u64>,
    /// When the next one is lost, in seconds from now.
    pub wake_after_s: Option<u64>,
}

/// The units that stay, ours included, as they say of themselves.
#[must_use]
pub fn units<'a>(
    model: &Model<'_>,
    peers: &'a Peers,
    now: &'a UnitData,
) -> BTreeMap<u32, &'a UnitData> {
    let ours = std::iter::once((model.seen.identity.unit_number, now));
    let others = peers.others.iter().map(|(number, unit)| (*number, unit));
    ours.chain(others)
        .filter(|(_, unit)| !unit.leaving)
        .collect()
}

/// Where the leader tries the other units' peer doors. A unit that has not said where its door is,
/// is not tried; nor is any while an option cannot be used, for the doors then stay where they were.
#[must_use]
pub fn doors(seen: &Observation) -> BTreeMap<String, SocketAddr> {
    let (config, problems) = Config::read(&seen.config, &seen.identity);
    let Some(peers) = seen
        .peers
        .as_ref()
        .filter(|_| seen.leader && problems.is_empty())
    else {
        return BTreeMap::new();
    };
    let others = peers.others.iter();
    others
        .filter_map(|(unit, bag)| {
            let address = wire::peer::read_unit(bag).peer_address?;
            Some((unit.clone(), SocketAddr::new(address, config.peer_port)))
        })
        .collect()
}

/// Looks at the units. `force` passes over those that are unwell now.
#[must_use]
pub fn look(model: &Model<'_>, peers: &Peers, now: &UnitData, force: bool) -> Watch {
    let seen = model.seen;
    let mut watch = Watch {
        unreachable: seen
            .unreachable
            .iter()
            .filter_map(|name| unit_number(name))
            .collect(),
        ..Watch::default()
    };
    for (number, unit) in units(model, peers, now) {
        let unreachable = watch.unreachable.contains(&number);
        if unit.healthy && !unreachable {
            continue;
        }
        watch.unwell.insert(number);
        if force || peers.application.passed.contains(&number) {
            watch.passed.insert(number);
        }
        if unreachable || unit.unwell_since.is_none() {
            let since = peers.application.silent.get(&number).copied();
            watch.silent.insert(number, since.unwrap_or(seen.now));
        }
        let since = [unit.unwell_since, watch.silent.get(&number).copied()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(seen.now);
        let end = since.saturating_add(model.config.unit_timeout_s);
        if end <= seen.now {
            watch.lost.insert(number);
        } else {
            let wait = (end - seen.now).max(limits::NEXT_HOOK_S);
            watch.wake_after_s = Some(watch.wake_after_s.map_or(wait, |least| least.min(wait)));
        }
    }
    watch
}
