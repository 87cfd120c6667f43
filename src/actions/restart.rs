//! `restart`: this unit's worker or all of them, in turns.

use connect_core::layout::WORKER_SERVICE;
use connect_core::observation::{Hook, Observation};
use connect_core::plan::Step;
use connect_core::wire;
use serde_json::Value;

use super::{Answer, result};
use crate::dispatch::{self, Error};
use crate::world::World;

pub(super) fn run(id: &str, world: &mut World) -> Result<Answer, Error> {
    let parameters = world.tools.action_parameters().map_err(Error::Ask)?;
    let asked = |name: &str| parameters.get(name).and_then(Value::as_bool) == Some(true);
    let (all, force) = (asked("all"), asked("force"));
    let hook = Hook::RestartRequested {
        id: id.to_owned(),
        all,
        force,
    };
    if all || force {
        let seen = dispatch::look(hook.clone(), world)?;
        if !seen.leader {
            let text = "run this action on the leader to use all or force";
            return Ok(Answer::Refused(text.to_owned()));
        }
    }
    let seen = dispatch::reconcile(hook, world)?;
    Ok(if all {
        let others = units(&seen);
        result(&format!(
            "{} worker(s) restart one after the other; the leader's status shows how far it is",
            others + 1
        ))
    } else if force {
        result("the roll passes over units that are not well; the leader's status shows the rest")
    } else {
        one(&seen)
    })
}

/// How many other units there are.
fn units(seen: &Observation) -> usize {
    let others = seen.peers.iter().flat_map(|peers| peers.others.values());
    others
        .filter(|bag| !wire::peer::read_unit(bag).leaving)
        .count()
}

fn one(seen: &Observation) -> Answer {
    let restart = Step::RestartUnit {
        unit: WORKER_SERVICE.to_owned(),
        reason: String::new(),
    };
    let start = Step::StartUnit {
        unit: WORKER_SERVICE.to_owned(),
    };
    if seen.done.contains(&restart.describe()) {
        result("the worker is being restarted")
    } else if seen.done.contains(&start.describe()) {
        result("the worker was down and is being started")
    } else if seen.host.started.is_some() {
        result("the worker restarts when its turn comes")
    } else {
        Answer::Refused("this unit runs no worker; its status says why".to_owned())
    }
}
