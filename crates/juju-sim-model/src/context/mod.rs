//! One run of a charm: what it sees, what it has asked for, and what becomes of that.
//!
//! # Expected flow
//! [`HookContext::open`], [`environment`](HookContext::environment) for the process, then
//! [`call`](HookContext::call) for each hook tool it runs, and at its end
//! [`commit`](HookContext::commit) if it exited 0, else [`discard`](HookContext::discard).
//! [`drain_events`](HookContext::drain_events) gives the log lines in between.
//!
//! # Guarantees
//! Databags, ports, charm state, storage and secrets change in the model only at the commit.
//! Statuses, the workload version, leader settings, and what `secret-get` notes about its consumer
//! change at once. A remote unit's databag stays as it was first read until a joined or changed
//! hook of that unit; everything else is read once per run.
//!
//! # Assumptions
//! One context per unit at a time. The driver keeps [`RelationView`](crate::state::RelationView):
//! it adds a member after joined, removes it after departed, forgets the relation after broken.
//!
//! # Caveats
//! Up to Juju 3.6 secrets are committed before and apart from the rest, so a refused commit may
//! leave some of them behind.
//!
//! Contract: `runner/context` of Juju's uniter.

mod action;
mod commit;
mod commit_secrets;
mod environment;
mod events;
mod files;
mod ports;
mod relations;
mod secret_changes;
mod secret_read;
mod secrets;
mod spec;

use std::collections::BTreeMap;

use crate::go::Value;
use crate::state::{Model, StatusRow, StorageInstance, application_of};
use crate::tools;

pub use action::{ActionOutcome, ActionStatus};
pub use commit::{BagChange, BagKind, Commit, CommitError, PortChange};
pub use commit_secrets::{SecretChange, SecretEvent};
pub use environment::Host;
pub use events::{Event, LogLevel};
pub use files::{Files, os_error};
pub(crate) use files::{absolute, clean};
pub(crate) use relations::Target;
pub(crate) use secret_changes::{Update, checksum};
pub(crate) use secrets::SecretUri;
pub use spec::{HookKind, HookSpec, RelationEvent, RelationHook};

/// What a hook tool answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Exit status: 1 the operation failed, 2 the command line was refused.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The tool has run.
    Answer(Answer),
    /// The tool reads its standard input and none was given: call again with it.
    NeedsStdin,
}

/// Why no context can be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The model has no such unit.
    #[error("cannot open a context for unknown unit `{0}`")]
    UnknownUnit(String),
    /// The unit's agent does not know the hook's relation.
    #[error("unknown relation id: {0}")]
    UnknownRelation(u32),
}

/// One run of a charm.
#[derive(Debug)]
pub struct HookContext {
    pub(crate) unit: String,
    pub(crate) application: String,
    pub(crate) spec: HookSpec,
    relations: BTreeMap<u32, relations::RelationContext>,
    /// Once not the leader, never again in this run.
    deposed: bool,
    config: Option<BTreeMap<String, Value>>,
    state: Option<BTreeMap<String, String>>,
    pub(crate) leader_settings: Option<BTreeMap<String, String>>,
    storage: Option<Vec<StorageInstance>>,
    status: Option<StatusRow>,
    public_address: Option<String>,
    pub(crate) ports: ports::PortChanges,
    pub(crate) secrets: secret_changes::SecretChanges,
    /// Storage to add: name and count.
    pub(crate) storage_added: BTreeMap<String, u64>,
    pub(crate) reboot: bool,
    action: Option<action::ActionState>,
    events: Vec<Event>,
    calls: u64,
    pub(crate) staged: Staged,
}

/// What a recorded case says in place of what the model would compute.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// The tools run without a charm's process, as under `juju debug-hooks`.
    pub(crate) no_process: bool,
    pub(crate) goal_state: Option<Value>,
    pub(crate) unit_status: Option<RawStatus>,
    pub(crate) application_status: Option<RawStatus>,
    pub(crate) unit_statuses: Option<BTreeMap<String, RawStatus>>,
}

/// A status in the words it is shown with.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawStatus {
    pub(crate) status: String,
    pub(crate) message: String,
    pub(crate) data: BTreeMap<String, serde_json::Value>,
}

impl From<&StatusRow> for RawStatus {
    fn from(row: &StatusRow) -> Self {
        Self {
            status: row.status.as_str().to_owned(),
            message: row.message.clone(),
            data: row.data.clone(),
        }
    }
}

impl HookContext {
    /// Opens a context: drops what a joined or changed hook makes stale, and takes down what is
    /// read once per run.
    ///
    /// # Errors
    /// [`OpenError`] when the unit or the hook's relation is not known: the driver's mistake.
    pub fn open(model: &mut Model, unit: &str, spec: HookSpec) -> Result<Self, OpenError> {
        if !model.units.contains_key(unit) {
            return Err(OpenError::UnknownUnit(unit.to_owned()));
        }
        let relations = relations::open(model, unit, &spec)?;
        let mut context = Self {
            unit: unit.to_owned(),
            application: application_of(unit).to_owned(),
            relations,
            deposed: false,
            config: None,
            state: None,
            leader_settings: None,
            storage: None,
            status: None,
            public_address: None,
            ports: ports::PortChanges::open(model, unit),
            secrets: secret_changes::SecretChanges::default(),
            storage_added: BTreeMap::new(),
            reboot: false,
            action: action::ActionState::open(&spec),
            events: Vec::new(),
            calls: 0,
            staged: Staged::default(),
            spec,
        };
        context.secrets.owned = context.owned_secrets(model);
        Ok(context)
    }

    /// The unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// What runs.
    #[must_use]
    pub fn spec(&self) -> &HookSpec {
        &self.spec
    }

    /// Tool calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether a reboot was asked for, to be done after a successful hook.
    #[must_use]
    pub fn reboot_requested(&self) -> bool {
        self.reboot
    }

    /// Runs a hook tool: `argv` with the tool's name in front, `directory` absolute.
    ///
    /// Never fails: whatever is wrong is in the answer, as the tool would say it.
    pub fn call(
        &mut self,
        model: &mut Model,
        argv: &[String],
        directory: &str,
        stdin: Option<&[u8]>,
        files: &dyn Files,
    ) -> Reply {
        let reply = tools::run(self, model, argv, directory, stdin, files);
        // A tool that asks for its input is one call in two steps.
        self.calls += u64::from(matches!(reply, Reply::Answer(_)));
        reply
    }

    /// Log lines and progress since the last time.
    pub fn drain_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Whether the unit leads. After the first no the answer stays no.
    pub(crate) fn is_leader(&mut self, model: &Model) -> bool {
        self.deposed |= !model.is_leader(&self.unit);
        !self.deposed
    }

    /// Configuration as it was at the first call; unset options are null.
    pub(crate) fn config(&mut self, model: &Model) -> &BTreeMap<String, Value> {
        let application = &self.application;
        self.config.get_or_insert_with(|| {
            model
                .applications
                .get(application)
                .map(config_of)
                .unwrap_or_default()
        })
    }

    /// Charm state with this run's changes.
    pub(crate) fn charm_state(&mut self, model: &Model) -> &mut BTreeMap<String, String> {
        let unit = &self.unit;
        self.state.get_or_insert_with(|| {
            model
                .units
                .get(unit)
                .map(|unit| unit.state.clone())
                .unwrap_or_default()
        })
    }

    /// Leader settings, read once per run.
    pub(crate) fn leader_settings(&mut self, model: &Model) -> &BTreeMap<String, String> {
        let application = &self.application;
        self.leader_settings.get_or_insert_with(|| {
            let application = model.applications.get(application);
            application
                .map(|a| a.leader_settings.clone())
                .unwrap_or_default()
        })
    }

    /// The unit's storage, read once per run.
    pub(crate) fn storage(&mut self, model: &Model) -> &[StorageInstance] {
        let unit = &self.unit;
        self.storage.get_or_insert_with(|| {
            model
                .units
                .get(unit)
                .map(|unit| unit.storage.clone())
                .unwrap_or_default()
        })
    }

    /// The unit's own status, read once per run.
    pub(crate) fn unit_status(&mut self, model: &Model) -> RawStatus {
        if let Some(staged) = &self.staged.unit_status {
            return staged.clone();
        }
        let unit = &self.unit;
        let row = self.status.get_or_insert_with(|| {
            model
                .units
                .get(unit)
                .and_then(|unit| unit.status.clone())
                .unwrap_or_default()
        });
        RawStatus::from(&*row)
    }

    /// Sets the unit's status, at once.
    pub(crate) fn set_unit_status(&mut self, model: &mut Model, row: StatusRow) {
        self.status = None;
        self.staged.unit_status = None;
        if let Some(unit) = model.units.get_mut(&self.unit) {
            unit.history.push(row.clone());
            unit.status = Some(row.clone());
        }
        self.event(Event::UnitStatus(row));
    }

    /// Sets the application's status, at once.
    pub(crate) fn set_application_status(&mut self, model: &mut Model, row: StatusRow) {
        self.staged.application_status = None;
        if let Some(application) = model.applications.get_mut(&self.application) {
            application.status = Some(row.clone());
        }
        self.event(Event::ApplicationStatus(row));
    }

    /// The public address, read once per run.
    pub(crate) fn public_address(&mut self, model: &Model) -> &str {
        let unit = &self.unit;
        self.public_address.get_or_insert_with(|| {
            model
                .units
                .get(unit)
                .map(|unit| unit.public_address.clone())
                .unwrap_or_default()
        })
    }
}

/// Every option with its value. Numbers travel as floats.
fn config_of(application: &crate::state::Application) -> BTreeMap<String, Value> {
    use crate::state::ConfigValue;
    let mut config = BTreeMap::new();
    for option in application.options.keys().chain(application.config.keys()) {
        let value = match application.value(option) {
            None => Value::Null,
            Some(ConfigValue::Boolean(value)) => Value::Bool(*value),
            #[expect(clippy::cast_precision_loss, reason = "Juju loses it too")]
            Some(ConfigValue::Int(value)) => Value::Float(*value as f64),
            Some(ConfigValue::Float(value)) => Value::Float(*value),
            Some(ConfigValue::String(value)) => Value::Text(value.clone()),
        };
        config.insert(option.clone(), value);
    }
    config
}
