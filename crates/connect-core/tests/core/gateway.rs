//! The gateway's service and its sockets: what is started and restarted, and why.

use std::net::IpAddr;

use connect_core::observation::{ConfigValue, Hook};

use crate::world::*;

const CLIENT_SOCKET: &str = "kafka-connect-gateway.socket";
const PEER_SOCKET: &str = "kafka-connect-gateway-peer.socket";
const SERVICE: &str = "kafka-connect-gateway.service";

/// What a hook did to the gateway's units, in order.
fn deeds(done: &Done) -> Vec<&str> {
    let verbs = ["start ", "restart ", "stop ", "enable ", "reload systemd"];
    let steps = done.steps.iter().map(String::as_str);
    steps
        .filter(|step| verbs.iter().any(|verb| step.starts_with(verb)))
        .filter(|step| step.contains("gateway") || step.contains("reload"))
        .collect()
}

fn settled() -> World {
    let mut world = World::new(1);
    world.settle();
    world.assert_sound();
    world
}

fn unit_file(world: &World, unit: &str) -> String {
    let file = &world.units[&0].files[&format!("/etc/systemd/system/{unit}")];
    String::from_utf8(file.bytes.clone()).unwrap()
}

fn set_active(world: &mut World, unit: &str, state: &str) {
    let machine = world.units.get_mut(&0).unwrap();
    machine.host.services.get_mut(unit).unwrap().active = state.to_owned();
}

#[test]
fn the_sockets_listen_before_the_first_gateway_starts() {
    let mut world = World::new(1);
    let mut done = Vec::new();
    for _ in 0..4 {
        let hook = world.hook(0, reconcile());
        done.extend(deeds(&hook).into_iter().map(str::to_owned));
        world.tick();
    }
    world.assert_sound();
    assert_eq!(
        done,
        [
            // For the wake-ups, then for these.
            "reload systemd units",
            "reload systemd units",
            "enable kafka-connect-gateway.socket",
            "enable kafka-connect-gateway-peer.socket",
            "enable kafka-connect-gateway.service",
            "start kafka-connect-gateway.socket",
            "start kafka-connect-gateway-peer.socket",
            "start kafka-connect-gateway.service",
        ]
    );
}

#[test]
fn a_new_gateway_restarts_without_its_sockets() {
    let mut world = settled();
    world.units.get_mut(&0).unwrap().host.gateway_installed = false;
    let done = world.hook(0, Hook::UpgradeCharm);
    world.assert_sound();
    assert_eq!(deeds(&done), ["restart kafka-connect-gateway.service"]);
    assert_eq!(deeds(&world.hook(0, reconcile())), [""; 0]);
}

#[test]
fn a_changed_port_moves_one_door_and_takes_the_gateway_along() {
    for (option, socket) in [("rest-port", CLIENT_SOCKET), ("peer-port", PEER_SOCKET)] {
        let mut world = settled();
        let port = ConfigValue::Integer(9083);
        world.config.insert(option.to_owned(), port);
        let done = world.hook(0, reconcile());
        world.assert_sound();
        // The service is part of its socket: it restarts with it, once.
        let restart = format!("restart {socket}");
        assert_eq!(deeds(&done), ["reload systemd units", &restart]);
        let text = unit_file(&world, socket);
        assert!(text.contains(":9083\n"), "{text}");
        world.settle();
        world.assert_sound();
        let machine = &world.units[&0].host.services;
        assert!(!machine[SERVICE].outdated && !machine[socket].outdated);
    }
}

#[test]
fn metrics_have_a_port_of_their_own_where_one_is_asked_for_and_nothing_restarts() {
    let mut world = settled();
    let listens = |world: &World| {
        let file = &world.units[&0].files["/etc/kafka-connect-gateway/gateway.json"];
        let settings: serde_json::Value = serde_json::from_slice(&file.bytes).unwrap();
        settings["metrics"]["listen"].clone()
    };
    assert_eq!(listens(&world), serde_json::Value::Null);
    let port = ConfigValue::Integer(9404);
    world.config.insert("metrics-port".to_owned(), port);
    let done = world.hook(0, reconcile());
    world.assert_sound();
    assert_eq!(deeds(&done), Vec::<&str>::new());
    let peer = world.units[&0].peer_address.unwrap();
    let expect = serde_json::json!([format!("{peer}:9404"), "127.0.0.1:9404"]);
    assert_eq!(listens(&world), expect);
}

#[test]
fn a_changed_address_moves_the_door_that_has_it() {
    let mut world = settled();
    let address: IpAddr = "fd00::9".parse().unwrap();
    world.units.get_mut(&0).unwrap().peer_address = Some(address);
    let done = world.hook(0, reconcile());
    world.assert_sound();
    assert_eq!(
        deeds(&done),
        [
            "reload systemd units",
            "restart kafka-connect-gateway-peer.socket"
        ]
    );
    let text = unit_file(&world, PEER_SOCKET);
    assert!(text.contains("ListenStream=[fd00::9]:8084\n"), "{text}");
}

#[test]
fn sockets_join_a_gateway_that_runs_without() {
    let mut world = settled();
    for socket in [CLIENT_SOCKET, PEER_SOCKET] {
        set_active(&mut world, socket, "inactive");
    }
    let done = world.hook(0, reconcile());
    world.assert_sound();
    // A start would be refused beside the running service.
    let restarts = [CLIENT_SOCKET, PEER_SOCKET].map(|socket| format!("restart {socket}"));
    assert_eq!(deeds(&done), restarts);
}

#[test]
fn a_socket_whose_port_is_taken_does_not_restart_the_gateway_in_every_hook() {
    let mut world = settled();
    set_active(&mut world, CLIENT_SOCKET, "failed");
    assert_eq!(deeds(&world.hook(0, reconcile())), [""; 0]);
    // Another port is another try.
    let port = ConfigValue::Integer(9083);
    world.config.insert("rest-port".to_owned(), port);
    let done = world.hook(0, reconcile());
    world.assert_sound();
    assert_eq!(
        deeds(&done),
        [
            "reload systemd units",
            "restart kafka-connect-gateway.socket"
        ]
    );
}

#[test]
fn a_restart_that_a_crash_came_before_is_made_up_for() {
    for (unit, expected) in [
        (SERVICE, "restart kafka-connect-gateway.service"),
        (CLIENT_SOCKET, "restart kafka-connect-gateway.socket"),
        ("kafka-connect-wake.path", ""),
    ] {
        let mut world = settled();
        let services = &mut world.units.get_mut(&0).unwrap().host.services;
        services.get_mut(unit).unwrap().outdated = true;
        let done = world.hook(0, reconcile());
        let restart = format!("restart {unit}");
        assert!(done.steps.contains(&restart), "{unit}: {:?}", done.steps);
        let expected: Vec<&str> = Some(expected)
            .filter(|e| !e.is_empty())
            .into_iter()
            .collect();
        assert_eq!(deeds(&done), expected);
        assert_eq!(world.hook(0, reconcile()).steps, [""; 0]);
        world.assert_sound();
    }
}

#[test]
fn a_gateway_out_of_budget_is_told_and_tried_again_a_minute_later() {
    let mut world = settled();
    for unit in [CLIENT_SOCKET, PEER_SOCKET, SERVICE] {
        set_active(&mut world, unit, "failed");
    }
    let start = "start kafka-connect-gateway.service";
    world.units.get_mut(&0).unwrap().out_of_budget = true;
    let done = world.hook(0, reconcile());
    assert_eq!(deeds(&done), [start]);
    assert_eq!(done.last.status.message, "gateway does not stay up");
    assert_eq!(done.last.wake_after_s, Some(60));
    world.units.get_mut(&0).unwrap().out_of_budget = false;
    // It wants its sockets, so that they are back with it.
    assert_eq!(deeds(&world.hook(0, reconcile())), [start]);
    world.settle();
    world.assert_sound();
    let services = &world.units[&0].host.services;
    for unit in [CLIENT_SOCKET, PEER_SOCKET, SERVICE] {
        assert_eq!(services[unit].active, "active", "{unit}");
    }
}

#[test]
fn a_unit_that_leaves_closes_the_doors_before_the_gateway_ends() {
    let mut world = settled();
    let done = world.hook(0, Hook::Leave);
    let at = |wanted: &str| done.steps.iter().position(|step| step == wanted);
    let waits = "let clients go to the other units";
    assert!(at(waits).is_some() && at(waits) < at("stop kafka-connect.service"));
    assert_eq!(
        deeds(&done),
        [
            "stop kafka-connect-gateway.socket",
            "stop kafka-connect-gateway-peer.socket",
            "stop kafka-connect-gateway.service",
        ]
    );
    // A program that does not know how to wait keeps nothing here.
    let mut world = settled();
    world.broken_steps.insert(waits.to_owned(), "x".to_owned());
    let done = world.hook(0, Hook::Leave);
    assert_eq!(done.steps.last().unwrap(), "leave this machine");
    assert!(world.units[&0].files.is_empty());
}
