//! One unit that is not ready holds back new clients only, and for a while only.

use connect_core::plan::State;

use crate::world::*;

fn three() -> World {
    let mut world = World::new(3);
    world.add_client(1, "first", "NOT-REQUIRED");
    world.settle();
    world
}

fn endpoints(world: &World, id: u32) -> Vec<u32> {
    let text = world.clients[&id].ours.get("endpoints");
    let addresses = text.into_iter().flat_map(|text| text.split(','));
    addresses
        .map(|url| {
            let unit = world
                .units
                .iter()
                .find(|(_, unit)| url.contains(&unit.address));
            *unit.unwrap().0
        })
        .collect()
}

fn leaders_status(world: &mut World) -> String {
    let status = world.hook(world.leader, reconcile()).last.status;
    assert_eq!(status.state, State::Active);
    status.message
}

#[test]
fn a_silent_unit_holds_back_new_clients_until_unit_timeout() {
    let mut world = three();
    world.units.get_mut(&2).unwrap().gone = true;
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    assert_eq!(
        endpoints(&world, 1),
        [0, 1, 2],
        "existing clients notice nothing"
    );
    assert_eq!(endpoints(&world, 7), [0_u32; 0]);
    let message = leaders_status(&mut world);
    assert!(message.contains("kafka-connect/2"), "{message}");
    world.now += 600;
    world.settle();
    world.assert_sound();
    assert_eq!(endpoints(&world, 7), [0, 1]);
    assert_eq!(endpoints(&world, 1), [0, 1]);
    let message = leaders_status(&mut world);
    assert!(
        message.starts_with("kafka-connect/2 is not well"),
        "{message}"
    );
    // It returns, and is told of again when it has what every client needs.
    world.units.get_mut(&2).unwrap().gone = false;
    world.settle();
    world.assert_sound();
    assert_eq!(endpoints(&world, 7), [0, 1, 2]);
    assert_eq!(endpoints(&world, 1), [0, 1, 2]);
    assert!(!world.peer_bag["clients"].contains("late"));
}

#[test]
fn a_unit_that_cannot_fetch_a_plugin_is_not_waited_for_for_ever() {
    for slow in 0..3 {
        let mut world = three();
        world.serve_plugin(URL, "aaaa");
        world.units.get_mut(&slow).unwrap().offline = true;
        world.add_client(7, "mysql", URL);
        world.settle();
        assert_eq!(endpoints(&world, 7), [0_u32; 0]);
        let message = leaders_status(&mut world);
        assert!(
            message.contains(&format!("kafka-connect/{slow}")) || slow == 0,
            "{message}"
        );
        world.now += 600;
        world.settle();
        world.assert_sound();
        let others: Vec<u32> = (0..3).filter(|unit| *unit != slow).collect();
        assert_eq!(endpoints(&world, 7), others, "{slow}");
        assert_eq!(endpoints(&world, 1), [0, 1, 2], "it works for the others");
        world.units.get_mut(&slow).unwrap().offline = false;
        world.now += 1000;
        world.settle();
        world.assert_sound();
        assert_eq!(endpoints(&world, 7), [0, 1, 2]);
    }
}

#[test]
fn a_gateway_that_does_not_take_a_user_is_not_waited_for_for_ever() {
    for deaf in 0..3 {
        let mut world = three();
        world.units.get_mut(&deaf).unwrap().deaf = true;
        world.add_client(7, "ui", "NOT-REQUIRED");
        world.settle();
        assert_eq!(endpoints(&world, 7), [0_u32; 0]);
        world.now += 600;
        world.settle();
        world.assert_sound();
        let others: Vec<u32> = (0..3).filter(|unit| *unit != deaf).collect();
        assert_eq!(endpoints(&world, 7), others, "{deaf}");
        world.units.get_mut(&deaf).unwrap().deaf = false;
        world.settle();
        world.assert_sound();
        assert_eq!(endpoints(&world, 7), [0, 1, 2]);
    }
}

#[test]
fn nobody_is_served_when_no_unit_is_ready() {
    let mut world = three();
    for machine in world.units.values_mut() {
        machine.offline = true;
    }
    world.add_client(7, "mysql", URL);
    world.settle();
    world.now += 6000;
    world.settle();
    world.assert_sound();
    assert!(!world.clients[&7].ours.contains_key("secret-user"));
}

#[test]
fn a_unit_that_returns_starts_with_what_others_have_proven_only() {
    let mut world = three();
    let machine = world.units.get_mut(&2).unwrap();
    machine.gone = true;
    let service = machine
        .host
        .services
        .get_mut("kafka-connect.service")
        .unwrap();
    service.active = "inactive".to_owned();
    world.settle();
    world.now += 600;
    world.settle();
    // Both at once: it returns, and a client brings something that nobody has loaded.
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.units.get_mut(&2).unwrap().gone = false;
    world.hook(2, reconcile());
    let started = world.units[&2].host.started.clone().unwrap();
    assert!(started.plugins.is_empty(), "{started:?}");
    world.settle();
    world.assert_sound();
    assert_eq!(endpoints(&world, 7), [0, 1, 2]);
}

#[test]
fn units_that_leave_are_not_told_of_from_the_hook_on_in_which_others_learn_of_it() {
    let mut world = three();
    world.serve_plugin(URL, "aaaa");
    world.add_client(7, "mysql", URL);
    world.settle();
    // Two at once, the leader among them.
    for leaving in [0, 1] {
        for id in [1, 7] {
            let hook = connect_core::observation::Hook::RelationDeparted {
                endpoint: "connect-client".to_owned(),
                id,
                departing_unit: format!("{APP}/{leaving}"),
            };
            world.hook(leaving, hook);
        }
        let users = world.units[&leaving].served.clone().unwrap().users;
        assert_eq!(users.len(), 2, "who still comes is still served");
    }
    world.leader = 2;
    world.hook(2, reconcile());
    assert_eq!(endpoints(&world, 1), [2]);
    assert_eq!(endpoints(&world, 7), [2]);
    world.units.remove(&0);
    world.units.remove(&1);
    world.settle();
    world.assert_sound();
    assert_eq!(endpoints(&world, 7), [2]);
}
