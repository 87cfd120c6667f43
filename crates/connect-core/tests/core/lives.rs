//! Histories of one and of several units.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::layout::Layout;
use connect_core::observation::{ConfigValue, Hook};
use connect_core::plan::State;

use crate::farewells::{connector, departed};
use crate::world::*;

fn asked(id: &str) -> Hook {
    Hook::RestartRequested {
        id: id.to_owned(),
        all: false,
        force: false,
    }
}

#[test]
fn one_unit_serves_a_client_without_plugin() {
    let mut world = World::new(1);
    world.add_client(7, "mirrormaker", "NOT-REQUIRED");
    let turns = world.settle();
    world.assert_sound();
    let ours = &world.clients[&7].ours;
    assert_eq!(ours["endpoints"], "http://10.20.0.4:8083", "{ours:?}");
    let secret = &world.secrets["connect-client.7.user.secret"];
    assert_eq!(ours["secret-user"], secret.uri);
    assert_eq!(secret.content["username"], "relation-7");
    assert!(turns <= 4, "{turns}");
    let done = world.hook(0, reconcile());
    assert_eq!(done.rounds, 1);
    assert_eq!(
        done.last.status.state,
        State::Active,
        "{:?}",
        done.last.status
    );
    assert_eq!(done.last.status.message, "");
    assert_eq!(done.last.promises, []);
    assert_eq!(done.last.wake_after_s, None);
    assert_eq!(world.units[&0].starts, 1);
    assert_eq!(world.units[&0].version_set.as_deref(), Some("4.1.2"));
    assert!(world.units[&0].ports.contains("8083/tcp"));
}

#[test]
fn a_hook_that_is_about_something_else_reads_no_credential_of_clients() {
    let mut world = World::new(3);
    for id in 7..10 {
        world.add_client(id, "ui", "NOT-REQUIRED");
    }
    world.settle();
    let users = |labels: &BTreeSet<String>| {
        let of_users = labels.iter().filter(|label| label.contains(".user."));
        of_users.count()
    };
    for unit in 0..3 {
        assert_eq!(users(&world.labels(unit, &reconcile())), 0, "unit {unit}");
        assert_eq!(users(&world.labels(unit, &Hook::UpdateStatus)), 3);
        // It is all the same to the plan.
        for hook in [reconcile(), Hook::UpdateStatus] {
            let done = world.hook(unit, hook);
            assert_eq!(done.rounds, 1, "{done:?}");
            assert_eq!(done.last.promises, [], "{done:?}");
        }
    }
    // Until it is rotated, everybody reads both.
    world.hook(0, Hook::RotateRequested { relation: 8 });
    assert_eq!(users(&world.labels(1, &reconcile())), 1);
    world.settle();
    world.assert_sound();
    assert_eq!(users(&world.labels(1, &reconcile())), 0);
    // One that is lost is looked for in every hook.
    world.secrets.remove("connect-client.9.user.secret");
    world.hook(0, Hook::UpdateStatus);
    let done = world.hook(0, reconcile());
    assert!(
        done.last.status.message.contains("connect-client:9"),
        "{done:?}"
    );
}

#[test]
fn a_client_is_served_in_the_first_hook_that_sees_it() {
    let mut world = World::new(1);
    world.settle();
    world.add_client(7, "ui", "NOT-REQUIRED");
    let done = world.hook(0, reconcile());
    world.assert_sound();
    assert!(published(&world, 7), "{done:?}");
    assert!(done.rounds <= 4, "{done:?}");
}

#[test]
fn three_units_load_a_plugin_before_credentials_exist() {
    let mut world = World::new(3);
    world.settle();
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    // Nobody but the leader has seen the client yet.
    world.hook(0, reconcile());
    world.tick();
    world.hook(0, reconcile());
    assert!(!world.secrets.contains_key("connect-client.7.user.secret"));
    world.settle();
    world.assert_sound();
    assert!(published(&world, 7));
    assert_eq!(starts(&world), [2, 2, 2]);
    assert_eq!(
        world.clients[&7].ours["endpoints"],
        "http://10.20.0.4:8083,http://10.20.0.5:8083,http://10.20.0.6:8083"
    );
    // A second client with the same content, one without a plugin, and a rotation: no restart.
    world.serve_plugin("http://10.1.1.6/other", "aaaa");
    world.add_client(8, "again", "http://10.1.1.6/other");
    world.add_client(10, "ui", "NOT-REQUIRED");
    world.settle();
    world.hook(0, Hook::RotateRequested { relation: 7 });
    world.settle();
    world.assert_sound();
    assert!(published(&world, 8) && published(&world, 10));
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn workers_without_connectors_restart_together_once_one_runs_with_the_plugin() {
    let mut world = World::new(3);
    world.settle();
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    for number in [0, 1, 2, 0, 1, 2] {
        world.hook(number, reconcile());
    }
    assert_eq!(starts(&world), [1, 2, 1]);
    world.tick();
    for number in [1, 0, 0, 2] {
        world.hook(number, reconcile());
    }
    assert_eq!(starts(&world), [2, 2, 2]);
    world.settle();
    world.assert_sound();
    assert!(published(&world, 7));
}

#[test]
fn workers_with_connectors_restart_one_after_the_other() {
    let mut world = World::new(3);
    world.settle();
    world.connectors.insert("busy".to_owned(), connector(None));
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    let mut before = starts(&world);
    for _ in 0..30 {
        for number in 0..3 {
            world.hook(number, reconcile());
            let down: Vec<_> = world
                .units
                .values()
                .filter(|machine| !machine.healthy)
                .collect();
            assert!(down.len() <= 1, "two workers down at once");
        }
        world.tick();
        let after = starts(&world);
        let restarted: u32 = after.iter().sum::<u32>() - before.iter().sum::<u32>();
        assert!(restarted <= 1, "{before:?} {after:?}");
        before = after;
    }
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
    assert!(published(&world, 7));
}

#[test]
fn a_queued_restart_is_asked_for_once() {
    let mut world = World::new(1);
    world.settle();
    world.units.get_mut(&0).unwrap().slow_restart = true;
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    let done = world.hook(0, reconcile());
    let restarts = done
        .steps
        .iter()
        .filter(|step| *step == "restart kafka-connect.service")
        .count();
    assert_eq!(restarts, 1, "{:?}", done.steps);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2]);
    assert!(published(&world, 7));
}

#[test]
fn a_new_unit_restarts_nobody_and_is_told_to_clients_when_it_works() {
    let mut world = World::new(2);
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    let before = starts(&world);
    let uri = world.clients[&7].ours["secret-user"].clone();
    world.add_unit(2);
    world.hook(2, reconcile());
    world.hook(0, reconcile());
    assert!(!world.clients[&7].ours["endpoints"].contains("10.20.0.6"));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world)[..2], before[..]);
    assert_eq!(starts(&world)[2], 1, "one start with everything");
    assert!(world.clients[&7].ours["endpoints"].ends_with(",http://10.20.0.6:8083"));
    assert_eq!(world.clients[&7].ours["secret-user"], uri);

    // And it leaves again: gone from the endpoints in the hook in which the leader hears of it.
    let hook = departed("workers", PEER_RELATION, "kafka-connect/2");
    world.hook(0, hook);
    assert!(!world.clients[&7].ours["endpoints"].contains("10.20.0.6"));
    world.units.remove(&2);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), before);
}

#[test]
fn a_rotation_keeps_the_uri_and_both_passwords_for_a_while() {
    let mut world = World::new(2);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let label = "connect-client.7.user.secret";
    let before = world.secrets[label].clone();
    world.hook(0, Hook::RotateRequested { relation: 7 });
    assert_eq!(
        world.secrets[label].revision, 1,
        "nobody else knows the new password yet"
    );
    world.hook(1, reconcile());
    world.hook(0, reconcile());
    let after = world.secrets[label].clone();
    assert_eq!((&after.uri, after.revision), (&before.uri, 2));
    assert_eq!(after.granted, before.granted);
    assert_eq!(
        after.content.keys().collect::<Vec<_>>(),
        ["password", "username"]
    );
    assert_ne!(after.content["password"], before.content["password"]);
    assert!(!world.secrets.contains_key("connect-client.7.next.secret"));
    for number in 0..2 {
        world.hook(number, reconcile());
        let users = world.units[&number].served.clone().unwrap().users;
        assert_eq!(users[0].passwords_sha256.len(), 2);
    }
    world.now += 601;
    world.settle();
    world.assert_sound();
    for machine in world.units.values() {
        assert_eq!(
            machine.served.as_ref().unwrap().users[0]
                .passwords_sha256
                .len(),
            1
        );
    }
    assert_eq!(world.secrets[label].revision, 2);
}

#[test]
fn a_unit_that_reads_old_databags_and_new_secrets_lets_the_old_password_in() {
    let mut world = World::new(2);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let accepted = |world: &World| {
        let users = &world.units[&1].served.as_ref().unwrap().users;
        BTreeSet::from_iter(users[0].passwords_sha256.clone())
    };
    world.hook(0, Hook::RotateRequested { relation: 7 });
    world.hook(1, reconcile());
    let both = accepted(&world);
    assert_eq!(both.len(), 2);
    // The leader's hook ends while one of the other unit goes on.
    let before = world.peer_bag.clone();
    world.hook(0, reconcile());
    let after = std::mem::replace(&mut world.peer_bag, before);
    world.hook(1, reconcile());
    assert_eq!(accepted(&world), both);
    world.peer_bag = after;
    world.hook(1, reconcile());
    assert_eq!(accepted(&world), both);
    world.settle();
    world.assert_sound();
}

#[test]
fn options_say_who_sees_which_connectors() {
    use connect_core::gateway::Access;
    let mut world = World::new(2);
    world.add_client(7, "app", "NOT-REQUIRED");
    world.add_client(8, "ui", "NOT-REQUIRED");
    world.settle();
    let rows = [
        ("shared", "", [Access::All, Access::All]),
        ("own", "", [Access::Own, Access::Own]),
        // An option that cannot be read changes nothing, and opens nothing.
        ("shred", "", [Access::Own, Access::Own]),
        ("own", "ui, absent", [Access::Own, Access::All]),
        ("own", "UI", [Access::Own, Access::All]),
        ("shared", "ui", [Access::All, Access::All]),
    ];
    for (access, admins, expected) in rows {
        for (option, value) in [("client-access", access), ("admin-clients", admins)] {
            let value = ConfigValue::Text(value.to_owned());
            world.config.insert(option.to_owned(), value);
        }
        world.settle();
        for machine in world.units.values() {
            let users = &machine.served.as_ref().unwrap().users;
            let found: Vec<Access> = users.iter().map(|user| user.access).collect();
            assert_eq!(found, expected, "{access} {admins}");
            assert!(users.iter().all(|user| user.owner.is_some()));
        }
    }
    world.assert_sound();
    // Nothing of it restarts a worker; a client that leaves is out even while the option is bad.
    let before = starts(&world);
    let bad = ConfigValue::Text("x".to_owned());
    world.config.insert("client-access".to_owned(), bad);
    world.remove_client(8);
    world.settle();
    assert_eq!(starts(&world), before);
    for machine in world.units.values() {
        let users = &machine.served.as_ref().unwrap().users;
        assert!(
            users.iter().all(|user| user.name == "relation-7"),
            "{users:?}"
        );
    }
}

#[test]
fn kafka_that_goes_stops_the_worker_and_forgets_its_credentials() {
    let mut world = World::new(1);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    let hook = Hook::RelationBroken {
        endpoint: "kafka-client".to_owned(),
        id: 3,
    };
    let done = world.hook(0, hook);
    assert_eq!(done.last.status.state, State::Blocked);
    assert_eq!(
        done.last.status.message,
        "needs Kafka: juju integrate kafka-connect:kafka-client <kafka>"
    );
    assert!(!world.units[&0].worker_active());
    assert!(
        !world.units[&0]
            .files
            .contains_key(&Layout::new("").worker_properties())
    );
    world.kafka = BTreeMap::from([(4, answered_kafka())]);
    world.settle();
    world.assert_sound();
    assert!(world.units[&0].healthy);
    assert!(published(&world, 7));
}

#[test]
fn a_broker_that_is_down_shows_with_its_cause() {
    let mut world = World::new(1);
    world.kafka_up = false;
    world.settle();
    let done = world.hook(0, reconcile());
    assert_eq!(done.last.status.state, State::Waiting);
    assert_eq!(
        done.last.status.message,
        "kafka-client:3: worker cannot reach Kafka: Timed out waiting for a node assignment"
    );
    assert!(done.last.wake_after_s.is_some());
    assert_eq!(
        done.steps,
        Vec::<String>::new(),
        "nothing is restarted in vain"
    );
    world.kafka_up = true;
    world.settle();
    assert_eq!(world.hook(0, reconcile()).last.status.state, State::Active);
    assert_eq!(starts(&world), [1]);
}

#[test]
fn a_secret_of_kafka_that_is_not_granted_is_named_and_looked_at_again() {
    let mut world = World::new(1);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world.kafka.get_mut(&3).unwrap().withheld = true;
    let done = world.hook(0, reconcile());
    assert_eq!(done.last.status.state, State::Waiting);
    assert_eq!(
        done.last.status.message,
        "kafka-client:3: secret-user: is not granted"
    );
    // No event comes when it is granted.
    assert_eq!(done.last.wake_after_s, Some(15));
    assert_eq!(done.steps, Vec::<String>::new());
    assert!(published(&world, 7));
    world.kafka.get_mut(&3).unwrap().withheld = false;
    let done = world.hook(0, reconcile());
    assert_eq!(done.last.status.state, State::Active);
    assert_eq!(done.last.wake_after_s, None);
    assert_eq!(starts(&world), [1]);
}

#[test]
fn a_bad_option_blocks_and_leaves_the_worker_as_it_is() {
    for (option, value, expected) in [
        (
            "rest-port",
            ConfigValue::Integer(70000),
            "option rest-port: must be a number from 1024 to 65535",
        ),
        (
            "worker-config",
            ConfigValue::Text("group.id=x".to_owned()),
            "option worker-config: group.id belongs to the charm",
        ),
    ] {
        let mut world = World::new(1);
        world.add_client(7, "mysql", "NOT-REQUIRED");
        world.settle();
        let before = world.clients[&7].ours.clone();
        world.config.insert(option.to_owned(), value);
        let done = world.hook(0, reconcile());
        assert_eq!(done.last.status.state, State::Blocked);
        assert_eq!(done.last.status.message, expected);
        assert_eq!(done.steps, Vec::<String>::new());
        assert_eq!(world.clients[&7].ours, before);
        world.config.clear();
        assert_eq!(world.hook(0, reconcile()).last.status.state, State::Active);
    }
}

#[test]
fn a_setting_restarts_workers_and_a_port_does_not() {
    let mut world = World::new(2);
    world.add_client(7, "mysql", "NOT-REQUIRED");
    world.settle();
    world
        .config
        .insert("rest-port".to_owned(), ConfigValue::Integer(9000));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1]);
    assert_eq!(
        world.clients[&7].ours["endpoints"],
        "http://10.20.0.4:9000,http://10.20.0.5:9000"
    );
    assert_eq!(
        world.units[&0].ports.iter().collect::<Vec<_>>(),
        ["9000/tcp"]
    );
    world.config.insert(
        "log-level".to_owned(),
        ConfigValue::Text("DEBUG".to_owned()),
    );
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2]);
}

#[test]
fn a_requested_restart_happens_once() {
    let mut world = World::new(2);
    world.settle();
    let id = "42".to_owned();
    world.hook(1, asked(&id));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 2]);
    world.hook(1, asked(&id));
    world.settle();
    assert_eq!(starts(&world), [1, 2], "the same request again");
}

#[test]
fn a_step_that_fails_is_not_repeated_within_the_hook() {
    let mut world = World::new(1);
    let step = world.hook(0, reconcile()).steps;
    let install = step
        .iter()
        .find(|step| step.starts_with("install Kafka"))
        .unwrap()
        .clone();
    let mut world = World::new(1);
    world
        .broken_steps
        .insert(install, "no space left on device".to_owned());
    let done = world.hook(0, reconcile());
    assert!(done.rounds <= 3, "{done:?}");
    assert_eq!(done.last.status.state, State::Blocked);
    assert!(
        done.last
            .status
            .message
            .starts_with("cannot install Kafka as"),
        "{:?}",
        done.last
    );
    assert!(done.last.wake_after_s.is_some());
    world.broken_steps.clear();
    world.settle();
    world.assert_sound();
    assert!(world.units[&0].healthy);
}

#[test]
fn a_lost_disk_is_restored() {
    let mut world = World::new(1);
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    let before = (world.clients[&7].ours.clone(), world.peer_bag.clone());
    let machine = world.units.get_mut(&0).unwrap();
    machine.host = connect_core::observation::Host {
        memory_mib: 2048,
        ..Default::default()
    };
    machine.files.clear();
    machine.served = None;
    world.settle();
    world.assert_sound();
    assert_eq!(
        (world.clients[&7].ours.clone(), world.peer_bag.clone()),
        before
    );
    assert!(world.units[&0].healthy);
}

#[test]
fn nobody_is_published_before_every_gateway_serves_the_user() {
    for deaf in 0..2 {
        let mut world = World::new(2);
        world.settle();
        world.units.get_mut(&deaf).unwrap().deaf = true;
        world.add_client(7, "ui", "NOT-REQUIRED");
        world.settle();
        world.assert_sound();
        assert!(!published(&world, 7));
        let status = world.hook(deaf, reconcile()).last.status;
        assert_eq!(
            (status.state, status.message.as_str()),
            (State::Maintenance, "gateway is starting")
        );
        world.units.get_mut(&deaf).unwrap().deaf = false;
        world.settle();
        world.assert_sound();
        assert!(published(&world, 7));
    }
}

#[test]
fn what_a_worker_reads_at_its_start_is_used_only_once_juju_has_kept_it() {
    let mut world = World::new(1);
    let users = Layout::new("").internal_users();
    world.hook(0, reconcile());
    assert!(world.secrets.contains_key("kafka-connect.internal.secret"));
    assert!(!world.units[&0].files.contains_key(&users));
    world.hook(0, reconcile());
    assert!(world.units[&0].files.contains_key(&users));
}
