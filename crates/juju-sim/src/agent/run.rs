//! Runs one hook: what goes before, the process, commit or not, what comes after.

use std::sync::MutexGuard;

use anyhow::Result;
use juju_sim_model::state::{Status, application_of};

use super::context::Context;
use super::execute::{Ran, What, execute};
use super::resolver::{Hook, View};
use super::{failure, place, view, workload};
use crate::clock;
use crate::daemon::state::{Fault, State};
use crate::daemon::world::World;
use crate::daemon::{add_storage, status};
use crate::log::Entry;

/// Runs a hook and takes note of what became of it.
pub(super) fn hook(world: &World, unit: &str, hook: &Hook, view: &View) {
    let name = hook.name();
    let mut state = world.state();
    begin(
        &mut state,
        unit,
        &format!("running {name} hook"),
        *hook == Hook::UpdateStatus,
    );
    let fault = state
        .units
        .get_mut(unit)
        .and_then(|extra| extra.fault.take());
    workload::before(&mut state, unit, hook);
    world.publish(state);
    let mut entry = entry(unit, hook);
    let done = process(world, unit, hook, fault.as_ref(), &mut entry);
    let mut state = world.state();
    match done {
        Ok(ran) => {
            if fault == Some(Fault::LoseLeadership) {
                lose_leadership(&mut state, unit);
            }
            settle(world, &mut state, unit, ran, &mut entry);
        }
        Err(error) => {
            entry.outcome = "failed";
            entry.exit = -1;
            entry.error = Some(format!("{error:#}"));
        }
    }
    let missed = matches!(fault, Some(Fault::KillAt { .. })) && entry.outcome != "killed";
    if let Some(extra) = state.units.get_mut(unit).filter(|_| missed) {
        // The call it waits for did not come: it stays planned.
        extra.fault = fault;
    }
    let now = clock::now();
    entry.end = now;
    if matches!(entry.outcome, "committed" | "skipped") {
        let failed = state
            .units
            .get(unit)
            .is_some_and(|extra| extra.memory.failed.is_some());
        view::note(&mut state, unit, hook, view, now);
        workload::after(&mut state, unit, hook, failed);
    } else {
        let error = entry.error.clone().unwrap_or_default();
        let text = format!("hook \"{name}\" failed: {error}");
        world.log(unit, "ERROR", "juju.worker.uniter.operation", &text);
        failure::failed(&mut state, unit, hook, now);
    }
    finish(world, state, unit, entry);
}

fn entry(unit: &str, hook: &Hook) -> Entry {
    let mut entry = Entry {
        unit: unit.to_owned(),
        kind: "hook",
        name: hook.name(),
        start: clock::now(),
        ..Entry::default()
    };
    if let Hook::Relation(hook) = hook {
        entry.relation = Some(hook.relation);
        entry.endpoint = Some(hook.endpoint.clone());
        entry.remote_application = Some(hook.remote_application.clone());
        entry.remote_unit.clone_from(&hook.remote_unit);
    }
    entry
}

fn process(
    world: &World,
    unit: &str,
    hook: &Hook,
    fault: Option<&Fault>,
    entry: &mut Entry,
) -> Result<Ran> {
    match hook {
        Hook::UpgradeCharm => place::unpack(world, unit)?,
        Hook::Storage { attached: true, id } => place::provide(world, unit, id)?,
        Hook::Storage { .. }
        | Hook::Install
        | Hook::LeaderElected
        | Hook::ConfigChanged
        | Hook::Start
        | Hook::UpdateStatus
        | Hook::Stop
        | Hook::Remove
        | Hook::Relation(_)
        | Hook::Secret { .. } => {}
    }
    let mut state = world.state();
    let context = Context::for_hook(&mut state, unit, hook)?;
    drop(state);
    let name = hook.name();
    execute(world, unit, context, What::Hook(&name), fault, entry)
}

/// Commits what the hook has asked for if it went well, drops it otherwise.
fn settle(world: &World, state: &mut State, unit: &str, ran: Ran, entry: &mut Entry) {
    if !matches!(entry.outcome, "" | "skipped") {
        let reason = entry.error.clone().unwrap_or_default();
        ran.context.discard(state, &reason);
        return;
    }
    match ran.context.commit(state) {
        Ok(done) => {
            for store in &done.storage {
                add_storage(state, unit, store);
            }
            entry.commit = done.record;
            if entry.outcome.is_empty() {
                entry.outcome = "committed";
            }
        }
        Err(refused) => refuse(world, unit, &refused.fault, refused.record, entry),
    }
}

/// The controller refused the commit.
pub(super) fn refuse(
    world: &World,
    unit: &str,
    fault: &str,
    kept: serde_json::Value,
    entry: &mut Entry,
) {
    let text = format!("cannot apply changes: {fault}");
    world.log(unit, "ERROR", "juju.worker.uniter.context", &text);
    entry.outcome = "refused";
    entry.error = Some(text);
    entry.commit = kept;
}

/// Marks the unit as busy.
pub(super) fn begin(state: &mut State, unit: &str, message: &str, quiet: bool) {
    if let Some(row) = state.model.units.get_mut(unit).filter(|_| !quiet) {
        row.agent_status = status(Status::Executing, message);
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra.running = true;
        extra.runs += 1;
    }
}

/// Marks the unit as free again and logs what it did.
pub(super) fn finish(
    world: &World,
    mut state: MutexGuard<'_, State>,
    unit: &str,
    mut entry: Entry,
) {
    state.sequence += 1;
    entry.sequence = state.sequence;
    if let Some(extra) = state.units.get_mut(unit) {
        extra.running = false;
    }
    // Before the state is published: whoever sees the change finds it in the log.
    world.logs.finished(&entry);
    world.publish(state);
}

/// Gives leadership to another unit, or takes it away for a moment if there is none.
fn lose_leadership(state: &mut State, unit: &str) {
    let name = application_of(unit).to_owned();
    let units: Vec<String> = state
        .model
        .units_of(&name)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let other = units
        .into_iter()
        .find(|other| other != unit && !state.dying(other));
    if let Some(extra) = state.units.get_mut(unit) {
        extra.memory.elected = false;
    }
    if let Some(application) = state.model.applications.get_mut(&name) {
        application.leader = other;
    }
}
