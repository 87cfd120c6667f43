//! The plain-data snapshot that [`crate::plan::plan`] receives.
//!
//! Everything here is a fact as it was read, not yet judged: strings are raw, *absent* and
//! *unreadable* are different values, and nothing was left out because somebody thought it
//! uninteresting. `src/observe/` of the charm fills it in a fixed order; the planner parses it
//! (`wire`, `model`). Maps are ordered so that a plan never depends on hashing.

mod asked;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::gateway;
use crate::secret::Secret;
use crate::wire;

pub use asked::{Asked, FailedFetch};

/// A databag as read: key to value.
pub type Databag = BTreeMap<String, String>;

/// A Juju relation id, the number in `connect-client:7`.
pub type RelationId = u32;

/// A reading that may be missing or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Reading<T> {
    /// Read.
    Known(T),
    /// Certainly not there.
    Absent,
    /// Could not be read; the text says why and holds no secret.
    Unreadable(String),
}

impl<T> Reading<T> {
    /// The value, if it was read.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// Everything known in one round of one hook.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// Why the hook runs.
    pub hook: Hook,
    /// Seconds since the Unix epoch, read once per hook.
    pub now: u64,
    /// Who and where we are.
    pub identity: Identity,
    /// Whether this unit leads its application (`is-leader`, asked once per hook).
    pub leader: bool,
    /// Config options as Juju gives them, defaults included; an option without value is absent.
    pub config: BTreeMap<String, ConfigValue>,
    /// The peer relation `workers`; absent before it exists.
    pub peers: Option<PeerRelation>,
    /// Relations on `kafka-client`, by id.
    pub kafka: BTreeMap<RelationId, KafkaRelation>,
    /// Relations on `connect-client`, by id.
    pub clients: BTreeMap<RelationId, ClientRelation>,
    /// Relations on `certificates`, by id.
    pub certificates: BTreeMap<RelationId, CertificatesRelation>,
    /// Relations on `receive-ca-cert`, by id.
    pub transfers: BTreeMap<RelationId, TransferRelation>,
    /// What the operator's secret holds that option `system-users` names: password by user name.
    /// Read by the leader only; absent without the option.
    pub operators: Reading<BTreeMap<String, Secret<String>>>,
    /// Secrets of ours, the application's and this unit's, that were looked up by label: those that
    /// [`crate::wire::labels::wanted`] names.
    pub secrets: BTreeMap<String, Reading<OwnSecret>>,
    /// Labels of the secrets that this very hook minted: usable now, kept only if it exits 0.
    pub minted: BTreeSet<String>,
    /// Addresses per binding.
    pub network: Network,
    /// Charm resources, by name; one that nobody looked for is not in it.
    pub resources: BTreeMap<String, Reading<Resource>>,
    /// This unit's ports opened now (`8083/tcp`).
    pub opened_ports: BTreeSet<String>,
    /// This machine.
    pub host: Host,
    /// Our own worker, as far as it answers; [`Reading::Absent`] when nothing was asked because
    /// the service is not running.
    pub worker: Reading<Worker>,
    /// Who is in the group that options name, as Kafka says; asked only when
    /// [`crate::plan::adoption::question`] wants to know, else [`Reading::Absent`].
    pub group: Reading<GroupFacts>,
    /// Names of other units whose peer door does not take a connection; looked at by the leader
    /// only.
    pub unreachable: BTreeSet<String>,
    /// Names of our application's units that Juju is about to remove; looked at by a leader that
    /// leaves.
    pub dying: BTreeSet<String>,
    /// What became of plugin bundles fetched in earlier rounds of this hook.
    pub fetched: BTreeMap<RelationId, Fetched>,
    /// What became of the plugin of resource `connect-plugin`, if it was looked into.
    pub admitted: Option<Fetched>,
    /// Steps that failed in earlier rounds of this hook, in order.
    pub failures: Vec<Failure>,
    /// Descriptions ([`crate::plan::Step::describe`]) of steps that succeeded in earlier rounds of
    /// this hook: a restart that systemd has only queued is not asked for twice.
    pub done: BTreeSet<String>,
    /// How many rounds of this hook came before this one.
    pub round: u32,
}

impl Observation {
    /// Whether this hook says that our own unit is going away, while clients may stay.
    fn tells_of_leaving(&self) -> bool {
        let parting = |relation: &ClientRelation| relation.life == Life::Parting;
        match &self.hook {
            Hook::RelationDeparted { departing_unit, .. } => {
                *departing_unit == self.identity.unit()
            }
            Hook::Leave => true,
            Hook::Reconcile { .. }
            | Hook::Start
            | Hook::UpgradeCharm
            | Hook::UpdateStatus
            | Hook::RelationBroken { .. }
            | Hook::RestartRequested { .. }
            | Hook::RotateInternalRequested
            | Hook::RotateRequested { .. } => self.clients.values().any(parting),
        }
    }

    /// Whether our own unit is going away, as this hook or one before it said.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let said = |peers: &PeerRelation| wire::peer::read_unit(&peers.ours).leaving;
        self.tells_of_leaving() || self.peers.as_ref().is_some_and(said)
    }
}

/// Why the hook runs, as far as a decision may depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Hook {
    /// Any hook whose name changes nothing: we reconcile.
    Reconcile {
        /// The hook's name, for the log.
        name: String,
    },
    /// `start`: also after a reboot.
    Start,
    /// `upgrade-charm`.
    UpgradeCharm,
    /// `update-status`.
    UpdateStatus,
    /// A relation of ours is being broken; it is marked `Leaving` in the observation.
    RelationBroken {
        /// Endpoint name.
        endpoint: String,
        /// Relation id.
        id: RelationId,
    },
    /// `<endpoint>-relation-departed`.
    RelationDeparted {
        /// Endpoint name.
        endpoint: String,
        /// Relation id.
        id: RelationId,
        /// The unit that leaves; our own name when we are the one.
        departing_unit: String,
    },
    /// `stop` or `remove`: our goal is to leave this machine.
    Leave,
    /// An operator asked for a restart (action `restart`).
    RestartRequested {
        /// The action's id, so that one request restarts once.
        id: String,
        /// Every worker, not only this one.
        all: bool,
        /// Pass over the units that hold up a roll.
        force: bool,
    },
    /// An operator asked for a new internal user and CA (action `rotate-credentials`).
    RotateInternalRequested,
    /// An operator asked for new credentials of one client (action `rotate-credentials`).
    RotateRequested {
        /// The client's relation id.
        relation: RelationId,
    },
}

impl Hook {
    /// What an operator asked for with the action `restart`: the request's id, all workers, pass over
    /// those that are not well.
    #[must_use]
    pub const fn restart(&self) -> Option<(&String, bool, bool)> {
        match self {
            Self::RestartRequested { id, all, force } => Some((id, *all, *force)),
            Self::Reconcile { .. }
            | Self::Start
            | Self::UpgradeCharm
            | Self::UpdateStatus
            | Self::RelationBroken { .. }
            | Self::RelationDeparted { .. }
            | Self::Leave
            | Self::RotateInternalRequested
            | Self::RotateRequested { .. } => None,
        }
    }
}

/// Who and where we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Model UUID.
    pub model_uuid: String,
    /// Application name.
    pub application: String,
    /// Our unit's number, the `0` in `kafka-connect/0`.
    pub unit_number: u32,
    /// Version text of this charm build.
    pub charm_version: String,
}

impl Identity {
    /// Our unit's name.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("{}/{}", self.application, self.unit_number)
    }
}

/// A config option's value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ConfigValue {
    /// A string, or a secret's URI.
    Text(String),
    /// An int.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// A float.
    Float(f64),
}

/// The peer relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerRelation {
    /// Relation id.
    pub id: RelationId,
    /// Application databag: written by the leader, read by every unit.
    pub application: Databag,
    /// Our unit's databag.
    pub ours: Databag,
    /// The other units' databags, by unit name.
    pub others: BTreeMap<String, Databag>,
}

/// Whether a relation is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Life {
    /// There.
    Live,
    /// Being broken in this hook and no longer listed: the relation itself is going away.
    Leaving,
    /// Being broken in this hook, yet `relation-ids` still lists it: only our own unit is going
    /// away, and the client stays with the other units.
    Parting,
}

/// A relation on `kafka-client`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaRelation {
    /// Whether it stays.
    pub life: Life,
    /// Remote application.
    pub application: String,
    /// What we wrote; absent on a unit that may not read it.
    pub ours: Option<Databag>,
    /// What Kafka wrote.
    pub theirs: Databag,
    /// Secrets named in `theirs` (`secret-user`, `secret-tls`), by databag key.
    pub secrets: BTreeMap<String, Reading<BTreeMap<String, Secret<String>>>>,
}

/// A relation on `connect-client`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientRelation {
    /// Whether it stays.
    pub life: Life,
    /// Remote application; empty if Juju does not say.
    pub application: String,
    /// What we answered; absent on a unit that may not read it.
    pub ours: Option<Databag>,
    /// What the client asked for.
    pub theirs: Databag,
}

/// A relation on `certificates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificatesRelation {
    /// Whether it stays.
    pub life: Life,
    /// What this unit wrote into its own databag.
    pub ours: Databag,
    /// What the provider wrote.
    pub theirs: Databag,
}

/// A relation on `receive-ca-cert`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransferRelation {
    /// Whether it stays.
    pub life: Life,
    /// What we wrote; absent on a unit that may not read it.
    pub ours: Option<Databag>,
    /// What the provider's application wrote.
    pub theirs: Databag,
    /// What its units wrote, by name; not asked for when the application's says it all.
    pub units: BTreeMap<String, Databag>,
}

/// A secret of ours as read by its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnSecret {
    /// Its URI, known to the leader only.
    pub uri: Option<String>,
    /// The newest content (`--peek`, or pending in this hook).
    pub content: BTreeMap<String, Secret<String>>,
}

/// Addresses per binding (`network-get`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Ingress address of `connect-client`: what clients are told.
    pub client_ingress: Option<String>,
    /// Bind addresses of `connect-client`.
    pub client_bind: Vec<IpAddr>,
    /// Bind addresses of `workers`: where other units reach us.
    pub peer_bind: Vec<IpAddr>,
}

/// A charm resource that was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Where Juju put it.
    pub path: String,
    /// Size; zero means "none" by convention.
    pub bytes: u64,
    /// A cheap identity of the content (size and modification time), for change detection.
    pub identity: String,
}

/// This machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Physical memory in MiB.
    pub memory_mib: u64,
    /// Path of a `java` of version 17 or newer that was found, with a fingerprint of its release.
    pub java: Option<(String, String)>,
    /// Names that the machine has: its host name, and the longer ones it knows for it.
    pub names: BTreeSet<String>,
    /// System users and groups of ours that exist.
    pub users: BTreeSet<String>,
    /// Workloads unpacked under [`crate::layout::Layout::workloads`]: directory name to Kafka
    /// version read from its `kafka-clients` or `connect-runtime` jar name.
    pub workloads: BTreeMap<String, String>,
    /// A JRE of ours unpacked under [`crate::layout::Layout::jres`], by directory name.
    pub jres: BTreeSet<String>,
    /// The gateway program installed from this very charm build.
    pub gateway_installed: bool,
    /// Our directories that exist, with mode and owner.
    pub directories: BTreeMap<String, FileFact>,
    /// Files we own (every path of `layout` that may hold one) that exist.
    pub files: BTreeMap<String, FileFact>,
    /// Our systemd units.
    pub services: BTreeMap<String, ServiceFact>,
    /// Plugin bundles in the store, by digest.
    pub bundles: BTreeMap<String, Bundle>,
    /// Digests whose bundle was taken off the plugin path but is still open in a running worker.
    pub retired: BTreeSet<String>,
    /// What came of asking for plugins, by the fingerprint of their URL.
    pub asked: BTreeMap<String, Asked>,
    /// Paths of what a step that was cut short left behind.
    pub debris: BTreeSet<String>,
    /// What the running worker process was started with; absent if it does not run.
    pub started: Option<StartFacts>,
    /// SHA-256 (hex) of this unit's certificate of the internal CA (DER), if it has one.
    pub peer_certificate: Option<String>,
    /// What the gateway says of itself.
    pub gateway: Option<gateway::State>,
    /// The last lines of the worker's log that carry a cause, after a start that failed.
    pub worker_log_cause: Option<String>,
    /// The group's last rebalance as our worker's log tells it.
    pub group: Option<Group>,
}

/// A rebalance of the Connect group, as every member logs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Rises with every rebalance.
    pub generation: u64,
    /// Host of the leader's advertised URL.
    pub leader: String,
    /// For how long, in milliseconds, the tasks of a worker that left stay with nobody.
    pub delay_ms: u64,
}

/// A group as Kafka knows it, before a worker of ours is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupFacts {
    /// Hosts of its members, as the broker sees them.
    pub members: BTreeSet<String>,
    /// Its config topic is there and something was written to it.
    pub written: bool,
}

/// A file or directory on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFact {
    /// Lower-case hex SHA-256 of the content; empty for a directory.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner's name, or the number as text.
    pub user: String,
    /// Group's name, or the number as text.
    pub group: String,
}

/// A systemd unit (`systemctl show`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceFact {
    /// `ActiveState`: active, inactive, failed, activating, deactivating.
    pub active: String,
    /// `UnitFileState`: enabled, disabled, static, or empty.
    pub enabled: String,
    /// Main process id, 0 if none.
    pub main_pid: u32,
    /// `NRestarts`.
    pub restarts: u32,
    /// The unit's file changed since systemd read it (`NeedDaemonReload`), where known.
    pub stale: bool,
    /// It runs since before its file, or the program it runs, became what they are: whoever changed
    /// them did not come to restart it.
    pub outdated: bool,
}

/// A bundle in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// Connector classes it offers; empty if it has no manifests.
    pub classes: BTreeSet<String>,
    /// Every jar that holds plugins has a ServiceLoader manifest.
    pub has_manifests: bool,
}

/// What a worker process was started with.
///
/// The charm writes it to [`crate::layout::Layout::start_facts`]; the service copies that file to
/// [`crate::layout::Layout::started`] just before the process starts, so the copy is a fact about
/// the running process even when systemd restarted it on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct StartFacts {
    /// Fingerprint of everything the process reads only at its start, plugins excepted.
    pub configuration: String,
    /// Digests of the bundles on its plugin path.
    pub plugins: BTreeSet<String>,
    /// The `RestartRequested` id this start answers, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Our own worker, over its loopback listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// `/health` answered 200.
    pub healthy: bool,
    /// Version from `GET /`.
    pub version: Option<String>,
    /// Classes from `/connector-plugins?connectorsOnly=false`; empty unless healthy.
    pub plugin_classes: BTreeSet<String>,
    /// From `/connectors?expand=info&expand=status`; absent unless healthy and answered.
    pub connectors: Option<BTreeMap<String, Connector>>,
}

/// A connector as the REST API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connector {
    /// Its owner tag ([`gateway::OWNER_KEY`]), if it carries one.
    pub owner: Option<String>,
    /// Connector state, such as RUNNING or FAILED.
    pub state: String,
    /// Tasks by number.
    pub tasks: BTreeMap<u32, Task>,
    /// First line of the trace of the connector or of its first failed task.
    pub trace: Option<String>,
}

/// A task as the REST API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Task {
    /// State, such as RUNNING: what was last written of it. A worker that dies writes nothing.
    pub state: String,
    /// `host:port` of the worker it was assigned to.
    pub worker: String,
}

/// What became of a bundle fetched in this hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Fetched {
    /// In the store.
    Stored {
        /// Its digest.
        digest: String,
    },
    /// A valid archive without any entry: the client brings no plugin.
    Empty,
    /// Refused or not reachable; one line, no secret.
    Failed {
        /// The reason.
        reason: String,
        /// Only a change of the content or of the terms helps.
        lasting: bool,
    },
}

/// A step that failed in this hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step's description, exactly as [`crate::plan::Step::describe`] gives it.
    pub step: String,
    /// The error chain in one line, no secret.
    pub reason: String,
    /// The client it belongs to, if it is one client's only.
    pub client: Option<RelationId>,
}
