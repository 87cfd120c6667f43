//! What the units of our application tell each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::options::{Good, Rejected};
use crate::observation::{Databag, Hook, Observation, RelationId};
use crate::plan::RelationKey;
use crate::wire;

/// Stands in `bundles` for a client that brings no plugin.
pub const NO_BUNDLE: &str = "none";

/// The peer relation, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// The relation.
    pub relation: RelationKey,
    /// What the leader says.
    pub application: ApplicationData,
    /// What we said last.
    pub ours: UnitData,
    /// What the other units say, by unit number; without one that is leaving.
    pub others: BTreeMap<u32, UnitData>,
}

/// The application databag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationData {
    /// Clients that have credentials.
    pub clients: BTreeMap<RelationId, KnownClient>,
    /// Clients that are gone and whose connectors may not be.
    pub tombstones: BTreeMap<RelationId, Tombstone>,
    /// Who may restart.
    pub turn: Option<Turn>,
    /// TLS towards clients; absent when it never was on or is over.
    pub tls: Option<ApplicationTls>,
    /// Since when, in seconds since the epoch, a client waits for units.
    pub waiting: BTreeMap<RelationId, u64>,
    /// Since when, in seconds since the epoch, somebody wants a turn.
    pub wanted_since: Option<u64>,
    /// Since when, in seconds since the epoch, the leader cannot reach a unit or has heard nothing
    /// of it, by unit number.
    pub silent: BTreeMap<u32, u64>,
    /// Units that the operator has the roll pass over, until they are well again.
    pub passed: BTreeSet<u32>,
    /// The operator's newest request that every worker restarts: the action's id.
    pub restart: Option<String>,
    /// The internal user and CA, and how far their rotation has come.
    pub internal: Option<InternalRotation>,
    /// The operators' users, as [`crate::model::operators::Operators::generation`] names them.
    pub operators: Option<String>,
    /// Groups, with their topics, that workers of ours may join: nobody else was in them, or the
    /// operator said to adopt them. Only those that options name; a derived one is ours anyway.
    pub groups: BTreeSet<String>,
    /// Rises with every change of the others.
    pub generation: u64,
}

/// What clients were told about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationTls {
    /// Their endpoints are https.
    pub enabled: bool,
    /// Since when, in seconds since the epoch; both protocols are served for a while.
    pub since: u64,
    /// The CAs they were told to trust, by fingerprint, and since when.
    #[serde(default)]
    pub authorities: BTreeMap<String, u64>,
}

/// A unit's certificate. Nothing here is secret: it is shown to everybody who connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitTls {
    /// PEM of the certificate and its issuers: what the client door presents, or is to present.
    pub chain: String,
    /// PEM of the CAs to trust for it.
    pub authorities: Vec<String>,
    /// PEM of the CAs to trust besides: of the certificate before, until the new one is presented,
    /// and of the next one, which waits until clients know them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// The gateway presents that certificate.
    pub https: bool,
    /// The gateway answers http as well.
    pub plain: bool,
}

/// A rotation of the internal user and CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalRotation {
    /// When those in use were made, in seconds since the epoch.
    pub made: u64,
    /// Rises with each rotation.
    #[serde(default)]
    pub number: u64,
    /// What units are to do; absent when nothing is being rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// What units do in a rotation of the internal user and CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Accept the next ones besides.
    Trust,
    /// Present the next ones, and accept the old ones besides.
    Use,
}

/// How far a unit has come in a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reached {
    /// Which rotation.
    pub number: u64,
    /// What it has done.
    pub phase: Phase,
}

/// A client with credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownClient {
    /// Its application.
    pub application: String,
    /// Fingerprint of the credential it is to use.
    pub user: String,
    /// SHA-256 (hex) of its password, from which every unit knows its user without asking Juju for
    /// the secret; empty if an older release of this charm wrote the entry. As little to somebody
    /// without the password as that of `old`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// Digest of its bundle, empty for none.
    pub digest: String,
    /// Fingerprint of the credential that is going to replace it: look up the `next` secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Units that it is served without: they were not ready when everybody had waited long enough.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub late: BTreeSet<u32>,
    /// The password before the last rotation, still accepted. Only its SHA-256 is here, which is
    /// as good as nothing to somebody without the password: it has more than 190 random bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<OldPassword>,
}

/// A password on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldPassword {
    /// Lower-case hex SHA-256.
    pub sha256: String,
    /// When it stops working, in seconds since the epoch.
    pub until: u64,
}

/// A client that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its application.
    pub application: String,
}

/// A turn to restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Rises with each turn.
    pub number: u64,
    /// Names of the units whose turn it is.
    pub units: Vec<String>,
    /// No connector existed when it was granted, so nothing is lost if others join it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joinable: bool,
    /// Why the unit wanted it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How many tasks of each connector ran in the whole group when it was granted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, u32>,
    /// The last rebalance, once everything else is as it was before the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm: Option<Calm>,
    /// When everything else was first as it was before the turn, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_since: Option<u64>,
    /// It is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// A group that may have come to rest: tasks move back a moment after everything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calm {
    /// Generation of the group.
    pub generation: u64,
    /// When it was seen first, in seconds since the epoch.
    pub since: u64,
}

/// A unit databag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitData {
    /// Where clients reach the unit; present once it has been fit for them.
    pub address: Option<String>,
    /// Where the other units reach it.
    pub peer_address: Option<IpAddr>,
    /// From where it may reach them: all addresses of its binding, and those before while its worker
    /// runs with one of them.
    pub peer_addresses: BTreeSet<IpAddr>,
    /// Digest of each client's bundle in its store, or [`NO_BUNDLE`].
    pub bundles: BTreeMap<RelationId, String>,
    /// Fingerprint of the URL that each of `bundles` came from.
    pub sources: BTreeMap<RelationId, String>,
    /// What it holds of resource `connect-plugin`.
    pub resource: Option<HeldResource>,
    /// Digests that its running worker proved to have loaded.
    pub loaded: BTreeSet<String>,
    /// Fingerprint of each client's credential that its gateway serves.
    pub users: BTreeMap<RelationId, String>,
    /// Why it wants to restart its worker, as a fingerprint.
    pub wants_turn: Option<String>,
    /// The turn it has completed last.
    pub turn_done: Option<u64>,
    /// Its worker answers 200 on `/health`.
    pub healthy: bool,
    /// Since when it is not, in seconds since the epoch.
    pub unwell_since: Option<u64>,
    /// Why it is not, as far as its log tells.
    pub cause: Option<String>,
    /// What its worker is being started with and was not healthy with yet.
    pub attempt: Option<Attempt>,
    /// What its worker ran well with last.
    pub good: Option<Good>,
    /// Values of options that its worker does not bear.
    pub rejected: Option<Rejected>,
    /// Plugins that stop its worker, by digest, with the cause.
    pub rejected_bundles: BTreeMap<String, String>,
    /// New plugins one of which stops its worker, each with the cause: to be tried one at a time.
    pub suspects: BTreeMap<String, String>,
    /// What is wrong with a client on this unit.
    pub faults: BTreeMap<RelationId, String>,
    /// Kafka version it runs.
    pub version: Option<String>,
    /// Its certificate for clients.
    pub tls: Option<UnitTls>,
    /// How far it has come in a rotation of the internal user and CA.
    pub internal: Option<Reached>,
    /// It is going away. Juju says so only while relations depart; remembered here, so that a
    /// relation broken later is not mistaken for a client that left.
    pub leaving: bool,
}

/// What a unit holds of the plugin that the operator attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldResource {
    /// Fingerprint of the file's identity on its machine.
    pub source: String,
    /// Digest, or [`NO_BUNDLE`].
    pub digest: String,
    /// Digest of the one before, until its worker has loaded this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// A start that has not succeeded yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Fingerprint of what the worker is started with.
    pub with: String,
    /// Since when, in seconds since the epoch.
    pub since: u64,
    /// How often systemd had started the worker again by then, with what was there before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl KnownClient {
    /// Whether all that users and answers need is here, so that nobody has to read its secret.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        // Whatever else somebody wrote there must not reach the gateway.
        self.sha256.len() == 64 && self.sha256.bytes().all(hex) && self.next.is_none()
    }
}

impl UnitData {
    /// Every address that is this unit's.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.peer_address
            .into_iter()
            .chain(self.peer_addresses.iter().copied())
    }
}

impl Peers {
    /// Parses the peer relation; absent before it exists.
    #[must_use]
    pub fn read(seen: &Observation) -> Option<Self> {
        let peers = seen.peers.as_ref()?;
        let leaving = match &seen.hook {
            Hook::RelationDeparted {
                endpoint,
                departing_unit,
                ..
            } if endpoint == wire::WORKERS => Some(departing_unit),
            Hook::RelationDeparted { .. }
            | Hook::Reconcile { .. }
            | Hook::Start
            | Hook::UpgradeCharm
            | Hook::UpdateStatus
            | Hook::RelationBroken { .. }
            | Hook::Leave
            | Hook::RestartRequested { .. }
            | Hook::RotateInternalRequested
            | Hook::RotateRequested { .. } => None,
        };
        // One that is removed together with us may say so when we cannot read it any more.
        let read = |unit: &String, bag: &Databag| {
            let mut data = wire::peer::read_unit(bag);
            data.leaving |= seen.dying.contains(unit);
            data
        };
        Some(Self {
            relation: RelationKey {
                endpoint: wire::WORKERS.to_owned(),
                id: peers.id,
            },
            application: wire::peer::read_application(&peers.application),
            ours: wire::peer::read_unit(&peers.ours),
            others: peers
                .others
                .iter()
                .filter(|(unit, _)| Some(*unit) != leaving)
                .filter_map(|(unit, bag)| Some((unit_number(unit)?, read(unit, bag))))
                .collect(),
        })
    }
}

/// The `3` of `kafka-connect/3`.
#[must_use]
pub fn unit_number(unit: &str) -> Option<u32> {
    unit.rsplit_once('/')
        .and_then(|(_, number)| number.parse().ok())
}
