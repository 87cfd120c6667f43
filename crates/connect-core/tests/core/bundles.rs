//! Plugins that come, fail, change and differ, from a client's request to the worker.

use connect_core::observation::Hook;
use connect_core::plan::State;

use crate::world::*;

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
