//! Plugins that come, fail, change and differ, from a client's request to the worker.

use connect_core::observation::{ConfigValue, Hook};
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
