//! The logs of the workers of a model, and the machines' clock in the logs' words.

use std::time::{Duration, Instant};

use testkit::journal::{Journal, Moment, leader_url, moment};

use super::model::Model;

const LOG: &str = "/var/log/kafka-connect/worker.log";

/// More than the session timeout, in which the group notices nothing of a member, and than tasks may
/// take to stop before they move (5 s).
const CALM: Duration = Duration::from_secs(8);

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

/// Kills a unit's worker as if its machine had failed; says when.
pub(super) fn kill(model: &Model, unit: &str) -> Moment {
    let script = "date '+[%F %T,%3N]' && kill -9 $(systemctl show -p MainPID --value \
                  kafka-connect.service)";
    stamp(&model.sim(&["ssh", unit, "sh", "-c", script]))
}

/// The unit whose worker leads the group, as the log of one of its members tells.
pub(super) fn group_leader(model: &Model, units: &[&str]) -> usize {
    let log = model.sim(&["ssh", units[0], "cat", LOG]);
    let url = leader_url(&log).unwrap_or_default();
    let leads = |unit: &&str| {
        let properties = "/etc/kafka-connect/worker.properties";
        let text = model.sim(&["ssh", unit, "cat", properties]);
        let host = text
            .lines()
            .find_map(|line| line.strip_prefix("rest.advertised.host.name="));
        host.is_some_and(|host| url.contains(&format!("//{}:", host.trim())))
    };
    units
        .iter()
        .position(leads)
        .expect("a unit has the address in the URL of the group's leader")
}

fn stamp(text: &str) -> Moment {
    moment(text).expect("a time as the logs write it")
}
