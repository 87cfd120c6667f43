//! Runs an action or a juju-exec command and keeps its result.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_sim_model::context::ActionStatus;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::execute::{Ran, What, execute};
use super::run::{begin, finish, refuse};
use crate::clock;
use crate::daemon::state::{State, Task, TaskKind, TaskStatus};
use crate::daemon::world::World;
use crate::log::Entry;

/// What is kept of a task.
#[derive(Default)]
struct Kept {
    results: Map<String, Value>,
    message: String,
    failed: bool,
    log: Vec<String>,
}

/// Runs a task. A failure never puts the unit into error.
pub(super) fn task(world: &World, unit: &str, id: u64) {
    let mut state = world.state();
    let Some(task) = state.tasks.get_mut(&id) else {
        return;
    };
    task.status = TaskStatus::Running;
    task.started = clock::now();
    let task = task.clone();
    let (kind, name) = match &task.kind {
        TaskKind::Action { name, .. } => ("action", name.clone()),
        TaskKind::Exec { .. } => ("exec", String::new()),
    };
    let failed = state
        .units
        .get(unit)
        .is_some_and(|extra| extra.memory.failed.is_some());
    // The error of a failed hook stays in sight.
    begin(
        &mut state,
        unit,
        format!("running {kind} {name}").trim_end(),
        failed,
    );
    world.publish(state);
    let start = clock::now();
    let mut entry = Entry {
        unit: unit.to_owned(),
        kind,
        name,
        start,
        ..Entry::default()
    };
    let done = process(world, unit, &task, &mut entry);
    let mut state = world.state();
    let kept = match done {
        Ok(ran) => settle(world, &mut state, unit, ran, &mut entry),
        Err(error) => {
            let message = format!("{error:#}");
            entry.outcome = "failed";
            entry.exit = -1;
            entry.error = Some(message.clone());
            Kept {
                message,
                failed: true,
                ..Kept::default()
            }
        }
    };
    entry.end = clock::now();
    if let Some(task) = state.tasks.get_mut(&id) {
        task.results = kept.results;
        task.message = kept.message;
        task.log = kept.log;
        task.completed = entry.end;
        task.status = if kept.failed {
            TaskStatus::Failed
        } else {
            TaskStatus::Completed
        };
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra.last_hook = entry.end;
    }
    finish(world, state, unit, entry);
}

fn process(world: &World, unit: &str, task: &Task, entry: &mut Entry) -> Result<Ran> {
    let mut state = world.state();
    let context = Context::for_task(&mut state, unit, task)?;
    drop(state);
    let what = match &task.kind {
        TaskKind::Action { name, .. } => What::Action(name),
        TaskKind::Exec { commands, .. } => What::Commands(commands),
    };
    execute(world, unit, context, what, None, entry)
}

fn settle(world: &World, state: &mut State, unit: &str, ran: Ran, entry: &mut Entry) -> Kept {
    if entry.outcome == "skipped" {
        entry.outcome = "failed";
        entry.error = Some(format!("action not implemented on unit \"{unit}\""));
    }
    let mut kept = Kept {
        log: ran.context.progress(),
        ..Kept::default()
    };
    let outcome = if entry.outcome.is_empty() {
        match ran.context.commit(state) {
            Ok(done) => {
                for store in &done.storage {
                    crate::daemon::add_storage(state, unit, store);
                }
                entry.commit = done.record;
                entry.outcome = "committed";
                done.outcome
            }
            Err(refused) => {
                refuse(world, unit, &refused.fault, refused.record, entry);
                refused.outcome
            }
        }
    } else {
        let reason = entry.error.clone().unwrap_or_default();
        ran.context.discard(state, &reason)
    };
    if let Some(outcome) = outcome {
        kept.results = outcome.results;
        kept.message = outcome.message;
        kept.failed = outcome.status == ActionStatus::Failed;
    } else {
        kept.failed = entry.outcome != "committed";
        // A command's exit status says it all.
        let told = entry.outcome == "failed";
        kept.message = entry.error.clone().filter(|_| !told).unwrap_or_default();
    }
    output(&mut kept.results, "stdout", &ran.ended.stdout);
    output(&mut kept.results, "stderr", &ran.ended.stderr);
    kept.results.insert("return-code".into(), json!(entry.exit));
    kept
}

fn output(results: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        // A refused commit has left its reason here already.
        let before = results.get(key).and_then(Value::as_str).unwrap_or_default();
        results.insert(key.into(), json!(format!("{text}{before}")));
    } else {
        results.insert(key.into(), json!(STANDARD.encode(bytes)));
        results.insert(format!("{key}-encoding"), json!("base64"));
    }
}
