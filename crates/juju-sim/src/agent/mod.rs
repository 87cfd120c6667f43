//! The unit agent: decides what to run, runs it, and takes the result over into the model.

mod context;
mod execute;
mod failure;
mod hook;
mod host;
mod listener;
mod place;
pub(crate) mod process;
pub(crate) mod resolver;
mod run;
mod task;
pub(crate) mod view;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use juju_sim_model::state::{Life, Status};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::daemon::state::{State, UnitExtra};
use crate::daemon::status;
use crate::daemon::world::{Shared, World};
pub(crate) use failure::settled;
use resolver::Operation;

/// Starts a unit's agent in a thread of its own. It ends with the unit.
pub(crate) fn start(world: &Shared, unit: &str) {
    let (world, unit) = (Arc::clone(world), unit.to_owned());
    std::thread::spawn(move || {
        if let Err(error) = place::prepare(&world, &unit) {
            let text = format!("{error:#}");
            world.log(&unit, "ERROR", "juju.machine", &text);
            let mut state = world.state();
            if let Some(row) = state.model.units.get_mut(&unit) {
                row.agent_status = status(Status::Error, &text);
            }
            world.publish(state);
            return;
        }
        let exec = listener::start(&world, &unit);
        live(&world, &unit);
        drop(exec);
        if let Err(error) = place::clear(&world, &unit) {
            world.log(&unit, "ERROR", "juju.machine", &format!("{error:#}"));
        }
        let mut state = world.state();
        state.bury(&unit);
        world.publish(state);
    });
}

/// Runs what is due until the unit is dead.
fn live(world: &World, unit: &str) {
    let mut state = world.state();
    loop {
        let now = state.model.now_ms;
        if !state.units.contains_key(unit) {
            return;
        }
        if view::sync_scopes(&mut state, unit) {
            world.publish(state);
            state = world.state();
            continue;
        }
        let view = view::view_of(&state, unit, now);
        let memory = view::memory_of(&state, unit);
        match resolver::next(&view, &memory, &mut dice(&state, unit)) {
            None => {
                if rest(&mut state, unit) {
                    world.publish(state);
                    state = world.state();
                    continue;
                }
                let due = view::next_due(&state, unit, now);
                let limit =
                    due.map_or(3_600_000, |due| due.saturating_sub(now).clamp(5, 3_600_000));
                state = world.wait(state, Duration::from_millis(limit));
            }
            // Woken by whoever ends its turn.
            Some(_) if !has_turn(&state, unit) => {
                state = world.wait(state, Duration::from_secs(1));
            }
            Some(Operation::Dead) => return,
            Some(Operation::Forget(id)) => {
                view::forget(&mut state, unit, id);
                world.publish(state);
                state = world.state();
            }
            Some(Operation::StorageGone(id)) => {
                if let Some(row) = state.model.units.get_mut(unit) {
                    row.storage.retain(|instance| instance.id != id);
                }
            }
            Some(Operation::Hook(hook)) => {
                drop(state);
                run::hook(world, unit, &hook, &view);
                state = world.state();
            }
            Some(Operation::Task(id)) => {
                drop(state);
                task::task(world, unit, id);
                state = world.state();
            }
        }
    }
}

/// Dice that depend on the model's seed, the unit and what it has run so far, on nothing else.
fn dice(state: &State, unit: &str) -> StdRng {
    let runs = state.units.get(unit).map_or(0, |extra| extra.runs);
    let name = unit.bytes().fold(runs, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    StdRng::seed_from_u64(state.seed ^ name)
}

/// Shows the agent as idle when it has nothing to do; true if it was not shown so before.
fn rest(state: &mut State, unit: &str) -> bool {
    let failed = state
        .units
        .get(unit)
        .is_some_and(|extra| extra.memory.failed.is_some());
    let Some(row) = state.model.units.get_mut(unit).filter(|_| !failed) else {
        return false;
    };
    if row.agent_status.status == Status::Idle {
        return false;
    }
    row.agent_status = status(Status::Idle, "");
    true
}

/// What a unit still has to do, in words.
pub(crate) fn busy(state: &State, unit: &str) -> Option<String> {
    let extra = state.units.get(unit)?;
    if !extra.ready {
        return Some(format!("the machine of {unit} is starting"));
    }
    if extra.running {
        return Some(format!("{unit} is executing"));
    }
    if let Some(failed) = &extra.memory.failed {
        return Some(format!("{unit} has a failed hook: {}", failed.name()));
    }
    if enters(state, unit) {
        return Some(format!("{unit} has a relation to enter"));
    }
    let next = next(state, unit)?;
    Some(format!("{unit} has {next:?} to run"))
}

/// Whether there is a relation that the unit does not know yet.
fn enters(state: &State, unit: &str) -> bool {
    let own = juju_sim_model::state::application_of(unit);
    let known = |id: &u32| {
        state
            .model
            .units
            .get(unit)
            .is_some_and(|row| row.relations.contains_key(id))
    };
    state
        .units
        .get(unit)
        .is_some_and(|extra| extra.memory.installed)
        && !state.dying(unit)
        && state
            .model
            .relations_of(own)
            .any(|r| r.life == Life::Alive && !known(&r.id))
}

fn next(state: &State, unit: &str) -> Option<Operation> {
    let view = view::view_of(state, unit, state.model.now_ms);
    let memory = view::memory_of(state, unit);
    resolver::next(&view, &memory, &mut dice(state, unit))
}

/// The model option that makes units take turns, so that a history does not depend on which
/// machine was faster: the first unit by name that has something to do runs, all others wait.
const IN_TURN: &str = "hooks-in-turn";

fn has_turn(state: &State, unit: &str) -> bool {
    if state
        .model
        .config
        .get(IN_TURN)
        .is_none_or(|value| value != "true")
    {
        return true;
    }
    let waits_for = |(name, extra): (&String, &UnitExtra)| {
        name != unit
            && (!extra.ready
                || extra.running
                || (name.as_str() < unit && (enters(state, name) || next(state, name).is_some())))
    };
    !state.units.iter().any(waits_for)
}
