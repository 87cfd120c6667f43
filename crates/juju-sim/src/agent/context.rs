//! Opens the model's hook contexts for what an agent runs, and takes their results over.

use anyhow::{Context as _, Result};
use juju_sim_model::context::{
    self as hooks, ActionOutcome, Commit, Event, HookContext, HookKind, HookSpec, SecretEvent,
};
use juju_sim_model::state::{Model, SecretOwner, application_of};
use serde_json::{Value, json};

use super::host::Host;
use super::process::{Call, Reply};
use super::resolver::{Hook, RelationEvent};
use crate::daemon::state::{State, Task, TaskKind};
use crate::machines::{agent_directory, tools_directory};
use crate::random::{self, hex};

/// The agent's own search path, after the tools.
const AGENT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";
/// Where a controller would answer; nobody does.
const CONTROLLER: &str = "10.151.0.1:17070";

/// A run in progress.
#[derive(Debug)]
pub(super) struct Context {
    inner: HookContext,
    environment: Vec<(String, String)>,
    statuses: Vec<Value>,
    progress: Vec<String>,
}

/// What a commit changed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// For the log of commits.
    pub(super) record: Value,
    /// Storage to add, a name for each instance.
    pub(super) storage: Vec<String>,
    /// What an action delivers.
    pub(super) outcome: Option<ActionOutcome>,
}

/// Why a commit was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) fault: String,
    /// What stays all the same: secrets, up to Juju 3.6.
    pub(super) record: Value,
    pub(super) outcome: Option<ActionOutcome>,
}

impl Context {
    pub(super) fn for_hook(state: &mut State, unit: &str, hook: &Hook) -> Result<Self> {
        let kind = hook_kind(&state.model, unit, hook);
        Self::open(state, unit, &hook.name(), kind)
    }

    pub(super) fn for_task(state: &mut State, unit: &str, task: &Task) -> Result<Self> {
        match &task.kind {
            TaskKind::Action { name, parameters } => {
                let id = task.id.to_string();
                let kind = HookKind::Action {
                    id,
                    name: name.clone(),
                    params: parameters.clone(),
                };
                Self::open(state, unit, name, kind)
            }
            TaskKind::Exec {
                relation,
                remote_unit,
                ..
            } => {
                let relation = relation.rsplit(':').next().and_then(|id| id.parse().ok());
                let remote_unit = Some(remote_unit.clone()).filter(|unit| !unit.is_empty());
                let own = application_of(unit);
                let remote_application = relation
                    .and_then(|id| state.model.relations.get(&id)?.remote_endpoint(own))
                    .map(|endpoint| endpoint.application.clone());
                let kind = HookKind::Exec {
                    relation,
                    remote_unit,
                    remote_application,
                };
                Self::open(state, unit, "run-commands", kind)
            }
        }
    }

    fn open(state: &mut State, unit: &str, name: &str, kind: HookKind) -> Result<Self> {
        let random = hex(&random::bytes::<16>()?);
        let agent = agent_directory(unit);
        let spec = HookSpec {
            name: name.to_owned(),
            kind,
            context_id: format!("{unit}-{name}-{random}"),
            agent_dir: agent.display().to_string(),
        };
        let inner = HookContext::open(&mut state.model, unit, spec)
            .with_context(|| format!("cannot open a context for {name}"))?;
        let host = hooks::Host {
            charm_dir: agent.join("charm").display().to_string(),
            socket: agent.join(super::execute::SOCKET).display().to_string(),
            tools_dir: tools_directory(unit).display().to_string(),
            path: AGENT_PATH.to_owned(),
            api_addresses: vec![CONTROLLER.to_owned()],
        };
        let environment = inner.environment(&state.model, &host);
        Ok(Self {
            inner,
            environment,
            statuses: Vec::new(),
            progress: Vec::new(),
        })
    }

    /// The process's environment, whole.
    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Runs a hook tool. Also says what the log gets, and whether others see a change at once.
    pub(super) fn call(&mut self, state: &mut State, call: &Call, host: &Host) -> Called {
        let answer = |code, text: String| Reply::Answer {
            code,
            stdout: Vec::new(),
            stderr: text.into_bytes(),
        };
        if call.context != self.inner.spec().context_id {
            let text = format!(
                "ERROR bad request: wrong context ID; got {:?}\n",
                call.context
            );
            return Called {
                reply: answer(1, text),
                records: Vec::new(),
                visible: false,
            };
        }
        let mut argv = vec![call.tool.clone()];
        argv.extend(call.arguments.iter().cloned());
        let reply = self.inner.call(
            &mut state.model,
            &argv,
            &call.directory,
            call.stdin.as_deref(),
            host,
        );
        let reply = match reply {
            hooks::Reply::NeedsStdin => Reply::Stdin,
            hooks::Reply::Answer(answer) => Reply::Answer {
                code: answer.code,
                stdout: answer.stdout,
                stderr: answer.stderr,
            },
        };
        let mut called = Called {
            reply,
            records: Vec::new(),
            visible: false,
        };
        let unit = self.inner.unit().to_owned();
        for event in self.inner.drain_events() {
            called.visible |= !matches!(event, Event::Log { .. });
            match event {
                Event::Log { level, message } => {
                    called.records.push((level.as_str(), format!("unit.{unit}.juju-log"), message));
                }
                Event::Progress(text) => self.progress.push(text),
                Event::UnitStatus(row) => self.statuses.push(json!({
                    "at": row.since_ms, "of": unit, "status": row.status.as_str(), "message": row.message,
                })),
                Event::ApplicationStatus(row) => self.statuses.push(json!({
                    "at": row.since_ms, "of": application_of(&unit),
                    "status": row.status.as_str(), "message": row.message,
                })),
                Event::RebootNow => called.reply = Reply::Kill,
                Event::WorkloadVersion(_) | Event::LeaderSettings(_) => {}
            }
        }
        called
    }

    /// The statuses set so far.
    pub(super) fn statuses(&self) -> Vec<Value> {
        self.statuses.clone()
    }

    /// The progress messages of an action.
    pub(super) fn progress(&self) -> Vec<String> {
        self.progress.clone()
    }

    /// Applies what the run has asked for.
    ///
    /// # Errors
    /// What a controller would refuse.
    pub(super) fn commit(self, state: &mut State) -> std::result::Result<Done, Box<Refused>> {
        match self.inner.commit(&mut state.model) {
            Ok(mut commit) => {
                let outcome = commit.action.take();
                let many = |(name, count): (&String, &u64)| {
                    std::iter::repeat_n(name.clone(), usize::try_from(*count).unwrap_or(0))
                };
                let storage = commit.storage.iter().flat_map(many).collect();
                Ok(Done {
                    record: record(&state.model, &commit),
                    storage,
                    outcome,
                })
            }
            Err(error) => {
                let mut kept = *error.kept;
                let outcome = kept.action.take();
                let record = if kept.is_empty() {
                    Value::Null
                } else {
                    record(&state.model, &kept)
                };
                Err(Box::new(Refused {
                    fault: error.reason,
                    record,
                    outcome,
                }))
            }
        }
    }

    /// Drops what the run has asked for; an action's results are delivered all the same.
    pub(super) fn discard(self, state: &mut State, reason: &str) -> Option<ActionOutcome> {
        self.inner.discard(&mut state.model, reason)
    }
}

/// The commit as data, each new content of a secret with its fingerprint.
fn record(model: &Model, commit: &Commit) -> Value {
    let mut value = json!(commit);
    let changes = value.get_mut("secrets").and_then(Value::as_array_mut);
    for (change, known) in changes.into_iter().flatten().zip(&commit.secrets) {
        let revision = match &known.event {
            SecretEvent::Created { .. } => Some(1),
            SecretEvent::Updated { revision } => *revision,
            SecretEvent::Tracked { .. }
            | SecretEvent::Granted { .. }
            | SecretEvent::Revoked { .. }
            | SecretEvent::Removed { .. } => None,
        };
        let held = model.secrets.get(&known.id);
        let held = revision.and_then(|revision| held?.revisions.get(&revision));
        if let Some(held) = held {
            change["keys"] = json!(held.content.0.keys().collect::<Vec<_>>());
            change["sha256"] = json!(held.checksum);
        }
    }
    value
}

/// A call that was answered.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) reply: Reply,
    /// Level, logger and text.
    pub(super) records: Vec<(&'static str, String, String)>,
    pub(super) visible: bool,
}

fn hook_kind(model: &Model, unit: &str, hook: &Hook) -> HookKind {
    match hook {
        Hook::Relation(hook) => HookKind::Relation(hooks::RelationHook {
            event: match hook.event {
                RelationEvent::Created => hooks::RelationEvent::Created,
                RelationEvent::Joined => hooks::RelationEvent::Joined,
                RelationEvent::Changed => hooks::RelationEvent::Changed,
                RelationEvent::Departed => hooks::RelationEvent::Departed,
                RelationEvent::Broken => hooks::RelationEvent::Broken,
            },
            relation: hook.relation,
            remote_unit: hook.remote_unit.clone(),
            remote_application: hook.remote_application.clone(),
            departing_unit: hook.departing.clone(),
        }),
        Hook::Storage { id, .. } => HookKind::Storage { id: id.clone() },
        Hook::Secret { id, revision, .. } => HookKind::Secret {
            uri: format!("secret:{id}"),
            label: label(model, unit, id),
            revision: *revision,
        },
        Hook::Install
        | Hook::LeaderElected
        | Hook::ConfigChanged
        | Hook::Start
        | Hook::UpgradeCharm
        | Hook::UpdateStatus
        | Hook::Stop
        | Hook::Remove => HookKind::Plain,
    }
}

/// The consumer's own label, else the owner's for the owner's units.
fn label(model: &Model, unit: &str, id: &str) -> String {
    let Some(secret) = model.secrets.get(id) else {
        return String::new();
    };
    let own = secret
        .consumers
        .get(unit)
        .map(|consumer| consumer.label.clone())
        .unwrap_or_default();
    let owner = match &secret.owner {
        SecretOwner::Unit(name) => name == unit,
        SecretOwner::Application(name) => name == application_of(unit),
        SecretOwner::Model => false,
    };
    if own.is_empty() && owner {
        secret.label.clone()
    } else {
        own
    }
}
