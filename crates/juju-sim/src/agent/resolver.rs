//! What a unit does next. Pure: the same view, memory and dice give the same answer.
//!
//! The order is that of Juju's `resolver.go` and `relation/resolver.go`: the first rule that applies
//! wins. Rules have ids, which the tests name.
//!
//! * R1 relation-created for every known relation, once installed, before anything else.
//! * R2 leader-elected beats everything after it.
//! * R3 secret events, actions and juju-exec overtake config-changed, start and relation hooks.
//! * R4 storage is attached before install, detached before relations end.
//! * R5 upgrade-charm is followed by config-changed, the first config-changed by start.
//! * R6 in one relation: the changed after a joined, departed, broken, changed of the application,
//!   joined in name order, changed of a unit.
//! * R7 relations are visited in random order, peers last.
//! * R8 a dying unit ends its relations, then stops, then is removed.
//! * R9 while a hook is failed, only actions and juju-exec run until it is retried.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

pub(crate) use super::hook::{
    Hook, Operation, RelationEvent, RelationHook, RelationId, SecretEvent,
};

/// How often something was written.
pub(crate) type Version = u64;

/// The model as one unit's agent sees it now.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, as Juju keeps them"
)]
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) unit: String,
    pub(crate) dying: bool,
    pub(crate) application_dying: bool,
    pub(crate) leader: bool,
    /// Rises with every new charm or resource.
    pub(crate) charm: Version,
    /// Rises with every change of the configuration, of trust or of an address.
    pub(crate) config: Version,
    pub(crate) relations: BTreeMap<RelationId, RelationView>,
    /// Storage instance to whether it is to go.
    pub(crate) storage: BTreeMap<String, bool>,
    /// Secret hooks that are due.
    pub(crate) secrets: Vec<(SecretEvent, String, Option<u32>)>,
    /// The oldest task of this unit.
    pub(crate) task: Option<u64>,
    pub(crate) update_status_due: bool,
    pub(crate) retry_due: bool,
}

/// One relation as one unit's agent sees it now.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelationView {
    pub(crate) endpoint: String,
    pub(crate) peer: bool,
    pub(crate) dying: bool,
    pub(crate) remote_application: String,
    /// Remote units in scope, with the version of their databag.
    pub(crate) members: BTreeMap<String, Version>,
    /// The version of the databag of the remote application (of one's own for peers).
    pub(crate) application: Version,
}

/// What the agent remembers between hooks.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, as Juju keeps them"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) installed: bool,
    pub(crate) started: bool,
    pub(crate) start_queued: bool,
    pub(crate) config_queued: bool,
    pub(crate) elected: bool,
    pub(crate) stopped: bool,
    pub(crate) removed: bool,
    pub(crate) charm: Version,
    pub(crate) config: Option<Version>,
    /// Kept by the model itself; filled in for each decision.
    #[serde(skip)]
    pub(crate) relations: BTreeMap<RelationId, RelationMemory>,
    /// As above: the instances whose storage-attached has run.
    #[serde(skip)]
    pub(crate) storage: BTreeSet<String>,
    pub(crate) failed: Option<Hook>,
}

/// What the agent remembers of one relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelationMemory {
    pub(crate) endpoint: String,
    pub(crate) remote_application: String,
    pub(crate) peer: bool,
    pub(crate) members: BTreeMap<String, Version>,
    pub(crate) changed_pending: Option<String>,
    pub(crate) application: Version,
    pub(crate) broken: bool,
}

/// The next operation, or nothing to do.
pub(crate) fn next(view: &View, memory: &Memory, dice: &mut impl Rng) -> Option<Operation> {
    if memory.removed {
        return Some(Operation::Dead);
    }
    if let Some(failed) = &memory.failed {
        let task = if memory.installed {
            view.task.map(Operation::Task)
        } else {
            None
        };
        return task.or_else(|| view.retry_due.then(|| Operation::Hook(failed.clone())));
    }
    if memory.installed
        && let Some(operation) = installed(view, memory, dice)
    {
        return Some(operation);
    }
    if let Some(operation) = storage(view, memory, dice) {
        return Some(operation);
    }
    if memory.config_queued {
        return Some(Operation::Hook(Hook::ConfigChanged));
    }
    if memory.start_queued {
        return Some(Operation::Hook(Hook::Start));
    }
    if view.dying {
        Some(dying(view, memory, dice))
    } else {
        living(view, memory, dice)
    }
}

fn installed(view: &View, memory: &Memory, dice: &mut impl Rng) -> Option<Operation> {
    if !view.dying {
        let unknown = |(id, relation): &(&RelationId, &RelationView)| {
            !relation.dying && !memory.relations.contains_key(id)
        };
        let unknown: Vec<_> = view.relations.iter().filter(unknown).collect();
        if !unknown.is_empty() {
            let (id, relation) = unknown[dice.random_range(0..unknown.len())];
            return Some(relation_hook(
                RelationEvent::Created,
                *id,
                relation,
                None,
                None,
            ));
        }
        if view.leader && !memory.elected {
            return Some(Operation::Hook(Hook::LeaderElected));
        }
        if let Some((event, id, revision)) = view.secrets.first() {
            let (event, id, revision) = (*event, id.clone(), *revision);
            return Some(Operation::Hook(Hook::Secret {
                event,
                id,
                revision,
            }));
        }
    }
    view.task.map(Operation::Task)
}

fn storage(view: &View, memory: &Memory, dice: &mut impl Rng) -> Option<Operation> {
    let hook = |attached, id: &String| {
        Operation::Hook(Hook::Storage {
            attached,
            id: id.clone(),
        })
    };
    for id in &memory.storage {
        match view.storage.get(id) {
            None => return Some(Operation::StorageGone(id.clone())),
            Some(true) => return Some(hook(false, id)),
            Some(false) if view.dying => return Some(hook(false, id)),
            Some(false) => {}
        }
    }
    if view.dying {
        return None;
    }
    let fresh: Vec<_> = view
        .storage
        .iter()
        .filter(|(id, going)| !**going && !memory.storage.contains(*id))
        .collect();
    (!fresh.is_empty()).then(|| hook(true, fresh[dice.random_range(0..fresh.len())].0))
}

fn living(view: &View, memory: &Memory, dice: &mut impl Rng) -> Option<Operation> {
    if !memory.installed {
        return Some(Operation::Hook(Hook::Install));
    }
    if view.charm != memory.charm {
        return Some(Operation::Hook(Hook::UpgradeCharm));
    }
    if memory.config != Some(view.config) {
        return Some(Operation::Hook(Hook::ConfigChanged));
    }
    relations(view, memory, dice).or_else(|| {
        view.update_status_due
            .then_some(Operation::Hook(Hook::UpdateStatus))
    })
}

fn dying(view: &View, memory: &Memory, dice: &mut impl Rng) -> Operation {
    if let Some(operation) = relations(view, memory, dice) {
        return operation;
    }
    if !memory.installed && !memory.stopped {
        // Never installed: nothing to stop.
        return Operation::Dead;
    }
    Operation::Hook(if memory.stopped {
        Hook::Remove
    } else {
        Hook::Stop
    })
}

fn relations(view: &View, memory: &Memory, dice: &mut impl Rng) -> Option<Operation> {
    let mut known: Vec<_> = memory.relations.iter().collect();
    known.shuffle(dice);
    // Stable: peers keep their random order behind the others.
    known.sort_by_key(|(_, relation)| relation.peer);
    known
        .into_iter()
        .find_map(|(id, relation)| one_relation(view, *id, relation))
}

fn one_relation(view: &View, id: RelationId, memory: &RelationMemory) -> Option<Operation> {
    if memory.broken {
        return None;
    }
    let remembered = RelationView {
        endpoint: memory.endpoint.clone(),
        remote_application: memory.remote_application.clone(),
        ..RelationView::default()
    };
    let now = view.relations.get(&id);
    let ending = view.dying || now.is_none_or(|relation| relation.dying);
    let relation = now.unwrap_or(&remembered);
    let members = if ending {
        None
    } else {
        Some(&relation.members)
    };
    let hook = |event, unit: Option<&String>, departing: Option<String>| {
        Some(relation_hook(event, id, relation, unit, departing))
    };
    if let Some(unit) = &memory.changed_pending {
        return hook(RelationEvent::Changed, Some(unit), None);
    }
    let departed =
        |unit: &&String| members.is_none_or(|members| !members.contains_key(unit.as_str()));
    if let Some(unit) = memory.members.keys().find(departed) {
        let leaving = view.dying || view.application_dying;
        let departing = if leaving {
            view.unit.clone()
        } else {
            unit.clone()
        };
        return hook(RelationEvent::Departed, Some(unit), Some(departing));
    }
    if ending {
        return if memory.peer {
            Some(Operation::Forget(id))
        } else {
            hook(RelationEvent::Broken, None, None)
        };
    }
    if relation.application > memory.application {
        return hook(RelationEvent::Changed, None, None);
    }
    let members = members?;
    let mut by_number: Vec<_> = members.iter().collect();
    by_number.sort();
    if let Some((unit, _)) = by_number
        .iter()
        .find(|(unit, _)| !memory.members.contains_key(*unit))
    {
        return hook(RelationEvent::Joined, Some(unit), None);
    }
    let changed = |(unit, version): &&(&String, &Version)| {
        memory.members.get(*unit).is_some_and(|seen| seen < version)
    };
    by_number
        .iter()
        .find(changed)
        .and_then(|(unit, _)| hook(RelationEvent::Changed, Some(unit), None))
}

fn relation_hook(
    event: RelationEvent,
    relation: RelationId,
    view: &RelationView,
    unit: Option<&String>,
    departing: Option<String>,
) -> Operation {
    Operation::Hook(Hook::Relation(RelationHook {
        event,
        relation,
        endpoint: view.endpoint.clone(),
        remote_application: view.remote_application.clone(),
        remote_unit: unit.cloned(),
        departing,
    }))
}

impl Memory {
    /// Takes note of a hook that was done, or that the operator had taken as done. `view` is what
    /// the hook was decided from.
    pub(crate) fn done(&mut self, hook: &Hook, view: &View) {
        self.failed = None;
        match hook {
            Hook::Install => {
                self.installed = true;
                self.charm = view.charm;
            }
            Hook::LeaderElected => self.elected = true,
            Hook::ConfigChanged => {
                self.config = Some(view.config);
                self.config_queued = false;
                if !self.started {
                    self.start_queued = true;
                }
            }
            Hook::Start => {
                self.started = true;
                self.start_queued = false;
            }
            Hook::UpgradeCharm => {
                self.charm = view.charm;
                self.config_queued = true;
            }
            Hook::UpdateStatus | Hook::Secret { .. } => {}
            Hook::Stop => self.stopped = true,
            Hook::Remove => self.removed = true,
            Hook::Storage { attached: true, id } => {
                self.storage.insert(id.clone());
            }
            Hook::Storage {
                attached: false,
                id,
            } => {
                self.storage.remove(id);
            }
            Hook::Relation(hook) => self.relation_done(hook, view),
        }
    }

    fn relation_done(&mut self, hook: &RelationHook, view: &View) {
        let seen = view.relations.get(&hook.relation);
        if hook.event == RelationEvent::Created {
            let memory = RelationMemory {
                endpoint: hook.endpoint.clone(),
                remote_application: hook.remote_application.clone(),
                peer: seen.is_some_and(|relation| relation.peer),
                ..RelationMemory::default()
            };
            self.relations.insert(hook.relation, memory);
        }
        let Some(memory) = self.relations.get_mut(&hook.relation) else {
            return;
        };
        let version = hook
            .remote_unit
            .as_ref()
            .and_then(|unit| seen?.members.get(unit).copied());
        match (hook.event, &hook.remote_unit) {
            (RelationEvent::Joined, Some(unit)) => {
                memory
                    .members
                    .insert(unit.clone(), version.unwrap_or_default());
                memory.changed_pending = Some(unit.clone());
            }
            (RelationEvent::Changed, Some(unit)) => {
                if memory.changed_pending.as_ref() == Some(unit) {
                    memory.changed_pending = None;
                }
                if let (Some(known), Some(version)) = (memory.members.get_mut(unit), version) {
                    *known = version;
                }
            }
            (RelationEvent::Changed, None) => {
                memory.application =
                    seen.map_or(memory.application, |relation| relation.application);
            }
            (RelationEvent::Departed, Some(unit)) => {
                memory.members.remove(unit);
            }
            (RelationEvent::Broken, _) => memory.broken = true,
            (RelationEvent::Created | RelationEvent::Joined | RelationEvent::Departed, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
