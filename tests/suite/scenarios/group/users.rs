//! Twenty connectors run on three real workers while ten clients come, change their passwords and
//! go, in random order. Nothing of it may be felt by a task.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::journal;
use super::model::{Model, SOON};
use super::workers::{
    Login, UNITS, deploy, file_connector, login, states, wait_all_active, wait_running,
};

const CONNECTORS: usize = 20;
const CLIENTS: usize = 10;
/// From the client's databag until its user works on every unit.
const ADDED: Duration = Duration::from_secs(15);
/// From the removal of a relation until its user is refused on every unit.
const REMOVED: Duration = Duration::from_secs(5);
/// Two records of a task may be this far apart: they are written every 200 ms, a source looks for
/// new lines at least once a second, and all of it shares a machine with a broker.
const SILENCE_MS: u64 = 5_000;

/// Writes a line with the connector's name to each source's file five times a second, on every
/// machine: a task may run anywhere.
fn feed(model: &Model) {
    let names: Vec<String> = (0..CONNECTORS).map(name).collect();
    let feed = format!(
        "while :; do for c in {}; do echo $c >> /var/lib/kafka-connect/tmp/$c.in; done; sleep 0.2; \
         done\n",
        names.join(" ")
    );
    let unit = "[Unit]\nDescription=Feeds\n\n[Service]\nExecStart=/bin/sh /etc/feed.sh\n";
    for machine in UNITS {
        let script = "printf '%s' \"$0\" > /etc/feed.sh && \
                      printf '%s' \"$1\" > /etc/systemd/system/feed.service && \
                      systemctl daemon-reload && systemctl start feed.service";
        model.sim(&["ssh", machine, "sh", "-c", script, &feed, unit]);
    }
}

fn name(number: usize) -> String {
    format!("fed-{number:02}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Add,
    Rotate,
    Remove,
}

/// Every client's three deeds in their order, shuffled with those of the others.
fn deeds(random: &mut StdRng) -> Vec<(usize, Deed)> {
    let mut order: Vec<usize> = (0..CLIENTS).flat_map(|client| [client; 3]).collect();
    order.shuffle(random);
    let mut done = [0; CLIENTS];
    let next = |client: usize| {
        let deed = [Deed::Add, Deed::Rotate, Deed::Remove][done[client]];
        done[client] += 1;
        (client, deed)
    };
    order.into_iter().map(next).collect()
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Waits until a user gets this answer on every unit; says how long after `since` that was.
fn wait_codes(model: &Model, login: &Login, code: &str, since: u64) -> Duration {
    let all = [code; 3].join(" ");
    let what = format!("{} gets {all}", login.username);
    model.wait_until(&what, SOON, || login.codes(model) == all);
    Duration::from_millis(milliseconds().saturating_sub(since))
}

/// Relates a client; its user has to work on every unit soon after it has written its databag.
fn add(model: &Model, application: &str) -> (Login, Duration) {
    let unit = format!("{application}/0");
    let before = model.runs().len();
    model.sim(&["integrate", application, "kafka-connect"]);
    let wrote = model.wait_wrote(application, before);
    let since = model.runs()[wrote].end;
    model.wait_until(&format!("{unit} has credentials"), SOON, || {
        !login(model, &unit).password.is_empty()
    });
    let given = login(model, &unit);
    assert_eq!(given.endpoints.len(), 3, "{:?}", given.endpoints);
    let took = wait_codes(model, &given, "200", since);
    (given, took)
}

/// Gives a client a new password; the old one goes on.
fn rotate(model: &Model, application: &str, old: &Login) -> (Login, Duration) {
    let unit = format!("{application}/0");
    let relation = format!("relation={}", model.client_relation(&unit));
    let since = milliseconds();
    model.action(UNITS[0], &["rotate-credentials", &relation]);
    model.wait_until(&format!("{unit} has a new password"), SOON, || {
        login(model, &unit).password != old.password
    });
    let given = login(model, &unit);
    let took = wait_codes(model, &given, "200", since);
    assert_eq!(old.codes(model), "200 200 200", "the old password works on");
    (given, took)
}

/// Breaks a client's relation: its user has to be refused on every unit soon after the command.
fn remove(model: &Model, application: &str, login: &Login) -> Duration {
    let since = milliseconds();
    model.sim(&["remove-relation", application, "kafka-connect"]);
    wait_codes(model, login, "401", since)
}

/// The longest time between two records of each topic, as the broker has them.
fn silences(model: &Model) -> BTreeMap<String, u64> {
    let results = model.action("kafka/0", &["silences", "topics=fed-.*"]);
    let text = results["silences"].as_str().unwrap();
    let silences: Value = serde_json::from_str(text).unwrap();
    let all = silences.as_object().into_iter().flatten();
    all.map(|(topic, longest)| (topic.clone(), longest.as_u64().unwrap()))
        .collect()
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn ten_clients_come_rotate_and_go_without_a_task_noticing() {
    let seed = std::env::var("SCENARIO_SEED")
        .map_or_else(|_| milliseconds(), |text| text.parse().unwrap());
    println!("SCENARIO_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let model = deploy("3");
    for client in 0..CLIENTS {
        model.deploy_client(&format!("c{client}"), None);
    }
    feed(&model);
    let owner = login(&model, "owner/0");
    for number in 0..CONNECTORS {
        let name = name(number);
        let config = file_connector("Source", &name, &format!("{name}.in"), 1);
        owner.put(&model, &name, &config);
    }
    wait_running(&model, "fed-", CONNECTORS);
    wait_all_active(&model, &UNITS);
    for client in 0..CLIENTS {
        model.wait_status(&format!("c{client}/0"), "active", "unrelated", SOON);
    }
    // The rebalance of the last connector comes after its first task ran.
    journal::wait_calm(&model, &UNITS);
    let begun = journal::now(&model, UNITS[0]);
    let workers = UNITS.map(|unit| model.worker(unit));

    let mut logins: BTreeMap<usize, Login> = BTreeMap::new();
    let mut longest = [Duration::ZERO; 3];
    for (client, deed) in deeds(&mut random) {
        let application = format!("c{client}");
        let took = match deed {
            Deed::Add => {
                let (given, took) = add(&model, &application);
                logins.insert(client, given);
                took
            }
            Deed::Rotate => {
                let (given, took) = rotate(&model, &application, &logins[&client]);
                logins.insert(client, given);
                took
            }
            Deed::Remove => remove(&model, &application, &logins[&client]),
        };
        println!("{deed:?} {application}: {:.1} s", took.as_secs_f64());
        let at = &mut longest[deed as usize];
        *at = took.max(*at);
        let running = states(&model, UNITS[random.random_range(0..3)], "fed-");
        assert_eq!(
            running, ["RUNNING"; CONNECTORS],
            "after {deed:?} {application}"
        );
    }
    assert_eq!(
        UNITS.map(|unit| model.worker(unit)),
        workers,
        "no worker restarts"
    );
    let moved = journal::read(&model, &UNITS).task_events(begun);
    for unit in UNITS {
        model.sim(&["ssh", unit, "systemctl", "stop", "feed.service"]);
    }
    let silences = silences(&model);
    let silent = silences.values().max().copied().unwrap_or(u64::MAX);
    let [added, rotated, removed] = longest.map(|took| took.as_secs_f64());
    println!(
        "{CLIENTS} clients: at most {added:.1} s until an added user works everywhere, {rotated:.1} s until a new \
         password does, {removed:.1} s until a removed one is refused; {moved} tasks stopped or started, \
         {silent} ms at most between two records of one of {} tasks",
        silences.len()
    );
    assert_eq!(silences.len(), CONNECTORS, "{silences:?}");
    assert!(silent < SILENCE_MS, "{silences:?}");
    assert_eq!(moved, 0, "tasks that stopped or started");
    assert!(longest[0] <= ADDED, "{longest:?}");
    assert!(longest[2] <= REMOVED, "{longest:?}");
    model.assert_no_hook_failed();
}

#[test]
fn every_client_is_added_rotated_and_removed_in_this_order() {
    let order = deeds(&mut StdRng::seed_from_u64(7));
    for client in 0..CLIENTS {
        let own: Vec<Deed> = order
            .iter()
            .filter(|(of, _)| *of == client)
            .map(|(_, deed)| *deed)
            .collect();
        assert_eq!(own, [Deed::Add, Deed::Rotate, Deed::Remove]);
    }
}
