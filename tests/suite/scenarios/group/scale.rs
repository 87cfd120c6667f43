//! A cluster grows to three workers and shrinks to one under a client that asks the first endpoint
//! of its databag and no other. The unit that leads the model and the one that leads the group leave.

use std::time::{Duration, Instant};

use super::journal;
use super::model::{Model, SOON};
use super::used::{assert_written, used, wait_used};
use super::workers::{ROLL, UNITS, deploy, login, states, wait_all_active};

const CLIENT: &str = "owner/0";
/// For so long the client goes on after the last change.
const AFTER: Duration = Duration::from_secs(15);

fn wait_endpoints(model: &Model, count: usize) {
    let start = Instant::now();
    let what = format!("the client has {count} endpoints");
    model.wait_until(&what, ROLL, || {
        login(model, CLIENT).endpoints.len() == count
    });
    println!("{what} after {:.1} s", start.elapsed().as_secs_f64());
}

/// What the client has noticed so far: nothing.
fn unharmed(model: &Model, when: &str) -> u64 {
    let seen = used(model, CLIENT);
    println!(
        "{when}: {} requests, {} of them PUT, {} failed; longest GET {} ms, PUT {} ms",
        seen.requests,
        seen.puts,
        seen.failures.len(),
        seen.longest_ms,
        seen.longest_put_ms
    );
    assert_eq!(seen.failures, Vec::<String>::new(), "{when}");
    seen.requests
}

/// The unit that Juju has as the leader.
fn leader(model: &Model) -> usize {
    let leads = |unit: &&str| {
        model
            .sim(&["exec", "--unit", unit, "--", "is-leader"])
            .trim()
            == "True"
    };
    UNITS.iter().position(leads).expect("a leader")
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn one_to_three_to_one_under_a_client_of_the_first_endpoint() {
    let model = deploy("1");
    model.action(CLIENT, &["use", "mode=first", "seconds=0.2", "puts=5"]);
    wait_used(&model, CLIENT, 20);
    let worker = model.worker(UNITS[0]);
    unharmed(&model, "one unit");

    model.sim(&["add-unit", "kafka-connect", "-n", "2"]);
    wait_endpoints(&model, 3);
    wait_all_active(&model, &UNITS);
    assert_eq!(model.worker(UNITS[0]), worker, "no other worker restarts");
    assert_eq!(login(&model, CLIENT).codes(&model), "200 200 200");
    unharmed(&model, "three units");

    let juju = leader(&model);
    let group = journal::group_leader(&model, &UNITS);
    let last = (0..3)
        .rev()
        .find(|unit| ![juju, group].contains(unit))
        .expect("a third");
    let leaving: Vec<&str> = (0..3)
        .filter(|unit| *unit != last)
        .map(|unit| UNITS[unit])
        .collect();
    println!(
        "leader {}, group leader {}; {leaving:?} leave",
        UNITS[juju], UNITS[group]
    );
    let survivor = model.worker(UNITS[last]);
    let before = model.runs().len();
    model.sim(&[&["remove-unit"], leaving.as_slice()].concat());
    wait_endpoints(&model, 1);
    model.wait_until("both units are gone", ROLL, || {
        let shown = model.sim(&["status"]);
        leaving.iter().all(|unit| !shown.contains(*unit))
    });
    wait_all_active(&model, &[UNITS[last]]);
    let asked = unharmed(&model, "one unit again");
    model.wait_until("the client goes on", AFTER + SOON, || {
        used(&model, CLIENT).requests >= asked + 50
    });
    unharmed(&model, "at the end");
    let owner = login(&model, CLIENT);
    assert_eq!(used(&model, CLIENT).urls.last(), owner.endpoints.first());
    assert_eq!(
        model.worker(UNITS[last]),
        survivor,
        "the last worker never restarts"
    );
    model.wait_until("its connector runs", SOON, || {
        states(&model, UNITS[last], "used-") == ["RUNNING"]
    });
    assert_written(&model, CLIENT, &owner);
    // What wakes a unit may come late: it must not put back what `stop` has taken away.
    for unit in &leaving {
        let runs = model.runs();
        let of_unit: Vec<_> = runs
            .iter()
            .skip(before)
            .filter(|run| run.unit == *unit)
            .collect();
        let names: Vec<&str> = of_unit.iter().map(|run| run.name.as_str()).collect();
        println!("{unit}: {}", names.join(" "));
        assert!(names.contains(&"stop"), "{names:?}");
    }
    model.assert_no_hook_failed();
}
