//! Relations as one run sees them: members, databags, and what is pending.
//!
//! Contract: `context/relation.go` and `context/cache.go` of Juju's uniter, and the read rules of
//! its controller's uniter API.

use std::collections::BTreeMap;

use super::{HookContext, HookKind, HookSpec, OpenError, RelationEvent};
use crate::state::{Life, Model, Relation, application_of};

type Settings = BTreeMap<String, String>;

/// Whose databag is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A unit's.
    Unit,
    /// An application's.
    Application,
}

/// One relation in one run.
#[derive(Debug, Default)]
pub(crate) struct RelationContext {
    /// Members with their databags, kept from run to run once read.
    pub(super) members: BTreeMap<String, Option<Settings>>,
    /// Databags of units that are no members.
    others: BTreeMap<String, Settings>,
    /// Application databags.
    applications: BTreeMap<String, Settings>,
    /// The unit's own databag.
    pub(super) own_unit: Option<Own>,
    /// The own application's databag, for the leader.
    pub(super) own_application: Option<Own>,
    /// Whether `relation-ids` shows it.
    listed: bool,
}

/// A databag that may be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    base: Settings,
    /// An empty value removes its key.
    pub(super) changes: Settings,
}

impl Own {
    fn map(&self) -> Settings {
        let mut map = self.base.clone();
        for (key, value) in &self.changes {
            if value.is_empty() {
                map.remove(key);
            } else {
                map.insert(key.clone(), value.clone());
            }
        }
        map
    }
}

/// The relations that the unit's agent knows, made stale by the hook where it should.
pub(super) fn open(
    model: &mut Model,
    unit: &str,
    spec: &HookSpec,
) -> Result<BTreeMap<u32, RelationContext>, OpenError> {
    let mut relations = BTreeMap::new();
    let Some(state) = model.units.get_mut(unit) else {
        return Ok(relations);
    };
    if let HookKind::Relation(hook) = &spec.kind
        && let Some(view) = state.relations.get_mut(&hook.relation)
        && let Some(remote) = &hook.remote_unit
        && hook.event != RelationEvent::Departed
        && let Some(member) = view.members.get_mut(remote)
    {
        // Stays dropped when the hook fails: the agent's cache knows nothing of that.
        member.frozen = None;
    }
    for (id, view) in &state.relations {
        let Some(relation) = model.relations.get(id).filter(|_| !view.broken) else {
            continue;
        };
        let inactive = relation.life != Life::Alive || relation.suspended;
        let ending = inactive && !relation.is_peer();
        let members = view
            .members
            .iter()
            .map(|(name, member)| (name.clone(), member.frozen.clone()));
        let members: BTreeMap<String, Option<Settings>> = members.collect();
        let listed = !(view.unlisted || ending && members.is_empty());
        relations.insert(
            *id,
            RelationContext {
                members,
                listed,
                ..RelationContext::default()
            },
        );
    }
    if let HookKind::Relation(hook) = &spec.kind {
        let Some(relation) = relations.get_mut(&hook.relation) else {
            return Err(OpenError::UnknownRelation(hook.relation));
        };
        if let Some(remote) = &hook.remote_unit {
            match hook.event {
                RelationEvent::Departed => drop(relation.members.remove(remote)),
                RelationEvent::Created
                | RelationEvent::Joined
                | RelationEvent::Changed
                | RelationEvent::Broken => drop(relation.members.insert(remote.clone(), None)),
            }
        }
    }
    Ok(relations)
}

impl HookContext {
    /// Whether the unit's agent knows this relation.
    pub(crate) fn knows_relation(&self, id: u32) -> bool {
        self.relations.contains_key(&id)
    }

    /// The unit's own endpoint of a relation.
    pub(crate) fn endpoint_name<'m>(&self, model: &'m Model, id: u32) -> &'m str {
        let relation = model.relations.get(&id);
        let endpoint = relation.and_then(|relation| relation.endpoint_of(&self.application));
        endpoint.map_or("", |endpoint| &endpoint.name)
    }

    /// Numbers of the relations that an endpoint lists.
    pub(crate) fn relation_ids(&self, model: &Model, endpoint: &str) -> Vec<u32> {
        let listed = self
            .relations
            .iter()
            .filter(|(_, relation)| relation.listed);
        let ids = listed.map(|(id, _)| *id);
        ids.filter(|id| self.endpoint_name(model, *id) == endpoint)
            .collect()
    }

    /// The remote units of a relation, by name.
    pub(crate) fn relation_members(&self, id: u32) -> Vec<String> {
        let relation = self.relations.get(&id);
        relation
            .map(|relation| relation.members.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The application on the other side.
    pub(crate) fn remote_application(&self, model: &Model, id: u32) -> String {
        let relation = model.relations.get(&id);
        let endpoint = relation.and_then(|relation| relation.remote_endpoint(&self.application));
        endpoint
            .map(|endpoint| endpoint.application.clone())
            .unwrap_or_default()
    }

    /// Reads a databag as the unit may.
    ///
    /// # Errors
    /// The controller's words.
    pub(crate) fn read_bag(
        &mut self,
        model: &Model,
        id: u32,
        target: Target,
        name: &str,
    ) -> Result<Settings, String> {
        let own = match target {
            Target::Unit => name == self.unit,
            Target::Application => name == self.application && self.is_leader(model),
        };
        if own {
            return Ok(self.own_bag(model, id, target)?.map());
        }
        match target {
            Target::Unit => self.remote_unit_bag(model, id, name),
            Target::Application => self.remote_application_bag(model, id, name),
        }
    }

    /// Notes changes of an own databag, an empty value removing its key.
    ///
    /// # Errors
    /// When the databag cannot be read: the controller's words.
    pub(crate) fn write_bag(
        &mut self,
        model: &Model,
        id: u32,
        target: Target,
        changes: Settings,
    ) -> Result<(), String> {
        self.own_bag(model, id, target)?.changes.extend(changes);
        Ok(())
    }

    fn own_bag(&mut self, model: &Model, id: u32, target: Target) -> Result<&mut Own, String> {
        let relation = model.relations.get(&id).filter(|relation| !relation.gone);
        let base = match target {
            Target::Unit => relation
                .ok_or_else(|| gone(model, "permission denied"))?
                .unit_bags
                .get(&self.unit)
                .map(|bag| bag.values.clone()),
            Target::Application => relation
                .ok_or_else(|| gone(model, "permission denied (unauthorized access)"))?
                .application_bags
                .get(&self.application)
                .map(|bag| bag.values.clone()),
        };
        let context = self.relations.entry(id).or_default();
        let slot = match target {
            Target::Unit => &mut context.own_unit,
            Target::Application => &mut context.own_application,
        };
        Ok(slot.get_or_insert_with(|| Own {
            base: base.unwrap_or_default(),
            changes: Settings::new(),
        }))
    }

    fn remote_unit_bag(&mut self, model: &Model, id: u32, name: &str) -> Result<Settings, String> {
        let context = self.relations.entry(id).or_default();
        let member = context.members.get_mut(name);
        if let Some(Some(settings)) = &member {
            return Ok(settings.clone());
        }
        if let Some(settings) = context.others.get(name) {
            return Ok(settings.clone());
        }
        let relation = readable(model, id)?;
        let application = application_of(name);
        relation
            .endpoint_of(application)
            .ok_or("permission denied")?;
        let settings = relation
            .unit_bags
            .get(name)
            .map(|bag| bag.values.clone())
            .ok_or_else(|| {
                let key = relation.key();
                format!(
                    "cannot read settings for unit \"{name}\" in relation \"{key}\": \
                 unit \"{name}\": settings not found"
                )
            })?;
        match member {
            Some(kept) => *kept = Some(settings.clone()),
            None => drop(context.others.insert(name.to_owned(), settings.clone())),
        }
        Ok(settings)
    }

    fn remote_application_bag(
        &mut self,
        model: &Model,
        id: u32,
        name: &str,
    ) -> Result<Settings, String> {
        let context = self.relations.entry(id).or_default();
        if let Some(settings) = context.applications.get(name) {
            return Ok(settings.clone());
        }
        let relation = readable(model, id)?;
        relation.endpoint_of(name).ok_or("permission denied")?;
        // Only a follower asks the controller for its own application's databag.
        let closed = name == self.application && !relation.is_peer() && model.major() < 4;
        if closed {
            return Err("permission denied".to_owned());
        }
        let bag = relation.application_bags.get(name);
        let settings = bag.map(|bag| bag.values.clone()).unwrap_or_default();
        context
            .applications
            .insert(name.to_owned(), settings.clone());
        Ok(settings)
    }

    /// Keeps what was read of members, for the next run.
    pub(super) fn keep_frozen(&self, model: &mut Model) {
        let Some(unit) = model.units.get_mut(&self.unit) else {
            return;
        };
        for (id, relation) in &self.relations {
            let Some(view) = unit.relations.get_mut(id) else {
                continue;
            };
            for (name, settings) in &relation.members {
                if let Some(member) = view.members.get_mut(name) {
                    member.frozen.clone_from(settings);
                }
            }
        }
    }
}

fn readable(model: &Model, id: u32) -> Result<&Relation, String> {
    let relation = model.relations.get(&id).filter(|relation| !relation.gone);
    relation.ok_or_else(|| gone(model, "permission denied"))
}

/// How a relation that the controller has forgotten is refused.
fn gone(model: &Model, before_4: &str) -> String {
    if model.major() < 4 {
        before_4.to_owned()
    } else {
        "relation not found".to_owned()
    }
}
