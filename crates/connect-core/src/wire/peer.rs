//! The databags of endpoint `workers`: JSON values, sorted keys, nothing secret.
//!
//! A value that cannot be read counts as not written: it was written by another release of this
//! charm, and its writer repairs it in its next hook.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::peer::{ApplicationData, UnitData};
use crate::observation::Databag;

const CLIENTS: &str = "clients";
const TOMBSTONES: &str = "tombstones";
const TURN: &str = "turn";
const TLS: &str = "tls";
const WAITING: &str = "waiting";
const WANTED_SINCE: &str = "wanted-since";
const SILENT: &str = "silent";
const PASSED: &str = "passed";
const RESTART: &str = "restart";
const INTERNAL: &str = "internal";
const OPERATORS: &str = "operators";
const GROUPS: &str = "groups";
const GENERATION: &str = "generation";
/// Keys of the application databag.
pub const APPLICATION_KEYS: [&str; 13] = [
    CLIENTS,
    TOMBSTONES,
    TURN,
    TLS,
    WAITING,
    WANTED_SINCE,
    SILENT,
    PASSED,
    RESTART,
    INTERNAL,
    OPERATORS,
    GROUPS,
    GENERATION,
];

const ADDRESS: &str = "address";
const PEER_ADDRESS: &str = "peer-address";
const PEER_ADDRESSES: &str = "peer-addresses";
const BUNDLES: &str = "bundles";
const SOURCES: &str = "sources";
/// Also read by whoever decides whether to ask Juju for the resource.
pub const RESOURCE: &str = "resource";
const LOADED: &str = "loaded";
const USERS: &str = "users";
const WANTS_TURN: &str = "wants-turn";
const TURN_DONE: &str = "turn-done";
const HEALTHY: &str = "healthy";
const UNWELL_SINCE: &str = "unwell-since";
const CAUSE: &str = "cause";
const ATTEMPT: &str = "attempt";
const GOOD: &str = "good";
const REJECTED: &str = "rejected";
const REJECTED_BUNDLES: &str = "rejected-bundles";
const SUSPECTS: &str = "suspects";
const FAULTS: &str = "faults";
const VERSION: &str = "version";
const LEAVING: &str = "leaving";
/// Keys of a unit databag.
pub const UNIT_KEYS: [&str; 23] = [
    ADDRESS,
    PEER_ADDRESS,
    PEER_ADDRESSES,
    BUNDLES,
    SOURCES,
    RESOURCE,
    LOADED,
    USERS,
    WANTS_TURN,
    TURN_DONE,
    HEALTHY,
    UNWELL_SINCE,
    CAUSE,
    ATTEMPT,
    GOOD,
    REJECTED,
    REJECTED_BUNDLES,
    SUSPECTS,
    FAULTS,
    VERSION,
    TLS,
    INTERNAL,
    LEAVING,
];

/// Reads the application databag.
#[must_use]
pub fn read_application(bag: &Databag) -> ApplicationData {
    ApplicationData {
        clients: json(bag, CLIENTS).unwrap_or_default(),
        tombstones: json(bag, TOMBSTONES).unwrap_or_default(),
        turn: json(bag, TURN),
        tls: json(bag, TLS),
        waiting: json(bag, WAITING).unwrap_or_default(),
        wanted_since: json(bag, WANTED_SINCE),
        silent: json(bag, SILENT).unwrap_or_default(),
        passed: json(bag, PASSED).unwrap_or_default(),
        restart: plain(bag, RESTART),
        internal: json(bag, INTERNAL),
        operators: plain(bag, OPERATORS),
        groups: json(bag, GROUPS).unwrap_or_default(),
        generation: json(bag, GENERATION).unwrap_or_default(),
    }
}

/// Writes the application databag.
#[must_use]
pub fn write_application(data: &ApplicationData) -> Databag {
    let ApplicationData {
        clients,
        tombstones,
        turn,
        tls,
        waiting,
        wanted_since,
        silent,
        passed,
        restart,
        internal,
        operators,
        groups,
        generation,
    } = data;
    [
        (CLIENTS, (!clients.is_empty()).then(|| text(clients))),
        (
            TOMBSTONES,
            (!tombstones.is_empty()).then(|| text(tombstones)),
        ),
        (TURN, turn.as_ref().map(text)),
        (TLS, tls.as_ref().map(text)),
        (WAITING, map(waiting)),
        (WANTED_SINCE, wanted_since.map(|since| since.to_string())),
        (SILENT, map(silent)),
        (PASSED, (!passed.is_empty()).then(|| text(passed))),
        (RESTART, restart.clone()),
        (INTERNAL, internal.as_ref().map(text)),
        (OPERATORS, operators.clone()),
        (GROUPS, (!groups.is_empty()).then(|| text(groups))),
        (GENERATION, (*generation > 0).then(|| text(generation))),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

/// Reads a unit databag.
#[must_use]
pub fn read_unit(bag: &Databag) -> UnitData {
    let plain = |key: &str| plain(bag, key);
    UnitData {
        address: plain(ADDRESS),
        peer_address: plain(PEER_ADDRESS).and_then(|text| text.parse().ok()),
        peer_addresses: json(bag, PEER_ADDRESSES).unwrap_or_default(),
        bundles: json(bag, BUNDLES).unwrap_or_default(),
        sources: json(bag, SOURCES).unwrap_or_default(),
        resource: json(bag, RESOURCE),
        loaded: json(bag, LOADED).unwrap_or_default(),
        users: json(bag, USERS).unwrap_or_default(),
        wants_turn: plain(WANTS_TURN),
        turn_done: plain(TURN_DONE).and_then(|text| text.parse().ok()),
        healthy: plain(HEALTHY).is_some_and(|text| text == "true"),
        unwell_since: plain(UNWELL_SINCE).and_then(|text| text.parse().ok()),
        cause: plain(CAUSE),
        attempt: json(bag, ATTEMPT),
        good: json(bag, GOOD),
        rejected: json(bag, REJECTED),
        rejected_bundles: json(bag, REJECTED_BUNDLES).unwrap_or_default(),
        suspects: json(bag, SUSPECTS).unwrap_or_default(),
        faults: json(bag, FAULTS).unwrap_or_default(),
        version: plain(VERSION),
        tls: json(bag, TLS),
        internal: json(bag, INTERNAL),
        leaving: plain(LEAVING).is_some(),
    }
}

/// Writes a unit databag.
#[must_use]
pub fn write_unit(data: &UnitData) -> Databag {
    let UnitData {
        address,
        peer_address,
        peer_addresses,
        bundles,
        sources,
        resource,
        loaded,
        users,
        wants_turn,
        turn_done,
        healthy,
        unwell_since,
        cause,
        attempt,
        good,
        rejected,
        rejected_bundles,
        suspects,
        faults,
        version,
        tls,
        internal,
        leaving,
    } = data;
    [
        (ADDRESS, address.clone()),
        (
            PEER_ADDRESS,
            peer_address.map(|address| address.to_string()),
        ),
        (
            PEER_ADDRESSES,
            (!peer_addresses.is_empty()).then(|| text(peer_addresses)),
        ),
        (BUNDLES, map(bundles)),
        (SOURCES, map(sources)),
        (RESOURCE, resource.as_ref().map(text)),
        (LOADED, (!loaded.is_empty()).then(|| text(loaded))),
        (USERS, map(users)),
        (WANTS_TURN, wants_turn.clone()),
        (TURN_DONE, turn_done.map(|number| number.to_string())),
        (HEALTHY, Some(healthy.to_string())),
        (UNWELL_SINCE, unwell_since.map(|since| since.to_string())),
        (CAUSE, cause.clone()),
        (ATTEMPT, attempt.as_ref().map(text)),
        (GOOD, good.as_ref().map(text)),
        (REJECTED, rejected.as_ref().map(text)),
        (
            REJECTED_BUNDLES,
            (!rejected_bundles.is_empty()).then(|| text(rejected_bundles)),
        ),
        (SUSPECTS, (!suspects.is_empty()).then(|| text(suspects))),
        (FAULTS, map(faults)),
        (VERSION, version.clone()),
        (TLS, tls.as_ref().map(text)),
        (INTERNAL, internal.as_ref().map(text)),
        (LEAVING, leaving.then(|| "true".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

fn plain(bag: &Databag, key: &str) -> Option<String> {
    bag.get(key).filter(|value| !value.is_empty()).cloned()
}

fn json<T: DeserializeOwned>(bag: &Databag, key: &str) -> Option<T> {
    bag.get(key)
        .and_then(|text| serde_json::from_str(text).ok())
}

fn map<V: Serialize>(map: &BTreeMap<u32, V>) -> Option<String> {
    (!map.is_empty()).then(|| text(map))
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps with text or number keys always serialise")
}
