//! The logs of the workers of a model, and the machines' clock in the logs' words.

use std::time::{Duration, Instant};

use testkit::journal::{Journal, Moment, moment};

use super::model::Model;

const LOG: &str = "/var/log/kafka-connect/worker.log";

/// More than the session timeout, in which the group notices nothing of a member.
const CALM: Duration = Duration::from_secs(5);

/// What the workers of these units did so far.
pub(super) fn read(model: &Model, units: &[&str]) -> Journal {
    let log = |unit: &&str| model.sim(&["ssh", unit, "cat", LOG]);
    Journal::of(&units.iter().map(log).collect::<Vec<String>>())
}

/// Waits until no task has stopped or begun to run for a while: the group has nothing left to do.
pub(super) fn wait_calm(model: &Model, units: &[&str]) {
    let events = || read(model, units).task_events(0);
    let (mut seen, mut since, begun) = (events(), Instant::now(), Instant::now());
    while since.elapsed() < CALM {
        assert!(
            begun.elapsed() < CALM * 20,
            "tasks keep moving: {seen} events"
        );
        std::thread::sleep(Duration::from_millis(500));
        let now = events();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
}

/// What the machines' clock says.
pub(super) fn now(model: &Model, unit: &str) -> Moment {
    stamp(&model.sim(&["ssh", unit, "date", "+[%F %T,%3N]"]))
}

fn stamp(text: &str) -> Moment {
    moment(text).expect("a time as the logs write it")
}
