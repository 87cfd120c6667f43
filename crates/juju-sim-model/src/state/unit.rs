//! Units: status, addresses, storage, and what a unit's agent knows of its relations.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Life, PortRange};

/// A workload, application or agent status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Juju's own words, see `juju status`")]
pub enum Status {
    #[default]
    Unknown,
    Maintenance,
    Blocked,
    Waiting,
    Active,
    Error,
    Terminated,
    Allocating,
    Executing,
    Idle,
    Failed,
    Lost,
}

impl Status {
    /// As Juju writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Maintenance => "maintenance",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Error => "error",
            Self::Terminated => "terminated",
            Self::Allocating => "allocating",
            Self::Executing => "executing",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A status with its words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusRow {
    /// The status.
    pub status: Status,
    /// The message.
    #[serde(default)]
    pub message: String,
    /// Further data, as for a failed hook.
    #[serde(default)]
    pub data: BTreeMap<String, serde_json::Value>,
    /// When it was set, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub since_ms: u64,
}

/// One unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Alive, or being removed.
    pub life: Life,
    /// The machine's id; units on one machine share its ports.
    pub machine: String,
    /// The unit beside which a subordinate lives.
    pub principal: Option<String>,
    /// Workload status; absent until something set it.
    pub status: Option<StatusRow>,
    /// The agent's own status.
    pub agent_status: StatusRow,
    /// Past workload statuses, oldest first; the driver may cut it.
    pub history: Vec<StatusRow>,
    /// Charm state (`state-set`).
    pub state: BTreeMap<String, String>,
    /// Open ports by endpoint; the empty name stands for all endpoints.
    pub ports: BTreeMap<String, BTreeSet<PortRange>>,
    /// Storage in the controller's order.
    pub storage: Vec<StorageInstance>,
    /// What the unit's agent knows, by relation. A unit enters every known relation when install
    /// has been committed.
    pub relations: BTreeMap<u32, RelationView>,
    /// Network by binding.
    pub bindings: BTreeMap<String, Network>,
    /// The network of every binding that `bindings` does not name, if any.
    pub default_network: Option<Network>,
    /// `unit-get private-address`; empty when unknown.
    pub private_address: String,
    /// `unit-get public-address`; empty when unknown.
    pub public_address: String,
    /// `JUJU_AVAILABILITY_ZONE`.
    pub availability_zone: String,
    /// The workload version this unit set last.
    pub workload_version: String,
}

impl Unit {
    /// A new unit on a machine.
    #[must_use]
    pub fn new(name: &str, machine: &str) -> Self {
        Self {
            name: name.to_owned(),
            machine: machine.to_owned(),
            ..Self::default()
        }
    }

    /// The network of a binding.
    #[must_use]
    pub fn network(&self, binding: &str) -> Option<&Network> {
        self.bindings.get(binding).or(self.default_network.as_ref())
    }
}

/// What a unit's agent knows of one relation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelationView {
    /// relation-created has run.
    pub created: bool,
    /// Remote units whose relation-joined has run and whose relation-departed has not.
    pub members: BTreeMap<String, MemberView>,
    /// The member whose relation-changed must follow its relation-joined.
    pub changed_pending: Option<String>,
    /// The version of each application databag that a relation-changed has told of; absent means
    /// none yet.
    pub application_versions: BTreeMap<String, u64>,
    /// relation-broken has run: the agent knows the relation no more.
    pub broken: bool,
    /// `relation-ids` omits it: the relation is dying, or suspended without members.
    pub unlisted: bool,
}

/// What an agent knows of a remote unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberView {
    /// The bag's version that the last hook told of.
    pub version: u64,
    /// The bag as it was first read since that hook; kept from hook to hook.
    pub frozen: Option<BTreeMap<String, String>>,
}

/// The kind of a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// Mounted.
    #[default]
    Filesystem,
    /// A device.
    Block,
}

/// A storage instance of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageInstance {
    /// `plugins/0`.
    pub id: String,
    /// Filesystem or block.
    pub kind: StorageKind,
    /// Mount point or device.
    pub location: String,
    /// Being detached, or not.
    pub life: Life,
    /// Why it cannot be read yet, as the controller says it.
    pub error: Option<String>,
    /// storage-attached has run.
    pub attached: bool,
}

/// What `network-get` knows of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Interfaces with their addresses.
    pub interfaces: Vec<Interface>,
    /// Where others reach the unit.
    pub ingress: Vec<String>,
    /// Where the unit's traffic comes from.
    pub egress: Vec<String>,
    /// What the controller answers instead.
    pub error: Option<String>,
}

impl Network {
    /// One interface with one address, reached and seen under that address.
    #[must_use]
    pub fn simple(interface: &str, mac: &str, address: &str, cidr: &str) -> Self {
        let bits = if address.contains(':') { 128 } else { 32 };
        Self {
            interfaces: vec![Interface {
                mac: mac.to_owned(),
                name: interface.to_owned(),
                addresses: vec![BindAddress {
                    hostname: String::new(),
                    value: address.to_owned(),
                    cidr: cidr.to_owned(),
                }],
            }],
            ingress: vec![address.to_owned()],
            egress: vec![format!("{address}/{bits}")],
            error: None,
        }
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// MAC address.
    pub mac: String,
    /// Device name.
    pub name: String,
    /// Addresses.
    pub addresses: Vec<BindAddress>,
}

/// An address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindAddress {
    /// Often empty.
    pub hostname: String,
    /// The address.
    pub value: String,
    /// Its subnet.
    pub cidr: String,
}
