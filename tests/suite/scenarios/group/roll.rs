//! Three real workers with thirty tasks: a rolling restart and a crash, measured by the workers'
//! own logs beside the same with upstream's defaults, while a client uses the REST API.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::journal::{Gap, Moment};

use super::journal;
use super::model::{Model, SOON};
use super::used::{assert_written, used, wait_used};
use super::workers::{
    Login, ROLL, UNITS, deploy, file_connector, login, wait_all_active, wait_running,
};

const TASKS: usize = 30;
/// Each measurement with upstream's defaults ends after this long: what is still open counts as
/// longer.
const CUT: Duration = Duration::from_secs(120);
/// What Kafka Connect does where nothing is set.
const UPSTREAM: [&str; 3] = [
    "rebalance-delay-ms=300000",
    "session-timeout-ms=10000",
    "heartbeat-interval-ms=3000",
];
/// How many times shorter ours have to be.
const FACTOR: u64 = 10;

/// Three sinks of ten tasks each.
fn thirty_tasks(model: &Model) -> Login {
    let owner = login(model, "owner/0");
    for number in 0..3 {
        let file = format!("sink-{number}.out");
        let config = file_connector("Sink", "orders", &file, TASKS / 3);
        owner.put(model, &format!("sink-{number}"), &config);
    }
    wait_running(model, "sink-", TASKS);
    owner
}

fn longest(gaps: &BTreeMap<String, Gap>) -> Gap {
    let sinks = gaps.iter().filter(|(task, _)| task.starts_with("sink-"));
    *sinks.map(|(_, gap)| gap).max().expect("a task that moved")
}

/// Waits until all is as it was before.
fn settle(model: &Model) {
    wait_all_active(model, &UNITS);
    journal::wait_calm(model, &UNITS);
    wait_running(model, "sink-", TASKS);
}

/// Changes an option that needs a restart, and shows how the units restart for it; says when.
fn roll(model: &Model, settings: &[&str]) -> Moment {
    let leader = journal::group_leader(model, &UNITS);
    let begun = journal::now(model, UNITS[0]);
    model.sim(&[&["config", "kafka-connect"], settings].concat());
    let restarted = || journal::read(model, &UNITS).starts(3, begun);
    model.wait_until("every worker restarts", ROLL, || {
        restarted().iter().all(|starts| *starts > 0)
    });
    wait_all_active(model, &UNITS);
    let journal = journal::read(model, &UNITS);
    assert_eq!(journal.starts(3, begun), [1, 1, 1], "restarts of each unit");
    let mut down = journal.downtimes(begun);
    down.sort_by_key(|(_, from, _)| *from);
    let shown: Vec<String> = down
        .iter()
        .map(|(unit, from, to)| {
            let second = |at: &Moment| at.saturating_sub(begun) / 100;
            format!("unit {unit} {}..{}", second(from), second(to))
        })
        .collect();
    println!(
        "down, in tenths of a second since {settings:?}: {}",
        shown.join(", ")
    );
    for pair in down.windows(2) {
        assert!(
            pair[0].2 <= pair[1].1,
            "two workers are down at once: {shown:?}"
        );
    }
    assert_eq!(down.len(), 3, "{shown:?}");
    assert_eq!(
        down[2].0, leader,
        "the group's leader comes last: {shown:?}"
    );
    begun
}

/// The units whose worker does not lead the group: upstream has the leader's tasks move at once,
/// whatever its delay.
fn followers(model: &Model) -> [usize; 2] {
    let leader = journal::group_leader(model, &UNITS);
    let others: Vec<usize> = (0..3).filter(|unit| *unit != leader).collect();
    [others[0], others[1]]
}

/// Kills a worker; says when, and which tasks were lost with it.
fn crash(model: &Model, unit: usize) -> (Moment, Vec<String>) {
    let killed = journal::kill(model, UNITS[unit]);
    let tasks = journal::read(model, &UNITS).tasks_on(unit, killed);
    let lost: Vec<String> = tasks
        .into_iter()
        .filter(|task| task.starts_with("sink-"))
        .collect();
    assert!(lost.len() >= 5, "only {lost:?} ran on {}", UNITS[unit]);
    (killed, lost)
}

/// Gaps so far, of the tasks that stopped since then and of those that were lost then.
fn gaps(model: &Model, since: Moment, lost: &[String]) -> BTreeMap<String, Gap> {
    let now = journal::now(model, UNITS[0]);
    journal::read(model, &UNITS).gaps(since, now, lost)
}

/// Waits until tasks that were lost run again, or the time is over.
fn watch(model: &Model, since: Moment, lost: &[String]) {
    let limit = u64::try_from(CUT.as_millis()).unwrap();
    model.wait_until("the lost tasks run, or take too long", CUT + SOON, || {
        let now = journal::now(model, UNITS[0]);
        let gaps = gaps(model, since, lost);
        now >= since + limit || lost.iter().all(|task| !gaps[task].open)
    });
}

/// The longest gap of a task when one worker is killed, once everything is as it was before.
fn crash_with_ours(model: &Model) -> Gap {
    let (killed, lost) = crash(model, followers(model)[1]);
    watch(model, killed, &lost);
    settle(model);
    longest(&gaps(model, killed, &lost))
}

/// The longest gaps of a task when one worker is restarted and another one killed, until the second
/// has had its time. One delay counts for both, from the first: the second gets less of it.
fn both_with_upstreams(model: &Model) -> (Gap, Gap) {
    let [first, second] = followers(model);
    let begun = journal::now(model, UNITS[0]);
    model.action(UNITS[first], &["restart"]);
    model.wait_until("the restarted worker serves", SOON, || {
        let down = journal::read(model, &UNITS).downtimes(begun);
        down.iter()
            .any(|(unit, _, to)| *unit == first && *to < Moment::MAX)
    });
    let (killed, lost) = crash(model, second);
    watch(model, killed, &lost);
    let after_crash = gaps(model, killed, &lost);
    let of_lost = after_crash
        .into_iter()
        .filter(|(task, _)| lost.contains(task))
        .collect();
    let of_restart = gaps(model, begun, &[])
        .into_iter()
        .filter(|(task, _)| !lost.contains(task))
        .collect();
    (longest(&of_restart), longest(&of_lost))
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn workers_restart_in_turns_with_gaps_ten_times_shorter_than_upstreams() {
    let model = deploy("3");
    thirty_tasks(&model);
    settle(&model);
    wait_archived(&model);

    let begun = roll(&model, &["worker-config=offset.flush.interval.ms=7000"]);
    settle(&model);
    let rolled = longest(&gaps(&model, begun, &[]));
    println!("longest gap of a task in a roll {rolled}");
    assert!(UNITS.iter().all(|unit| is_warm(&model, unit)));
    let crashed = crash_with_ours(&model);
    println!("longest gap of a task after kill -9 {crashed}");
    roll(&model, &UPSTREAM);
    settle(&model);
    let (rolled_upstream, crashed_upstream) = both_with_upstreams(&model);

    println!("longest gap of a task: ours, with upstream's defaults (cut off after {CUT:?})");
    println!("one worker restarts: {rolled}, {rolled_upstream}");
    println!("kill -9: {crashed}, {crashed_upstream}");
    for (ours, upstream) in [(rolled, rolled_upstream), (crashed, crashed_upstream)] {
        assert!(!ours.open, "{ours}");
        assert!(
            ours.milliseconds * FACTOR <= upstream.milliseconds,
            "{ours} is not {FACTOR} times shorter than {upstream}"
        );
    }
    model.assert_no_hook_failed();
}

/// Waits until each unit has archived its worker's classes, which goes on behind everything else.
fn wait_archived(model: &Model) {
    let made = ["test", "-e", "/var/cache/kafka-connect/worker.key"];
    let is_made = |unit: &&str| {
        let made = model.attempt(&[&["ssh", unit][..], &made].concat());
        made.status.success()
    };
    model.wait_until("the workers' classes are archived", SOON, || {
        UNITS.iter().all(is_made)
    });
}

/// Whether a unit's worker has its classes from the archive.
fn is_warm(model: &Model, unit: &str) -> bool {
    let script = "cat /proc/$(systemctl show -p MainPID --value kafka-connect.service)/maps";
    let maps = model.sim(&["ssh", unit, "sh", "-c", script]);
    maps.contains("/var/cache/kafka-connect/worker.jsa")
}

/// What clients notice of a roll that read and write every second, at these doors.
fn roll_under_clients(mode: &str, doors: u8) {
    let model = &deploy("3");
    let owner = thirty_tasks(model);
    settle(model);
    let mode = format!("mode={mode}");
    model.action("owner/0", &["use", &mode, "seconds=1", "puts=1"]);
    wait_used(model, "owner/0", 4 * u64::from(doors));
    let begun = roll(model, &["worker-config=offset.flush.interval.ms=7000"]);
    let seen = used(model, "owner/0");
    let rolled = longest(&gaps(model, begun, &[]));
    println!(
        "a roll under clients ({mode}): {} requests, {} of them PUT, {} failed; longest \
         GET {} ms, PUT {} ms; longest gap of a task {rolled}",
        seen.requests,
        seen.puts,
        seen.failures.len(),
        seen.longest_ms,
        seen.longest_put_ms
    );
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.urls.len(), usize::from(doors), "{:?}", seen.urls);
    assert!(seen.puts > 10 * u64::from(doors), "{}", seen.puts);
    assert_written(model, "owner/0", &owner);
    settle(model);
    model.assert_no_hook_failed();
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_client_that_reads_and_writes_every_second_notices_nothing_of_a_roll() {
    roll_under_clients("first", 1);
}

#[test]
#[ignore = "needs root, real Kafka; run by make long"]
fn clients_of_every_door_notice_nothing_of_a_roll() {
    roll_under_clients("all", 3);
}
