//! All that persists: the model, and beside it what only this driver needs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use juju_sim_model::state::{Life, Model};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::resolver::{Memory, SecretEvent};
use crate::charm::Charm;
use crate::clock::Millis;

const FILE: &str = "model.json";

/// Everything that is written to `model.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) model: Model,
    /// What the dice of the agents start from.
    pub(crate) seed: u64,
    pub(crate) applications: BTreeMap<String, ApplicationExtra>,
    pub(crate) units: BTreeMap<String, UnitExtra>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    /// Lines of `commits.jsonl` so far.
    pub(crate) sequence: u64,
}

/// What the driver keeps of an application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ApplicationExtra {
    pub(crate) charm: Charm,
    /// Where the charm was deployed from, for a table.
    pub(crate) origin: String,
    /// Rises with every new charm or resource.
    pub(crate) charm_version: u64,
    /// Rises with every change of the options or of trust.
    pub(crate) config_version: u64,
    pub(crate) hidden: Vec<PathBuf>,
    /// Storage name to the number of instances a new unit gets.
    pub(crate) storage: BTreeMap<String, u32>,
}

/// What the driver keeps of a unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UnitExtra {
    pub(crate) memory: Memory,
    /// The charm directory that is unpacked in the machine, and its files.
    pub(crate) unpacked: Option<(String, Vec<String>)>,
    pub(crate) last_hook: Millis,
    /// Rises with every change of its addresses.
    #[serde(default)]
    pub(crate) address_version: u64,
    /// Failures of the same hook in a row.
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Millis>,
    /// When a secret hook that returns until it is handled was run last.
    #[serde(skip)]
    pub(crate) secret_hooks: BTreeMap<(SecretEvent, String, Option<u32>), Millis>,
    #[serde(skip)]
    pub(crate) running: bool,
    #[serde(skip)]
    pub(crate) fault: Option<Fault>,
    #[serde(skip)]
    pub(crate) ready: bool,
    /// Runs, hooks as well as tasks, for the dice.
    pub(crate) runs: u64,
}

/// A planned fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// At the n-th call, of this tool if one is named.
    KillAt {
        tool: Option<String>,
        n: u64,
    },
    LoseLeadership,
}

/// An action or a juju-exec command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) operation: u64,
    pub(crate) unit: String,
    pub(crate) kind: TaskKind,
    pub(crate) status: TaskStatus,
    pub(crate) message: String,
    pub(crate) results: Map<String, Value>,
    pub(crate) log: Vec<String>,
    pub(crate) enqueued: Millis,
    pub(crate) started: Millis,
    pub(crate) completed: Millis,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum TaskKind {
    Action {
        name: String,
        parameters: Map<String, Value>,
    },
    Exec {
        commands: String,
        relation: String,
        remote_unit: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Aborted,
}

impl TaskStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    pub(crate) fn over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

impl State {
    /// A fresh model.
    pub(crate) fn new(name: &str, uuid: &str, seed: u64) -> Self {
        Self {
            model: Model::new(uuid, name, crate::cli::JUJU_VERSION),
            seed,
            applications: BTreeMap::new(),
            units: BTreeMap::new(),
            tasks: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Reads the state of a model that ran before; nothing if there is none.
    pub(crate) fn load(model: &Path) -> io::Result<Option<Self>> {
        match fs::read(model.join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The state as [`State::write`] takes it.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Writes a state, whole or not at all. Only the owner may read it: it holds every secret.
    pub(crate) fn write(bytes: &[u8], model: &Path) -> io::Result<()> {
        let fresh = model.join("model.json.new");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(fresh, model.join(FILE))
    }

    /// Whether a unit is on its way out.
    pub(crate) fn dying(&self, unit: &str) -> bool {
        self.model
            .units
            .get(unit)
            .is_none_or(|unit| unit.life != Life::Alive)
    }

    /// A model option as a duration; zero is off.
    pub(crate) fn interval(&self, option: &str, default: u64) -> Millis {
        let given = self
            .model
            .config
            .get(option)
            .and_then(|text| crate::clock::duration(text));
        given.map_or(default, |given| {
            u64::try_from(given.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Takes away what nothing needs any more, and sees to it that every application has a leader.
    pub(crate) fn tidy(&mut self) {
        let over: Vec<u32> = self
            .model
            .relations
            .values()
            .filter(|relation| relation.life != Life::Alive && relation.in_scope.is_empty())
            .map(|relation| relation.id)
            .collect();
        for id in over {
            self.model.remove_relation(id);
        }
        let names: Vec<String> = self.model.applications.keys().cloned().collect();
        for name in names {
            self.elect(&name);
            let dying = self.model.applications[&name].life != Life::Alive;
            if dying && self.model.units_of(&name).is_empty() {
                self.forget_application(&name);
            }
        }
    }

    fn elect(&mut self, name: &str) {
        let units: Vec<String> = self
            .model
            .units_of(name)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let Some(application) = self.model.applications.get_mut(name) else {
            return;
        };
        if application
            .leader
            .as_ref()
            .is_none_or(|leader| !units.contains(leader))
        {
            let alive = |unit: &&String| self.model.units[*unit].life == Life::Alive;
            application.leader = units.iter().find(alive).or_else(|| units.first()).cloned();
        }
    }

    fn forget_application(&mut self, name: &str) {
        let relations: Vec<u32> = self.model.relations_of(name).map(|r| r.id).collect();
        let others = relations
            .iter()
            .any(|id| !self.model.relations[id].in_scope.is_empty());
        if others {
            return;
        }
        for id in relations {
            self.model.remove_relation(id);
        }
        self.model.applications.remove(name);
        self.applications.remove(name);
        let tag = format!("application-{name}");
        self.model
            .secrets
            .retain(|_, secret| secret.owner.application() != Some(name));
        for secret in self.model.secrets.values_mut() {
            secret.grants.retain(|grant| grant.target != tag);
        }
    }

    /// Ends the tasks whose processes ended with an earlier daemon.
    pub(crate) fn abort_running(&mut self) {
        for task in self
            .tasks
            .values_mut()
            .filter(|task| task.status == TaskStatus::Running)
        {
            task.status = TaskStatus::Aborted;
        }
    }

    /// Removes a unit that has run its last hook.
    pub(crate) fn bury(&mut self, unit: &str) {
        use juju_sim_model::state::SecretOwner;
        let relations: Vec<u32> = self.model.relations.keys().copied().collect();
        for id in relations {
            self.model.leave_scope(id, unit);
        }
        self.model.units.remove(unit);
        self.units.remove(unit);
        self.model
            .secrets
            .retain(|_, secret| secret.owner != SecretOwner::Unit(unit.to_owned()));
        for secret in self.model.secrets.values_mut() {
            secret.consumers.remove(unit);
        }
        for task in self
            .tasks
            .values_mut()
            .filter(|task| task.unit == unit && !task.status.over())
        {
            task.status = TaskStatus::Aborted;
        }
        self.tidy();
    }
}
