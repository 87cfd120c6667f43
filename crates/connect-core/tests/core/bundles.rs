//! Plugins that come, fail, change and differ, from a client's request to the worker.

use connect_core::observation::{ConfigValue, Hook, Reading, Resource};
use connect_core::plan::State;

use crate::world::*;

const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

#[test]
fn a_client_at_fault_is_named_and_alone() {
    for (fault, expected) in [
        (
            ("plugin-url", "ftp://x"),
            "connect-client:8 (bad): plugin-url must be an http or https",
        ),
        (
            ("requested-secrets", "x"),
            "connect-client:8 (bad): requested-secrets must be a JSON list",
        ),
        (
            ("plugin-url", "http://10.1.1.9/404"),
            "connect-client:8 (bad): plugin-url: HTTP 404",
        ),
        (
            ("version", "v1"),
            "connect-client:8 (bad): version is a protocol version",
        ),
    ] {
        let mut world = World::new(2);
        let served = Served::Fault("HTTP 404".to_owned());
        world
            .plugins
            .insert("http://10.1.1.9/404".to_owned(), served);
        world.add_client(7, "good", "NOT-REQUIRED");
        world.add_client(8, "bad", "NOT-REQUIRED");
        let client = world.clients.get_mut(&8).unwrap();
        client.theirs.insert(fault.0.to_owned(), fault.1.to_owned());
        world.settle();
        world.assert_sound();
        assert!(published(&world, 7) && !published(&world, 8));
        for number in 0..2 {
            let status = world.hook(number, reconcile()).last.status;
            assert_eq!(status.state, State::Active);
            assert!(status.message.starts_with(expected), "{}", status.message);
        }
        // The cause goes, and with it the fault.
        let archive = Served::Empty;
        world
            .plugins
            .insert("http://10.1.1.9/404".to_owned(), archive);
        if fault.1 != "http://10.1.1.9/404" {
            let client = world.clients.get_mut(&8).unwrap();
            client.theirs = bag(&[("plugin-url", "NOT-REQUIRED"), ("requested-secrets", FIVE)]);
        }
        if fault.1 == "http://10.1.1.9/404" {
            // Not before its time: no hook waits for a server that has just failed.
            world.settle();
            assert!(!published(&world, 8));
        }
        world.now += 30;
        world.settle();
        world.assert_sound();
        assert!(published(&world, 8));
        assert_eq!(world.hook(0, reconcile()).last.status.message, "");
    }
}

#[test]
fn a_changed_plugin_is_swapped_and_the_old_one_stays_until_then() {
    let mut world = World::new(2);
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    let before = world.clients[&7].ours.clone();
    let next = "http://10.1.1.9/next";
    world
        .clients
        .get_mut(&7)
        .unwrap()
        .theirs
        .insert("plugin-url".to_owned(), next.to_owned());
    world.settle();
    for machine in world.units.values() {
        assert!(
            machine.host.bundles.contains_key("aaaa"),
            "not fetched yet: the old one stays"
        );
    }
    world.serve_plugin(next, "bbbb");
    world.settle();
    world.assert_sound();
    for machine in world.units.values() {
        let store: Vec<&String> = machine.host.bundles.keys().collect();
        assert_eq!(store, ["bbbb"]);
        assert!(machine.host.retired.is_empty());
    }
    let after = &world.clients[&7].ours;
    assert_eq!(after["secret-user"], before["secret-user"]);
    assert_eq!(after["endpoints"], before["endpoints"]);
    assert!(after["data"].contains(next));
}

#[test]
fn units_that_got_different_bundles_agree_in_the_end() {
    let mut world = World::new(2);
    world.settle();
    world.add_client(7, "mysql", URL);
    world.serve_plugin(URL, "aaaa");
    world.hook(0, reconcile());
    world.serve_plugin(URL, "bbbb");
    world.settle();
    assert!(!published(&world, 7));
    let message = world.hook(0, reconcile()).last.status.message;
    assert!(
        message.contains("connect-client:7 (mysql): waiting for kafka-connect/1"),
        "{message}"
    );
    world.hook(0, Hook::UpdateStatus);
    world.settle();
    world.assert_sound();
    assert!(published(&world, 7));
    assert!(
        world
            .units
            .values()
            .all(|machine| machine.host.bundles.len() == 1)
    );
}

#[test]
fn a_first_start_waits_for_the_plugins_on_their_way() {
    let mut world = World::new(1);
    world.kafka.clear();
    world.settle();
    world.kafka.insert(3, answered_kafka());
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    world.assert_sound();
    assert!(published(&world, 7));
    assert_eq!(starts(&world), [1]);
}

fn set(world: &mut World, option: &str, value: &str) {
    let value = ConfigValue::Text(value.to_owned());
    world.config.insert(option.to_owned(), value);
}

#[test]
fn a_plugin_that_is_not_allowed_is_refused_alone_and_heals_with_the_option() {
    for (option, closed, open) in [
        ("plugin-allowed-hosts", ".example.com", "10.1.1.5"),
        ("plugin-allowed-sha256", TWO, ONE),
    ] {
        let mut world = World::new(2);
        set(&mut world, option, closed);
        world.serve_plugin(URL, ONE);
        world.add_client(7, "mysql", URL);
        world.add_client(8, "good", "NOT-REQUIRED");
        world.settle();
        world.assert_sound();
        assert!(published(&world, 8) && !published(&world, 7), "{option}");
        let status = world.hook(1, reconcile()).last.status;
        assert_eq!(status.state, State::Active);
        let expected = "connect-client:7 (mysql): plugin-url: the operator does not allow it";
        assert_eq!(status.message, expected);
        // The failure is seconds old: other terms do not wait for it to age.
        set(&mut world, option, open);
        world.settle();
        world.assert_sound();
        assert!(published(&world, 7), "{option}");
        assert_eq!(world.hook(1, reconcile()).last.status.message, "");
    }
}

#[test]
fn lists_that_leave_out_what_runs_say_so_and_stop_nothing() {
    for (option, value) in [
        ("plugin-allowed-hosts", "repo.example.com"),
        ("plugin-allowed-sha256", TWO),
    ] {
        let mut world = World::new(2);
        world.serve_plugin(URL, ONE);
        world.add_client(7, "mysql", URL);
        world.settle();
        let before = (starts(&world), world.clients[&7].ours.clone());
        set(&mut world, option, value);
        world.settle();
        world.assert_sound();
        assert_eq!((starts(&world), world.clients[&7].ours.clone()), before);
        for machine in world.units.values() {
            assert!(machine.host.bundles.contains_key(ONE));
        }
        let status = world.hook(1, reconcile()).last.status;
        assert_eq!(status.state, State::Active);
        let expected = format!(
            "connect-client:7 (mysql): plugin-url: not in {option}; what is here already stays"
        );
        assert_eq!(status.message, expected);
        // A unit that has nothing yet gets nothing.
        world.add_unit(2);
        world.settle();
        world.assert_sound();
        assert!(!world.units[&2].host.bundles.contains_key(ONE));
        world.config.clear();
        world.settle();
        assert!(world.units[&2].host.bundles.contains_key(ONE));
        assert_eq!(world.hook(1, reconcile()).last.status.message, "");
    }
}

#[test]
fn a_list_that_cannot_be_read_lets_nothing_in() {
    let mut world = World::new(1);
    world.settle();
    set(&mut world, "plugin-allowed-sha256", "5891b5");
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    assert!(world.units[&0].host.bundles.is_empty());
    let status = world.hook(0, reconcile()).last.status;
    let expected = "option plugin-allowed-sha256: `5891b5` is not a SHA-256 of 64 hex digits";
    assert_eq!(
        (status.state, status.message.as_str()),
        (State::Blocked, expected)
    );
    world.config.clear();
    world.settle();
    world.assert_sound();
    assert!(published(&world, 7));
}

/// How often each worker began to start since.
fn started_since(world: &World, before: &[u32]) -> Vec<u32> {
    let now = starts(world);
    now.iter()
        .zip(before)
        .map(|(now, before)| now - before)
        .collect()
}

/// Once the interval between two looks has passed on every unit.
fn look(world: &mut World) {
    world.now += 600;
    for number in world.units.keys().copied().collect::<Vec<_>>() {
        world.hook(number, Hook::UpdateStatus);
    }
    world.settle();
    world.assert_sound();
}

#[test]
fn new_content_at_the_same_url_is_noticed_and_swapped_in_one_roll() {
    let mut world = World::new(3);
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    let (before, asked) = (world.clients[&7].ours.clone(), world.fetches);
    let first = starts(&world);
    look(&mut world);
    assert_eq!(started_since(&world, &first), [0, 0, 0], "nothing is new");
    assert_eq!(world.fetches, asked + 3);
    world.serve_plugin(URL, TWO);
    world.hook(0, Hook::UpdateStatus);
    world.settle();
    assert_eq!(world.fetches, asked + 3, "not yet");
    look(&mut world);
    assert_eq!(started_since(&world, &first), [1, 1, 1]);
    for machine in world.units.values() {
        let store: Vec<&String> = machine.host.bundles.keys().collect();
        assert_eq!(store, [TWO]);
        assert!(machine.host.retired.is_empty());
    }
    assert_eq!(world.clients[&7].ours, before);
}

#[test]
fn units_do_not_wait_for_the_next_look_to_agree_on_what_is_new() {
    let mut world = World::new(2);
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    let first = starts(&world);
    world.serve_plugin(URL, TWO);
    world.now += 600;
    world.hook(0, Hook::UpdateStatus);
    world.settle();
    world.assert_sound();
    assert_eq!(started_since(&world, &first), [1, 1]);
    assert!(world.units[&1].host.bundles.contains_key(TWO));
}

#[test]
fn a_server_that_is_down_after_the_first_fetch_changes_nothing() {
    let mut world = World::new(2);
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    let (before, served) = (world.clients[&7].ours.clone(), world.plugins.clone());
    let first = starts(&world);
    world.plugins.clear();
    for _ in 0..3 {
        look(&mut world);
        for number in 0..2 {
            let last = world.hook(number, reconcile()).last;
            assert_eq!(
                (last.status.message.as_str(), last.wake_after_s),
                ("", None)
            );
        }
    }
    assert_eq!(started_since(&world, &first), [0, 0]);
    assert_eq!(world.clients[&7].ours, before);
    world.plugins = served;
    look(&mut world);
    assert_eq!(started_since(&world, &first), [0, 0]);
}

#[test]
fn new_content_that_is_refused_or_stops_a_worker_leaves_the_old_one() {
    let mut world = World::new(2);
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    let first = starts(&world);
    world.lasting = true;
    let refused = Served::Fault("it has more than 7 entries".to_owned());
    world.plugins.insert(URL.to_owned(), refused);
    look(&mut world);
    assert_eq!(started_since(&world, &first), [0, 0]);
    let last = world.hook(1, reconcile()).last;
    let expected = "connect-client:7 (mysql): plugin-url: it has more than 7 entries";
    assert_eq!(
        (last.status.message.as_str(), last.wake_after_s),
        (expected, None)
    );

    world.serve_plugin(URL, "bad0");
    look(&mut world);
    let tried: u32 = started_since(&world, &first).iter().sum();
    assert_eq!(
        tried,
        2,
        "one unit tried it and went back: {:?}",
        starts(&world)
    );
    for machine in world.units.values() {
        let started = machine.host.started.clone().unwrap();
        assert!(
            machine.healthy && started.plugins.contains(ONE),
            "{started:?}"
        );
    }
    let message = world.hook(1, reconcile()).last.status.message;
    assert!(
        message.contains("plugin-url: stops the worker: "),
        "{message}"
    );

    world.serve_plugin(URL, TWO);
    look(&mut world);
    // What changes again and again is looked at less often.
    look(&mut world);
    look(&mut world);
    for machine in world.units.values() {
        let store: Vec<&String> = machine.host.bundles.keys().collect();
        assert_eq!(store, [TWO]);
    }
    assert_eq!(world.hook(1, reconcile()).last.status.message, "");
}

#[test]
fn a_server_that_never_gives_the_same_twice_restarts_workers_less_and_less_often() {
    let mut world = World::new(1);
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    for number in 0..30 {
        world.serve_plugin(URL, &format!("{number:064}"));
        look(&mut world);
    }
    // Looks after 1, 2, 4, 8 and 16 intervals or a little more.
    assert!((4..=6).contains(&starts(&world)[0]), "{:?}", starts(&world));
    // An operator who does not want any of it:
    let value = ConfigValue::Integer(0);
    world
        .config
        .insert("plugin-check-interval-s".to_owned(), value);
    let asked = world.fetches;
    world.now += 10_000_000;
    look(&mut world);
    assert_eq!(world.fetches, asked);
}

#[test]
fn the_attached_plugin_is_loaded_by_every_worker_and_swapped() {
    let mut world = World::new(2);
    world.serve_plugin("/res/one", ONE);
    world.attach("/res/one", 10);
    world.settle();
    world.assert_sound();
    let first = starts(&world);
    assert_eq!(
        first[0], 1,
        "the first start of the unit that tries it has it already"
    );
    for machine in world.units.values() {
        assert!(machine.host.started.as_ref().unwrap().plugins.contains(ONE));
    }
    // The same content from a client is the same bundle.
    world.serve_plugin(URL, ONE);
    world.add_client(7, "mysql", URL);
    world.settle();
    assert!(published(&world, 7));
    assert_eq!(started_since(&world, &first), [0, 0]);
    // Nobody looks for it again, and it stays.
    world.resources.remove("connect-plugin");
    world.clients.clear();
    world.settle();
    assert_eq!(started_since(&world, &first), [0, 0]);

    let asked = world.fetches;
    world.serve_plugin("/res/two", TWO);
    world.attach("/res/two", 10);
    world.settle();
    world.assert_sound();
    assert_eq!(started_since(&world, &first), [1, 1]);
    assert_eq!(world.fetches, asked + 2);
    for machine in world.units.values() {
        assert!(machine.host.bundles.keys().eq([TWO]));
    }
    // An empty file is none. Workers need not restart for less, and may still have it open.
    world.attach("/res/none", 0);
    world.settle();
    world.assert_sound();
    for machine in world.units.values() {
        assert!(machine.host.bundles.is_empty());
        assert!(machine.host.retired.iter().eq([TWO]));
    }
    assert_eq!(started_since(&world, &first), [1, 1]);
}

#[test]
fn an_attached_plugin_that_is_bad_is_named_and_the_one_before_stays() {
    let mut world = World::new(2);
    world.serve_plugin("/res/one", ONE);
    world.attach("/res/one", 10);
    world.settle();
    for (path, serves, expected) in [
        (
            "/res/html",
            "",
            "resource connect-plugin: it is not an archive",
        ),
        (
            "/res/bad",
            "bad0",
            "resource connect-plugin: stops the worker: NoClassDefFoundError: com/example/Missing",
        ),
    ] {
        if !serves.is_empty() {
            world.serve_plugin(path, serves);
        }
        let asked = world.fetches;
        world.attach(path, 10);
        world.settle();
        world.settle();
        world.assert_sound();
        assert_eq!(world.fetches, asked + 2, "once a unit: {path}");
        for number in 0..2 {
            let status = world.hook(number, reconcile()).last.status;
            assert_eq!(
                (status.state, status.message.as_str()),
                (State::Active, expected)
            );
            let machine = &world.units[&number];
            let started = machine.host.started.clone().unwrap();
            assert!(
                machine.healthy && started.plugins.contains(ONE),
                "{started:?}"
            );
        }
    }
    world.serve_plugin("/res/two", TWO);
    world.attach("/res/two", 10);
    world.settle();
    world.assert_sound();
    assert_eq!(world.hook(1, reconcile()).last.status.message, "");
    for machine in world.units.values() {
        assert!(machine.host.bundles.keys().eq([TWO]));
    }
}

#[test]
fn what_a_crash_left_and_programs_that_were_replaced_are_swept() {
    let mut world = World::new(2);
    world.settle();
    let debris = "/var/lib/kafka-connect/staging/fetch-x".to_owned();
    let machine = world.units.get_mut(&0).unwrap();
    machine.host.debris.insert(debris);
    // Before a worker has run with what is wanted, all that it may go back to stays.
    let kafka = |identity: &str| {
        Reading::Known(Resource {
            path: "/res/kafka.tgz".to_owned(),
            bytes: 10,
            identity: identity.to_owned(),
        })
    };
    world.resources.insert("kafka".to_owned(), kafka("10-2"));
    world.hook(0, reconcile());
    assert!(world.units[&0].host.debris.is_empty());
    assert_eq!(world.units[&0].host.workloads.len(), 2);
    world.settle();
    world.assert_sound();
    for machine in world.units.values() {
        assert_eq!(machine.host.workloads.len(), 1);
    }
    assert_eq!(starts(&world), [2, 2]);
}
