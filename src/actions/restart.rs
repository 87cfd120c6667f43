//! `restart`: this unit's worker, in its turn.

use connect_core::layout::WORKER_SERVICE;
use connect_core::observation::Hook;
use connect_core::plan::Step;

use super::{Answer, result};
use crate::dispatch::{self, Error};
use crate::world::World;

pub(super) fn run(id: &str, world: &mut World) -> Result<Answer, Error> {
    let hook = Hook::RestartRequested { id: id.to_owned() };
    let seen = dispatch::reconcile(hook, world)?;
    let restart = Step::RestartUnit {
        unit: WORKER_SERVICE.to_owned(),
        reason: String::new(),
    };
    let start = Step::StartUnit {
        unit: WORKER_SERVICE.to_owned(),
    };
    Ok(if seen.done.contains(&restart.describe()) {
        result("the worker is being restarted")
    } else if seen.done.contains(&start.describe()) {
        result("the worker was down and is being started")
    } else if seen.host.started.is_some() {
        result("the worker restarts when its turn comes")
    } else {
        Answer::Refused("this unit runs no worker; its status says why".to_owned())
    })
}
