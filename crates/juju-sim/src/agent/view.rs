//! Between the model and the resolver: what an agent sees, what it remembers, what it notes.

use std::collections::BTreeMap;

use juju_sim_model::state::{
    Life, MemberView, Model, Relation, SecretOwner, StorageInstance, application_of,
};

use super::resolver::{
    Hook, Memory, RelationEvent, RelationMemory, RelationView, SecretEvent, View,
};
use crate::clock::{self, Millis};
use crate::daemon::state::{State, TaskStatus};

/// Secret hooks that nobody handled return after this long.
const SECRET_AGAIN_MS: Millis = 5 * 60 * 1000;

/// What the unit's agent sees now.
pub(crate) fn view_of(state: &State, unit: &str, now: Millis) -> View {
    let application = application_of(unit);
    let Some((row, extra)) = state.model.units.get(unit).zip(state.units.get(unit)) else {
        return View::default();
    };
    let versions = state.applications.get(application);
    let interval = state.interval("update-status-hook-interval", 300_000);
    View {
        unit: unit.to_owned(),
        dying: row.life != Life::Alive,
        application_dying: state
            .model
            .applications
            .get(application)
            .is_none_or(|application| application.life != Life::Alive),
        leader: state.model.is_leader(unit),
        charm: versions.map_or(0, |extra| extra.charm_version),
        config: versions.map_or(0, |extra| extra.config_version) + extra.address_version,
        relations: row
            .relations
            .keys()
            .filter_map(|id| state.model.relations.get(id))
            .map(|relation| (relation.id, relation_of(&state.model, relation, unit)))
            .collect(),
        storage: row
            .storage
            .iter()
            .map(|instance| (instance.id.clone(), instance.life != Life::Alive))
            .collect(),
        secrets: secrets_due(state, unit, now),
        task: state
            .tasks
            .values()
            .find(|task| task.unit == unit && task.status == TaskStatus::Pending)
            .map(|task| task.id),
        update_status_due: interval > 0
            && extra.memory.started
            && now >= extra.last_hook.saturating_add(interval),
        retry_due: extra.retry_at.is_some_and(|at| now >= at),
    }
}

fn relation_of(model: &Model, relation: &Relation, unit: &str) -> RelationView {
    let own = application_of(unit);
    let Some((mine, other)) = relation.endpoint_of(own).zip(relation.remote_endpoint(own)) else {
        return RelationView::default();
    };
    let alive = |name: &str| {
        model
            .units
            .get(name)
            .is_some_and(|unit| unit.life == Life::Alive)
    };
    let members = relation
        .in_scope
        .iter()
        .filter(|name| application_of(name) == other.application && *name != unit && alive(name))
        .map(|name| {
            (
                name.clone(),
                relation.unit_bags.get(name).map_or(0, |bag| bag.version),
            )
        })
        .collect();
    RelationView {
        endpoint: mine.name.clone(),
        peer: relation.is_peer(),
        dying: relation.life != Life::Alive || relation.suspended,
        remote_application: other.application.clone(),
        members,
        application: relation
            .application_bags
            .get(&other.application)
            .map_or(0, |bag| bag.version),
    }
}

/// What the unit's agent remembers.
pub(crate) fn memory_of(state: &State, unit: &str) -> Memory {
    let Some((row, extra)) = state.model.units.get(unit).zip(state.units.get(unit)) else {
        return Memory::default();
    };
    let own = application_of(unit);
    let mut memory = extra.memory.clone();
    for (id, known) in row.relations.iter().filter(|(_, known)| known.created) {
        let Some(relation) = state.model.relations.get(id) else {
            continue;
        };
        let (Some(mine), Some(other)) = (relation.endpoint_of(own), relation.remote_endpoint(own))
        else {
            continue;
        };
        let members = known
            .members
            .iter()
            .map(|(unit, seen)| (unit.clone(), seen.version))
            .collect();
        let note = RelationMemory {
            endpoint: mine.name.clone(),
            remote_application: other.application.clone(),
            peer: relation.is_peer(),
            members,
            changed_pending: known.changed_pending.clone(),
            application: known
                .application_versions
                .get(&other.application)
                .copied()
                .unwrap_or(0),
            broken: known.broken,
        };
        memory.relations.insert(*id, note);
    }
    let attached = |instance: &&StorageInstance| instance.attached;
    memory.storage = row
        .storage
        .iter()
        .filter(attached)
        .map(|instance| instance.id.clone())
        .collect();
    memory
}

/// Lets an installed unit enter the relations it does not know yet, and leave those that began to
/// die before it was told.
pub(crate) fn sync_scopes(state: &mut State, unit: &str) -> bool {
    let installed = state
        .units
        .get(unit)
        .is_some_and(|extra| extra.memory.installed);
    if !installed || state.dying(unit) {
        return false;
    }
    let own = application_of(unit).to_owned();
    let known = |model: &Model, id: &u32| model.units[unit].relations.contains_key(id);
    let fresh: Vec<u32> = state
        .model
        .relations_of(&own)
        .filter(|relation| relation.life == Life::Alive && !known(&state.model, &relation.id))
        .map(|relation| relation.id)
        .collect();
    for id in &fresh {
        state.model.enter_scope(*id, unit);
    }
    let relations = &state.model.units[unit].relations;
    let late: Vec<u32> = relations
        .iter()
        .filter(|(id, known)| {
            !known.created
                && state
                    .model
                    .relations
                    .get(id)
                    .is_none_or(|relation| relation.life != Life::Alive)
        })
        .map(|(id, _)| *id)
        .collect();
    for id in &late {
        state.model.leave_scope(*id, unit);
        if let Some(row) = state.model.units.get_mut(unit) {
            row.relations.remove(id);
        }
    }
    if !late.is_empty() {
        state.tidy();
    }
    !fresh.is_empty() || !late.is_empty()
}

/// Notes that a hook was done. `view` is what it was decided from.
pub(crate) fn note(state: &mut State, unit: &str, hook: &Hook, view: &View, now: Millis) {
    let mut memory = memory_of(state, unit);
    memory.done(hook, view);
    if let Hook::Relation(hook) = hook {
        let relation = memory.relations.get(&hook.relation).cloned();
        write_back(state, unit, hook.relation, relation);
        if hook.event == RelationEvent::Broken {
            forget(state, unit, hook.relation);
        }
    }
    if let Hook::Storage { attached, id } = hook {
        let rows = state.model.units.get_mut(unit).map(|row| &mut row.storage);
        if let Some(rows) = rows {
            if *attached {
                for row in rows.iter_mut().filter(|row| row.id == *id) {
                    row.attached = true;
                }
            } else {
                rows.retain(|row| row.id != *id);
            }
        }
    }
    if let Hook::Secret {
        event,
        id,
        revision,
    } = hook
    {
        note_secret(state, unit, *event, id, *revision, now);
    }
    if let Some(extra) = state.units.get_mut(unit) {
        // Relations and storage are the model's to remember.
        memory.relations.clear();
        memory.storage.clear();
        extra.memory = memory;
        extra.failures = 0;
        extra.retry_at = None;
        extra.last_hook = now;
    }
    state.tidy();
}

fn note_secret(
    state: &mut State,
    unit: &str,
    event: SecretEvent,
    id: &str,
    revision: Option<u32>,
    now: Millis,
) {
    if let Some(secret) = state.model.secrets.get_mut(id) {
        match (event, revision) {
            (SecretEvent::Changed, _) => {
                let latest = secret.latest;
                if let Some(consumer) = secret.consumers.get_mut(unit) {
                    consumer.notified = latest;
                }
            }
            (SecretEvent::Remove, Some(revision)) => {
                if let Some(revision) = secret.revisions.get_mut(&revision) {
                    revision.obsolete_reported = true;
                }
            }
            (SecretEvent::Remove | SecretEvent::Rotate | SecretEvent::Expired, _) => {}
        }
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra
            .secret_hooks
            .insert((event, id.to_owned(), revision), now);
    }
}

fn write_back(state: &mut State, unit: &str, id: u32, memory: Option<RelationMemory>) {
    let row = state.model.units.get_mut(unit);
    let Some((row, memory)) = row.zip(memory) else {
        return;
    };
    let known = row.relations.entry(id).or_default();
    known.created = true;
    known.changed_pending = memory.changed_pending;
    known.broken = memory.broken;
    let mut members = BTreeMap::new();
    for (unit, version) in memory.members {
        let mut member = known
            .members
            .remove(&unit)
            .unwrap_or_else(MemberView::default);
        member.version = version;
        members.insert(unit, member);
    }
    known.members = members;
    known
        .application_versions
        .insert(memory.remote_application, memory.application);
}

/// The unit has nothing more to do with the relation.
pub(crate) fn forget(state: &mut State, unit: &str, id: u32) {
    if let Some(row) = state.model.units.get_mut(unit) {
        row.relations.remove(&id);
    }
    state.model.leave_scope(id, unit);
    state.tidy();
}

/// The secret hooks that are due, in the order changed, expired, rotate, remove.
fn secrets_due(state: &State, unit: &str, now: Millis) -> Vec<(SecretEvent, String, Option<u32>)> {
    let Some(extra) = state.units.get(unit) else {
        return Vec::new();
    };
    let mut due = Vec::new();
    let today = clock::rfc3339(now);
    let past = |at: &Option<String>| at.as_ref().is_some_and(|at| *at <= today);
    for secret in state.model.secrets.values() {
        let id = || secret.id.clone();
        if let Some(consumer) = secret.consumers.get(unit) {
            let news = secret.latest > consumer.revision && secret.latest > consumer.notified;
            if news && secret.latest > 1 && secret.readable_by(unit) {
                due.push((SecretEvent::Changed, id(), None));
            }
        }
        let owns = match &secret.owner {
            SecretOwner::Application(_) => {
                secret.owner.application() == Some(application_of(unit))
                    && state.model.is_leader(unit)
            }
            SecretOwner::Unit(owner) => owner == unit,
            SecretOwner::Model => false,
        };
        if !owns {
            continue;
        }
        let again = |event: SecretEvent, revision: Option<u32>| {
            let last = extra
                .secret_hooks
                .get(&(event, secret.id.clone(), revision));
            last.is_none_or(|at| now >= at + SECRET_AGAIN_MS)
        };
        for (number, revision) in &secret.revisions {
            if past(&revision.expire) && again(SecretEvent::Expired, Some(*number)) {
                due.push((SecretEvent::Expired, id(), Some(*number)));
            }
        }
        if past(&secret.next_rotate) && again(SecretEvent::Rotate, None) {
            due.push((SecretEvent::Rotate, id(), None));
        }
        for revision in secret.obsolete() {
            let reported = secret
                .revisions
                .get(&revision)
                .is_some_and(|r| r.obsolete_reported);
            if !reported {
                due.push((SecretEvent::Remove, id(), Some(revision)));
            }
        }
    }
    due.sort();
    due
}

/// When something becomes due by itself, if nothing else happens.
pub(crate) fn next_due(state: &State, unit: &str, now: Millis) -> Option<Millis> {
    let extra = state.units.get(unit)?;
    if extra.memory.failed.is_some() {
        return extra.retry_at;
    }
    let interval = state.interval("update-status-hook-interval", 300_000);
    let update =
        (interval > 0 && extra.memory.started).then(|| extra.last_hook.saturating_add(interval));
    // Rotation and expiry are looked at once in a while rather than computed.
    let owns = state.model.secrets.values().any(|secret| {
        secret.owner.application() == Some(application_of(unit))
            && (secret.next_rotate.is_some()
                || secret
                    .revisions
                    .values()
                    .any(|revision| revision.expire.is_some()))
    });
    let look = owns.then(|| now + 5_000);
    [update, look].into_iter().flatten().min()
}
