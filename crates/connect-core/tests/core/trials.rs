//! What a worker does not bear reaches one worker, and is taken back there.

use connect_core::observation::{ConfigValue, Hook};
use connect_core::plan::State;

use crate::world::*;

const BAD: &str = "offset.flush.interval.ms=never";
const GOOD: &str = "offset.flush.interval.ms=9999";
const REJECTED: &str = "option worker-config (offset.flush.interval.ms): worker exits: ConfigException: \
    Invalid value never for configuration o…";

fn set(world: &mut World, value: &str) {
    world.config.insert(
        "worker-config".to_owned(),
        ConfigValue::Text(value.to_owned()),
    );
}

fn busy(units: u32) -> World {
    let mut world = World::new(units);
    world.settle();
    world.run_connector("orders", None, 9);
    world.settle();
    world
}

fn statuses(world: &mut World) -> Vec<(State, String)> {
    let units: Vec<u32> = world.units.keys().copied().collect();
    let status = |number| world.hook(number, reconcile()).last.status;
    let statuses = units.into_iter().map(status);
    statuses
        .map(|status| (status.state, status.message))
        .collect()
}

#[test]
fn an_option_that_a_worker_does_not_bear_touches_one_unit_and_is_taken_back() {
    for units in [1, 3] {
        let mut world = busy(units);
        set(&mut world, BAD);
        world.settle();
        world.assert_sound();
        let (touched, others) = if units == 1 {
            (0, vec![])
        } else {
            (1, vec![0, 2])
        };
        // Once with the new value, once with the old one.
        assert_eq!(starts(&world)[touched], 3);
        let statuses_now = statuses(&mut world);
        assert_eq!(statuses_now[touched], (State::Blocked, REJECTED.to_owned()));
        for other in others {
            assert_eq!(starts(&world)[other], 1, "the others are never restarted");
            assert_eq!(statuses_now[other].0, State::Active);
            let expected = "rolling restart stopped at kafka-connect/1: option worker-config";
            assert!(
                statuses_now[other].1.starts_with(expected),
                "{statuses_now:?}"
            );
        }
        assert!(world.units.values().all(|machine| machine.healthy));

        // The fix recovers, on every unit.
        set(&mut world, GOOD);
        world.settle();
        world.assert_sound();
        for (state, message) in statuses(&mut world) {
            assert_eq!((state, message.as_str()), (State::Active, ""));
        }
        for machine in world.units.values() {
            let file = &machine.files[&world.layout.worker_properties()].bytes;
            assert!(String::from_utf8_lossy(file).contains(GOOD));
        }
        let expected = if units == 1 { vec![4] } else { vec![2, 4, 2] };
        assert_eq!(starts(&world), expected);
    }
}

#[test]
fn what_was_taken_back_is_tried_again_when_somebody_asks() {
    let mut world = busy(1);
    set(&mut world, BAD);
    world.settle();
    let before = starts(&world)[0];
    let hook = Hook::RestartRequested {
        id: "9".to_owned(),
        all: false,
        force: false,
    };
    world.hook(0, hook);
    world.settle();
    world.assert_sound();
    assert!(starts(&world)[0] >= before + 2);
    assert_eq!(
        statuses(&mut world)[0],
        (State::Blocked, REJECTED.to_owned())
    );
    // The old value is nothing to try.
    let before = starts(&world);
    world.config.clear();
    world.settle();
    assert_eq!(starts(&world), before);
    assert_eq!(statuses(&mut world)[0], (State::Active, String::new()));
}

#[test]
fn what_was_taken_back_is_remembered_by_juju_and_not_by_the_disk() {
    let mut world = busy(1);
    set(&mut world, BAD);
    world.settle();
    let machine = world.units.get_mut(&0).unwrap();
    machine.host = connect_core::observation::Host {
        memory_mib: 2048,
        ..Default::default()
    };
    machine.files.clear();
    world.settle();
    world.assert_sound();
    assert!(world.units[&0].healthy);
    assert_eq!(statuses(&mut world)[0].0, State::Blocked);
}

#[test]
fn a_unit_that_joins_meanwhile_starts_with_the_good_values() {
    let mut world = busy(2);
    set(&mut world, BAD);
    world.settle();
    world.add_unit(2);
    world.settle();
    world.assert_sound();
    assert!(world.units[&2].healthy);
    assert_eq!(starts(&world)[2], 1);
}

#[test]
fn brokers_that_are_down_are_no_fault_of_an_option() {
    let mut world = busy(1);
    set(&mut world, GOOD);
    world.kafka_up = false;
    world.tick();
    for _ in 0..20 {
        world.hook(0, reconcile());
        world.tick();
    }
    world.kafka_up = true;
    world.settle();
    world.assert_sound();
    assert_eq!(statuses(&mut world)[0], (State::Active, String::new()));
    let file = &world.units[&0].files[&world.layout.worker_properties()].bytes;
    assert!(String::from_utf8_lossy(file).contains(GOOD));
}

#[test]
fn a_plugin_that_stops_a_worker_touches_one_unit_and_names_its_client() {
    let url = "http://10.1.1.5/p";
    for connectors in [0, 9] {
        let mut world = World::new(3);
        world.add_client(1, "first", "NOT-REQUIRED");
        world.settle();
        if connectors > 0 {
            world.run_connector("orders", None, connectors);
        }
        world.settle();
        world.serve_plugin(url, "bad0");
        world.add_client(7, "mysql", url);
        world.settle();
        world.assert_sound();
        assert_eq!(starts(&world), [1, 3, 1], "{connectors}");
        assert!(!world.clients[&7].ours.contains_key("secret-user"));
        for (state, message) in statuses(&mut world) {
            assert_eq!(state, State::Active);
            assert_eq!(
                message,
                "connect-client:7 (mysql): plugin-url: stops the worker: NoClassDefFoundError: com/example/Missing"
            );
        }
        // Nor does a new client suffer from it.
        world.serve_plugin("http://10.1.1.6/q", "good");
        world.add_client(8, "good", "http://10.1.1.6/q");
        world.settle();
        assert!(world.clients[&8].ours.contains_key("secret-user"));
        assert_eq!(starts(&world), [2, 4, 2], "{connectors}");
        // The client brings another one.
        world.serve_plugin("http://10.1.1.5/next", "aaaa");
        let client = world.clients.get_mut(&7).unwrap();
        client
            .theirs
            .insert("plugin-url".to_owned(), "http://10.1.1.5/next".to_owned());
        world.settle();
        world.assert_sound();
        assert!(world.clients[&7].ours.contains_key("secret-user"));
        assert_eq!(starts(&world), [3, 5, 3], "{connectors}");
        assert!(!world.units[&1].bag.contains_key("rejected-bundles"));
    }
}

/// Some are tried one by one: nobody pays for another's plugin.
#[test]
fn of_plugins_that_stop_a_worker_together_only_the_guilty_stays_out() {
    for (digests, connectors, running) in [
        (["aaaa", "abbb", "bad0"], 9, true),
        (["aaaa", "bad0", "cccc"], 0, true),
        (["bad0", "cccc", "dddd"], 9, true),
        (["bad0", "bad1", "cccc"], 9, true),
        (["aaaa", "bad0", "bad1"], 0, false),
        (["aaaa", "bad0", "cccc"], 0, false),
    ] {
        for units in [1, 3] {
            let mut world = World::new(units);
            if running {
                world.settle();
            }
            if connectors > 0 {
                world.run_connector("orders", None, connectors);
                world.settle();
            }
            let clients = [7, 8, 9].into_iter().zip(digests);
            for (id, digest) in clients.clone() {
                let url = format!("http://10.1.1.5/{id}");
                world.serve_plugin(&url, digest);
                world.add_client(id, "mysql", &url);
            }
            world.settle();
            world.assert_sound();
            let case = format!("{digests:?} {connectors} {running} {units}");
            for (id, digest) in clients {
                let guilty = digest.starts_with("bad");
                let has_user = world.clients[&id].ours.contains_key("secret-user");
                assert_eq!(has_user, !guilty, "{case}: {digest}");
                for machine in world.units.values() {
                    let started = machine.host.started.as_ref().unwrap();
                    assert!(machine.healthy, "{case}");
                    assert_eq!(
                        started.plugins.contains(digest),
                        !guilty,
                        "{case}: {started:?}"
                    );
                }
            }
            let guilty = 3 - digests.iter().filter(|it| !it.starts_with("bad")).count();
            let most = u32::try_from(3 + guilty + 3).unwrap();
            assert!(
                starts(&world).iter().all(|count| *count <= most),
                "{case}: {:?}",
                starts(&world)
            );
            for machine in world.units.values() {
                assert!(!machine.bag.contains_key("suspects"), "{case}");
            }
            for (state, message) in statuses(&mut world) {
                assert_eq!(state, State::Active);
                assert!(
                    message.contains("(mysql): plugin-url: stops the worker: NoClassDef"),
                    "{case}: {message}"
                );
            }
        }
    }
}

/// Nor does the operator: what was attached before stays until the new one was tried by itself.
#[test]
fn an_attached_plugin_that_waits_to_be_tried_leaves_the_one_before_loaded() {
    for (resource, clients) in [("cccc", ["aaaa", "bad0"]), ("bad1", ["aaaa", "cccc"])] {
        let mut world = World::new(1);
        world.serve_plugin("/res/one", "eeee");
        world.attach("/res/one", 10);
        world.settle();
        world.serve_plugin("/res/two", resource);
        world.attach("/res/two", 10);
        for (id, digest) in [7, 8].into_iter().zip(clients) {
            let url = format!("http://10.1.1.5/{id}");
            world.serve_plugin(&url, digest);
            world.add_client(id, "mysql", &url);
        }
        for _ in 0..60 {
            world.hook(0, reconcile());
            world.tick();
            let started = world.units[&0].host.started.as_ref();
            let runs = |digest| started.is_none_or(|it| it.plugins.contains(digest));
            let case = format!("{resource} {clients:?} {started:?}");
            assert!(runs("eeee") || runs(resource), "{case}");
        }
        world.settle();
        world.assert_sound();
        assert!(world.units[&0].healthy);
        let started = &world.units[&0].host.started.as_ref().unwrap().plugins;
        let good = |digest: &str| !digest.starts_with("bad");
        for digest in [resource].into_iter().chain(clients) {
            assert_eq!(
                started.contains(digest),
                good(digest),
                "{digest}: {started:?}"
            );
        }
        assert_eq!(started.contains("eeee"), !good(resource), "{started:?}");
    }
}

/// Of workers that have yet to start, or run and serve nobody, one tries what is new.
#[test]
fn a_first_plugin_that_stops_a_worker_touches_one_unit() {
    for running in [false, true] {
        let mut world = World::new(3);
        if running {
            world.settle();
        }
        world.serve_plugin(URL, "bad0");
        world.add_client(7, "mysql", URL);
        world.settle();
        world.assert_sound();
        let touched = starts(&world).iter().filter(|count| **count > 1).count();
        assert_eq!(touched, 1, "{running}: {:?}", starts(&world));
        for (state, message) in statuses(&mut world) {
            assert_eq!(state, State::Active);
            let fault = "connect-client:7 (mysql): plugin-url: stops the worker: NoClassDef";
            assert!(message.starts_with(fault), "{message}");
        }
        assert!(!world.clients[&7].ours.contains_key("secret-user"));
        // A good one reaches them all, the first that tried it before the others.
        world.serve_plugin("http://10.1.1.6/q", "good");
        world.add_client(8, "good", "http://10.1.1.6/q");
        let before = starts(&world);
        world.settle();
        world.assert_sound();
        assert!(world.clients[&8].ours.contains_key("secret-user"));
        let after = starts(&world);
        let more: Vec<u32> = before.iter().zip(&after).map(|(b, a)| a - b).collect();
        assert_eq!(more, [1, 1, 1]);
    }
}

#[test]
fn a_new_version_of_a_plugin_that_stops_a_worker_gives_way_to_the_old_one() {
    let url = "http://10.1.1.5/p";
    let mut world = World::new(3);
    world.serve_plugin(url, "aaaa");
    world.add_client(7, "mysql", url);
    world.settle();
    world.run_connector("orders", Some(world.tag(7)), 9);
    let before = world.clients[&7].ours.clone();
    world.serve_plugin("http://10.1.1.5/next", "bad0");
    let client = world.clients.get_mut(&7).unwrap();
    client
        .theirs
        .insert("plugin-url".to_owned(), "http://10.1.1.5/next".to_owned());
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 4, 2]);
    for machine in world.units.values() {
        let started = machine.host.started.clone().unwrap();
        assert!(started.plugins.contains("aaaa"), "{started:?}");
        assert!(!started.plugins.contains("bad0"), "{started:?}");
        assert!(machine.healthy);
    }
    assert_eq!(world.clients[&7].ours["secret-user"], before["secret-user"]);
    assert_eq!(world.clients[&7].ours["endpoints"], before["endpoints"]);
}
