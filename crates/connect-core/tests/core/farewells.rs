//! Clients, units and our own application that go, and whose connectors go with them.

use std::collections::BTreeMap;

use connect_core::observation::{ConfigValue, Connector, Hook};

use crate::world::*;

pub fn departed(endpoint: &str, id: u32, departing: &str) -> Hook {
    Hook::RelationDeparted {
        endpoint: endpoint.to_owned(),
        id,
        departing_unit: departing.to_owned(),
    }
}

pub fn connector(owner: Option<String>) -> Connector {
    Connector {
        owner,
        state: "RUNNING".to_owned(),
        tasks: BTreeMap::new(),
        trace: None,
    }
}

#[test]
fn a_client_that_leaves_takes_exactly_what_was_its_own() {
    let mut world = World::new(3);
    world.serve_plugin(URL, "aaaa");
    world.serve_plugin("http://10.1.1.6/x", "bbbb");
    world.add_client(1, "mysql", URL);
    world.add_client(10, "mysql", "http://10.1.1.6/x");
    world.settle();
    let uuid = MODEL.replace('-', "");
    for (name, owner) in [
        ("one".to_owned(), Some(world.tag(1))),
        ("ten".to_owned(), Some(world.tag(10))),
        (format!("old_r1_{uuid}"), None),
        (format!("old_r10_{uuid}"), None),
        (format!("tagged_r1_{uuid}"), Some(world.tag(10))),
        (format!("_r1_{}", "0".repeat(32)), None),
        ("by-hand".to_owned(), None),
    ] {
        world.connectors.insert(name, connector(owner));
    }
    let before = starts(&world);
    world.remove_client(1);
    for number in 0..3 {
        assert_eq!(users_of(&world, number), ["relation-10"], "unit {number}");
    }
    world.settle();
    world.assert_sound();
    let left: Vec<&str> = world.connectors.keys().map(String::as_str).collect();
    let expected = [
        format!("_r1_{}", "0".repeat(32)),
        "by-hand".to_owned(),
        format!("old_r10_{uuid}"),
        format!("tagged_r1_{uuid}"),
        "ten".to_owned(),
    ];
    assert_eq!(left, expected);
    assert!(!world.secrets.contains_key("connect-client.1.user.secret"));
    assert!(world.secrets.contains_key("connect-client.10.user.secret"));
    assert_eq!(starts(&world), before, "a removed plugin restarts nobody");
    for machine in world.units.values() {
        assert!(!machine.host.bundles.contains_key("aaaa"));
        assert!(machine.host.bundles.contains_key("bbbb"));
        assert!(
            machine.host.retired.contains("aaaa"),
            "a running worker has it open"
        );
    }
    assert!(
        !world.peer_bag.contains_key("tombstones"),
        "{:?}",
        world.peer_bag
    );

    // It comes back: nothing has to be loaded, so nobody restarts.
    world.add_client(11, "mysql", URL);
    world.settle();
    world.assert_sound();
    assert!(published(&world, 11));
    assert_eq!(starts(&world), before);
}

#[test]
fn tombstones_outlive_a_worker_that_is_down_and_a_change_of_leader() {
    let mut world = World::new(3);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .connectors
        .insert("mine".to_owned(), connector(Some(world.tag(7))));
    world.kafka_up = false;
    world.tick();
    world.remove_client(7);
    assert!(world.connectors.contains_key("mine"));
    assert!(world.peer_bag.contains_key("tombstones"));
    world.leader = 2;
    world.kafka_up = true;
    world.settle();
    world.assert_sound();
    assert!(world.connectors.is_empty());
    assert!(!world.peer_bag.contains_key("tombstones"));
}

#[test]
fn a_deletion_that_cannot_see_the_connectors_looks_again() {
    let mut world = World::new(1);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .connectors
        .insert("mine".to_owned(), connector(Some(world.tag(7))));
    world.unlisted = true;
    world.remove_client(7);
    let done = world.hook(0, reconcile());
    assert!(world.peer_bag.contains_key("tombstones"));
    assert_eq!(done.last.wake_after_s, Some(10));
    world.unlisted = false;
    world.settle();
    world.assert_sound();
    assert!(world.connectors.is_empty());
}

#[test]
fn connectors_stay_when_the_operator_says_so() {
    let mut world = World::new(1);
    world
        .config
        .insert("keep-connectors".to_owned(), ConfigValue::Boolean(true));
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .connectors
        .insert("mine".to_owned(), connector(Some(world.tag(7))));
    world.remove_client(7);
    world.settle();
    assert!(world.connectors.contains_key("mine"));
    assert_eq!(users_of(&world, 0), Vec::<String>::new());
}

#[test]
fn connectors_stay_while_it_is_unclear_whether_they_should() {
    let mut world = World::new(1);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .connectors
        .insert("mine".to_owned(), connector(Some(world.tag(7))));
    let option = "keep-connectors".to_owned();
    world
        .config
        .insert(option.clone(), ConfigValue::Text("perhaps".to_owned()));
    world.remove_client(7);
    world.settle();
    assert!(world.connectors.contains_key("mine"));
    world.config.insert(option, ConfigValue::Boolean(false));
    world.settle();
    world.assert_sound();
    assert!(world.connectors.is_empty());
}

#[test]
fn connectors_stay_when_our_own_application_goes() {
    let mut world = World::new(1);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .connectors
        .insert("mine".to_owned(), connector(Some(world.tag(7))));
    world.hook(0, departed("connect-client", 7, "kafka-connect/0"));
    let broken = Hook::RelationBroken {
        endpoint: "connect-client".to_owned(),
        id: 7,
    };
    world.hook(0, broken);
    world.clients.clear();
    world.hook(0, reconcile());
    assert!(world.connectors.contains_key("mine"));
    let done = world.hook(0, Hook::Leave);
    assert!(
        done.steps.contains(&"leave this machine".to_owned()),
        "{:?}",
        done.steps
    );
    assert!(world.units[&0].files.is_empty());
    assert_eq!(world.hook(0, Hook::Leave).steps, Vec::<String>::new());
}

#[test]
fn a_unit_of_the_client_that_departs_changes_nothing() {
    let mut world = World::new(2);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let before = world.picture();
    for number in 0..2 {
        let done = world.hook(number, departed("connect-client", 7, "mysql/1"));
        assert!(
            done.steps.is_empty() && done.last.promises.is_empty(),
            "{done:?}"
        );
    }
    assert_eq!(world.picture(), before);
}

#[test]
fn a_connector_made_while_a_gateway_still_lets_the_client_in_is_deleted_too() {
    let mut world = World::new(2);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let late = connector(Some(world.tag(7)));
    let broken = Hook::RelationBroken {
        endpoint: "connect-client".to_owned(),
        id: 7,
    };
    world.hook(0, broken.clone());
    // The other unit has not heard of it, and its gateway serves the user.
    let other = world.clients.remove(&7).unwrap();
    world.hook(0, reconcile());
    world.connectors.insert("late".to_owned(), late);
    world.clients.insert(7, other);
    world.hook(1, broken);
    world.clients.remove(&7);
    world.settle();
    world.assert_sound();
    assert!(world.connectors.is_empty());
}

#[test]
fn a_leader_that_leaves_takes_itself_out_of_the_endpoints_first() {
    let mut world = World::new(3);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let told = |world: &World| world.clients[&7].ours["endpoints"].clone();
    let before = told(&world);
    assert_eq!(before.split(',').count(), 3);
    world.hook(0, departed("connect-client", 7, "kafka-connect/0"));
    assert_eq!(told(&world), before.split_once(',').unwrap().1);
    assert!(published(&world, 7), "and nothing else");
}

#[test]
fn a_leader_that_leaves_takes_those_with_it_that_leave_too() {
    let mut world = World::new(3);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world.dying = [0, 1].into();
    world.hook(0, departed("connect-client", 7, "kafka-connect/0"));
    let told = &world.clients[&7].ours["endpoints"];
    assert_eq!(*told, format!("http://{}:8083", world.units[&2].address));
}

#[test]
fn a_unit_that_leaves_hands_over_to_the_units_it_knew() {
    let mut world = World::new(3);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let path = world.layout.gateway_settings();
    let settings = |world: &World| world.units[&1].files[&path].bytes.clone();
    let before = settings(&world);
    world.hook(1, departed("connect-client", 7, "kafka-connect/1"));
    // Its relation with each of the others ends by and by.
    for gone in [2, 0] {
        world.units.remove(&gone);
        world.hook(1, departed("workers", PEER_RELATION, "kafka-connect/1"));
        world.hook(1, reconcile());
        assert!(settings(&world) == before, "without unit {gone}");
    }
}

#[test]
fn a_wake_up_that_comes_after_the_unit_has_left_puts_nothing_back() {
    let wake = || Hook::Reconcile {
        name: connect_core::layout::WAKE_HOOK.to_owned(),
    };
    let mut world = World::new(2);
    world.settle();
    let (bag, peers) = (world.units[&1].bag.clone(), world.peer_bag.clone());
    world.hook(1, Hook::Leave);
    let done = world.hook(1, wake());
    assert_eq!(done.steps, Vec::<String>::new());
    assert_eq!(done.last.promises, []);
    assert!(world.units[&1].files.is_empty());
    assert_eq!((&world.units[&1].bag, &world.peer_bag), (&bag, &peers));
    // On a machine that is ours it is a hook like any other.
    let log = world.layout.log4j2();
    world.units.get_mut(&0).unwrap().files.remove(&log);
    world.hook(0, wake());
    assert!(world.units[&0].files.contains_key(&log));
    world.assert_sound();
}
