//! The end of a run: everything that was asked for, or nothing of it.
//!
//! Contract: `doFlush` of Juju's hook context and `CommitHookChanges` of its controller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::commit_secrets::SecretChange;
use super::relations::Own;
use super::{ActionOutcome, HookContext, HookKind};
use crate::state::{Bag, Model, PortRange, application_of};

/// The most bytes of keys and values that a unit's charm state may hold.
const STATE_QUOTA: usize = 2 * 1024 * 1024;

/// Whose databag changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BagKind {
    /// A unit's.
    Unit,
    /// An application's.
    Application,
}

/// Real changes of one databag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BagChange {
    /// The relation.
    pub relation: u32,
    /// The writer's endpoint.
    pub endpoint: String,
    /// Unit or application.
    pub kind: BagKind,
    /// The unit's or application's name.
    pub owner: String,
    /// The bag's version after the change.
    pub version: u64,
    /// New values; nothing for a key that was removed.
    pub changes: BTreeMap<String, Option<String>>,
}

/// A port range that was opened or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortChange {
    /// The endpoint; empty for all.
    pub endpoint: String,
    /// The range.
    pub range: PortRange,
    /// Opened, or closed.
    pub open: bool,
}

/// What a successful run changed in the model. It holds no secret's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The unit.
    pub unit: String,
    /// The hook, or the action's name.
    pub hook: String,
    /// Databags.
    pub bags: Vec<BagChange>,
    /// Secrets.
    pub secrets: Vec<SecretChange>,
    /// Ports.
    pub ports: Vec<PortChange>,
    /// Charm state: new values; nothing for a key that was removed.
    pub state: BTreeMap<String, Option<String>>,
    /// Storage to provide: name and count. The driver makes the instances.
    pub storage: BTreeMap<String, u64>,
    /// The machine is to be rebooted now.
    pub reboot: bool,
    /// What the action delivers.
    pub action: Option<ActionOutcome>,
}

impl Commit {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bags.is_empty()
            && self.secrets.is_empty()
            && self.ports.is_empty()
            && self.state.is_empty()
            && self.storage.is_empty()
            && !self.reboot
            && self.action.is_none()
    }
}

/// A commit that the controller refused: the hook has failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct CommitError {
    /// The controller's words.
    pub reason: String,
    /// What was kept all the same: secrets, up to Juju 3.6.
    pub kept: Box<Commit>,
}

impl HookContext {
    /// Commits the run: the process has exited 0.
    ///
    /// # Errors
    /// [`CommitError`] when the controller refuses: leadership was lost, a label is taken, a secret
    /// is not the unit's, a quota is passed. From Juju 4.0 nothing changes then; before, secrets
    /// committed so far stay. The action's outcome is in [`CommitError::kept`].
    pub fn commit(mut self, model: &mut Model) -> Result<Commit, CommitError> {
        let mut commit = Commit {
            at_ms: model.now_ms,
            unit: self.unit.clone(),
            hook: self.spec.name.clone(),
            reboot: self.reboot,
            ..Commit::default()
        };
        self.keep_frozen(model);
        let action = self.take_action();
        let applied = if model.major() < 4 {
            self.commit_secrets(model, &mut commit.secrets)
                .and_then(|()| self.transaction(model, Self::rest))
        } else {
            let mut secrets = Vec::new();
            let applied = self.transaction(model, |context, model| {
                context.commit_secrets(model, &mut secrets)?;
                context.rest(model)
            });
            if applied.is_ok() {
                commit.secrets = secrets;
            }
            applied
        };
        match applied {
            Ok(rest) => {
                (commit.bags, commit.ports) = (rest.bags, rest.ports);
                (commit.state, commit.storage) = (rest.state, rest.storage);
                commit.action = action.map(|action| action.outcome(None));
                Ok(commit)
            }
            Err(reason) => {
                commit.reboot = false;
                commit.action = action.map(|action| action.refused(&reason));
                Err(CommitError {
                    reason,
                    kept: Box::new(commit),
                })
            }
        }
    }

    /// Drops everything pending: the process failed. `reason` is why, such as `exit status 1`.
    ///
    /// An action's results are delivered all the same.
    pub fn discard(mut self, model: &mut Model, reason: &str) -> Option<ActionOutcome> {
        self.keep_frozen(model);
        self.take_action()
            .map(|action| action.outcome(Some(reason)))
    }

    /// Runs changes on a copy, and keeps it if all went well.
    fn transaction<T>(
        &self,
        model: &mut Model,
        changes: impl FnOnce(&Self, &mut Model) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut copy = model.clone();
        let answer = changes(self, &mut copy)?;
        *model = copy;
        Ok(answer)
    }

    /// Databags, network, ports, charm state and storage.
    fn rest(&self, model: &mut Model) -> Result<Commit, String> {
        let mut commit = Commit::default();
        self.commit_bags(model, &mut commit)?;
        if matches!(self.spec.kind, HookKind::Plain) && self.spec.name == "config-changed" {
            self.refresh_network(model, &mut commit);
        }
        self.commit_ports(model, &mut commit);
        self.commit_state(model, &mut commit)?;
        self.commit_storage(model, &mut commit)?;
        Ok(commit)
    }

    fn commit_bags(&self, model: &mut Model, commit: &mut Commit) -> Result<(), String> {
        let leads = model.is_leader(&self.unit);
        let changed = |own: &Option<Own>| {
            own.as_ref()
                .map(|own| own.changes.clone())
                .filter(|changes| !changes.is_empty())
        };
        for (id, context) in &self.relations {
            let application = changed(&context.own_application);
            if application.is_some() && !leads {
                return Err(format!(
                    "\"{}\" is not leader of \"{}\"",
                    self.unit, self.application
                ));
            }
            let unit = changed(&context.own_unit);
            if application.is_none() && unit.is_none() {
                continue;
            }
            if model.relations.get(id).is_none_or(|relation| relation.gone) {
                return Err("permission denied".to_owned());
            }
            if let Some(changes) = unit {
                self.merge(model, *id, BagKind::Unit, changes, commit);
            }
            if let Some(changes) = application {
                self.merge(model, *id, BagKind::Application, changes, commit);
            }
        }
        Ok(())
    }

    fn merge(
        &self,
        model: &mut Model,
        id: u32,
        kind: BagKind,
        changes: BTreeMap<String, String>,
        commit: &mut Commit,
    ) {
        let endpoint = self.endpoint_name(model, id).to_owned();
        let Some(relation) = model.relations.get_mut(&id) else {
            return;
        };
        let (owner, bags) = match kind {
            BagKind::Unit => (&self.unit, &mut relation.unit_bags),
            BagKind::Application => (&self.application, &mut relation.application_bags),
        };
        let bag: &mut Bag = bags.entry(owner.clone()).or_default();
        let changes = bag.merge(changes);
        if !changes.is_empty() {
            let (owner, version) = (owner.clone(), bag.version);
            commit.bags.push(BagChange {
                relation: id,
                endpoint,
                kind,
                owner,
                version,
                changes,
            });
        }
    }

    /// After config-changed the controller writes the unit's addresses anew.
    fn refresh_network(&self, model: &mut Model, commit: &mut Commit) {
        let ids: Vec<u32> = self.relations.keys().copied().collect();
        for id in ids {
            let present = model
                .relations
                .get(&id)
                .is_some_and(|relation| !relation.gone && relation.in_scope.contains(&self.unit));
            if present {
                let settings = model.address_settings(id, &self.unit);
                self.merge(model, id, BagKind::Unit, settings, commit);
            }
        }
    }

    fn commit_ports(&self, model: &mut Model, commit: &mut Commit) {
        let Some(unit) = model.units.get_mut(&self.unit) else {
            return;
        };
        for (open, pending) in [(true, &self.ports.opened), (false, &self.ports.closed)] {
            for (endpoint, ranges) in pending {
                let current = unit.ports.entry(endpoint.clone()).or_default();
                for range in ranges {
                    let changed = if open {
                        current.insert(*range)
                    } else {
                        current.remove(range)
                    };
                    if changed {
                        let (endpoint, range) = (endpoint.clone(), *range);
                        commit.ports.push(PortChange {
                            endpoint,
                            range,
                            open,
                        });
                    }
                }
            }
        }
        unit.ports.retain(|_, ranges| !ranges.is_empty());
    }

    fn commit_state(&self, model: &mut Model, commit: &mut Commit) -> Result<(), String> {
        let (Some(state), Some(unit)) = (&self.state, model.units.get_mut(&self.unit)) else {
            return Ok(());
        };
        let size: usize = state
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if size > STATE_QUOTA && *state != unit.state {
            return Err(format!("max allowed size ({STATE_QUOTA}) exceeded"));
        }
        for (key, value) in state {
            if unit.state.get(key) != Some(value) {
                commit.state.insert(key.clone(), Some(value.clone()));
            }
        }
        for key in unit.state.keys().filter(|key| !state.contains_key(*key)) {
            commit.state.insert(key.clone(), None);
        }
        unit.state.clone_from(state);
        Ok(())
    }

    fn commit_storage(&self, model: &Model, commit: &mut Commit) -> Result<(), String> {
        let application = model.applications.get(application_of(&self.unit));
        for (name, count) in &self.storage_added {
            let limits = application.map(|application| &application.storage_limits);
            let Some(limit) = limits.and_then(|limits| limits.get(name)) else {
                return Err(format!(
                    "adding storage to unit {}: charm storage \"{name}\" not found",
                    self.unit
                ));
            };
            let has = model.units.get(&self.unit).map_or(0, |unit| {
                unit.storage
                    .iter()
                    .filter(|s| s.id.split('/').next() == Some(name))
                    .count() as u64
            });
            if limit.is_some_and(|limit| has + count > u64::from(limit)) {
                let limit = limit.unwrap_or_default();
                return Err(format!(
                    "adding storage to unit {}: charm storage \"{name}\": at most {limit} instances supported, {} specified",
                    self.unit,
                    has + count
                ));
            }
            commit.storage.insert(name.clone(), *count);
        }
        Ok(())
    }
}
