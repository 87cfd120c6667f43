//! A group that options name: joined when it is new or when the operator says so, and never else.

use connect_core::layout::Layout;
use connect_core::observation::{ConfigValue, Group, GroupFacts, Reading};
use connect_core::plan::State;

use crate::world::*;

fn named(units: u32, foreign: &GroupFacts) -> World {
    let mut world = World::new(units);
    world.foreign = Reading::Known(foreign.clone());
    set(&mut world, "group-id", "connect-cluster");
    set(&mut world, "config-topic", "connect-config");
    world
}

fn set(world: &mut World, option: &str, text: &str) {
    let value = ConfigValue::Text(text.to_owned());
    world.config.insert(option.to_owned(), value);
}

fn adopt(world: &mut World, on: bool) {
    let value = ConfigValue::Boolean(on);
    world.config.insert("adopt-group".to_owned(), value);
}

fn members(hosts: &[&str]) -> GroupFacts {
    GroupFacts {
        members: hosts.iter().map(|host| (*host).to_owned()).collect(),
        written: true,
    }
}

fn status(world: &mut World, number: u32) -> (State, String) {
    let status = world.hook(number, reconcile()).last.status;
    (status.state, status.message)
}

/// What a worker would join at its next start.
fn joins(world: &World, number: u32) -> Vec<String> {
    let path = Layout::new("").worker_properties();
    let text = world.units[&number].files.get(&path);
    let text = text.map(|file| String::from_utf8(file.bytes.clone()).unwrap());
    let lines = text.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| line.starts_with("group.id=") || line.contains(".storage.topic="))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn a_new_group_is_joined_in_a_later_hook_than_the_one_that_found_it_free() {
    let mut world = named(2, &GroupFacts::default());
    for _ in 0..2 {
        world.hook(0, reconcile());
        world.hook(1, reconcile());
    }
    assert!(world.peer_bag["groups"].contains("connect-cluster connect-config"));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1]);
    let expected = [
        "group.id=connect-cluster",
        "config.storage.topic=connect-config",
        "offset.storage.topic=connect-cluster-offsets",
        "status.storage.topic=connect-cluster-status",
    ];
    assert_eq!(joins(&world, 1), expected);
}

#[test]
fn a_hook_that_fails_after_it_found_the_group_free_started_nothing() {
    let mut world = named(1, &GroupFacts::default());
    for _ in 0..4 {
        world.failing_hook(0, &reconcile());
        assert_eq!(joins(&world, 0), Vec::<String>::new());
    }
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1]);
}

#[test]
fn a_group_of_somebody_else_is_refused_until_it_is_adopted() {
    let written = GroupFacts {
        written: true,
        ..GroupFacts::default()
    };
    let rows = [
        (members(&["10.0.0.9"]), "has a worker at 10.0.0.9"),
        (
            members(&["10.0.0.8", "10.0.0.9"]),
            "has 2 workers, one at 10.0.0.8",
        ),
        (written, "has connectors in topic connect-config"),
    ];
    for (foreign, fault) in rows {
        let mut world = named(2, &foreign);
        world.settle();
        world.assert_sound();
        assert_eq!(starts(&world), [0, 0]);
        let expected = format!(
            "group connect-cluster {fault}: adopt-group=true joins it, or set another group-id"
        );
        assert_eq!(status(&mut world, 0), (State::Blocked, expected));
        let waits = "waiting for the leader to find group connect-cluster free";
        assert_eq!(status(&mut world, 1), (State::Waiting, waits.to_owned()));
        adopt(&mut world, true);
        world.settle();
        world.assert_sound();
        assert_eq!(starts(&world), [1, 1]);
        assert_eq!(status(&mut world, 0).0, State::Active);
        // Ours by now, whatever the option says, whoever leads, and whoever is in it: we are.
        adopt(&mut world, false);
        world.leader = 1;
        world.settle();
        world.assert_sound();
        assert_eq!(starts(&world), [1, 1]);
        assert_eq!(status(&mut world, 1).0, State::Active);
    }
}

#[test]
fn another_group_frees_a_unit_that_was_refused() {
    let mut world = named(1, &members(&["10.0.0.9"]));
    world.settle();
    assert_eq!(status(&mut world, 0).0, State::Blocked);
    world.config.clear();
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1]);
    assert_eq!(joins(&world, 0)[0], format!("group.id={APP}-{MODEL}"));
}

#[test]
fn workers_stay_in_their_group_while_the_next_one_is_refused() {
    let mut world = World::new(2);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    let before = joins(&world, 0);
    world.foreign = Reading::Known(members(&["10.0.0.9"]));
    set(&mut world, "group-id", "theirs");
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1]);
    assert_eq!(joins(&world, 0), before);
    assert_eq!(status(&mut world, 0).0, State::Blocked);
    assert!(published(&world, 7));
    // A new client without plugin does not suffer from it.
    world.add_client(8, "ui", "NOT-REQUIRED");
    world.settle();
    assert!(published(&world, 8));
    world.config.clear();
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1]);
    assert_eq!(status(&mut world, 0).0, State::Active);
}

#[test]
fn a_group_that_kafka_does_not_tell_about_is_asked_for_again() {
    let mut world = named(1, &GroupFacts::default());
    world.foreign = Reading::Unreadable("broker 10.0.0.9:9092 does not answer".to_owned());
    world.settle();
    let done = world.hook(0, reconcile());
    assert_eq!(
        (done.last.status.state, done.last.status.message.as_str()),
        (
            State::Waiting,
            "cannot ask Kafka who is in group connect-cluster: broker 10.0.0.9:9092 does not answer"
        )
    );
    assert!(done.last.wake_after_s.is_some());
    assert_eq!(starts(&world), [0]);
    world.foreign = Reading::Known(GroupFacts::default());
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1]);
}

#[test]
fn a_leader_of_the_group_that_is_none_of_ours_is_named() {
    let mut world = named(1, &members(&["10.0.0.9"]));
    adopt(&mut world, true);
    world.settle();
    assert_eq!(status(&mut world, 0), (State::Active, String::new()));
    let expected =
        "group connect-cluster is led by a worker of another deployment, at 10.0.0.9: stop it";
    world.group = Group {
        generation: 5,
        leader: "10.0.0.9".to_owned(),
        delay_ms: 0,
    };
    assert_eq!(status(&mut world, 0), (State::Active, expected.to_owned()));
    // In a group of our own name nobody else can be.
    world.config.clear();
    assert!(!status(&mut world, 0).1.contains("another deployment"));
}

#[test]
fn topics_that_cannot_be_are_named() {
    let mut world = World::new(1);
    world.settle();
    for (option, text, expected) in [
        (
            "config-topic",
            "a b",
            "option config-topic: must be at most 249 letters, digits, dots, dashes, underscores",
        ),
        (
            "offset-topic",
            "..",
            "option offset-topic: must be at most 249 letters, digits, dots, dashes, underscores",
        ),
        (
            "status-topic",
            "kafka-connect-0a1b2c3d-0000-4000-8000-00000000000f-offsets",
            "option status-topic: must differ from the config and the offset topic",
        ),
    ] {
        set(&mut world, option, text);
        let found = status(&mut world, 0);
        assert_eq!(found, (State::Blocked, expected.to_owned()));
        world.config.clear();
        assert_eq!(status(&mut world, 0), (State::Active, String::new()));
    }
}
