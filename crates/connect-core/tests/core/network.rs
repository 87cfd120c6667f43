//! Bindings and addresses: each unit is reached where Juju says, and followed when that changes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use connect_core::gateway::Settings;
use connect_core::layout::Layout;
use connect_core::observation::ConfigValue;
use connect_core::plan::State;

use crate::encryption::with_tls;
use crate::farewells::connector;
use crate::world::*;

fn settings(world: &World, number: u32) -> Settings {
    let path = Layout::new("").gateway_settings();
    serde_json::from_slice(&world.units[&number].files[&path].bytes).unwrap()
}

fn allowed(world: &World, number: u32) -> BTreeSet<String> {
    let door = settings(world, number).peer_door.unwrap();
    door.allowed.iter().map(ToString::to_string).collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn advertised(world: &World, number: u32) -> String {
    let path = Layout::new("").worker_properties();
    let text = String::from_utf8(world.units[&number].files[&path].bytes.clone()).unwrap();
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.strip_prefix("rest.advertised.host.name="));
    found.unwrap().to_owned()
}

fn client_and_peer(world: &mut World, number: u32, client: &str, peer: &str) {
    let machine = world.units.get_mut(&number).unwrap();
    machine.address = client.to_owned();
    machine.peer_address = Some(peer.parse().unwrap());
}

fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_door_is_on_its_own_binding_only() {
    let mut world = World::new(2);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    world.assert_sound();
    let settings = settings(&world, 0);
    assert_eq!(settings.client_door.listen, sockets(&["10.20.0.4:8083"]));
    assert_eq!(
        settings.peer_door.unwrap().listen,
        sockets(&["10.30.0.4:8084"])
    );
    assert_eq!(settings.peers[0].address, sockets(&["10.30.0.5:8084"])[0]);
    assert_eq!(allowed(&world, 0), set(&["10.30.0.4", "10.30.0.5"]));
    assert_eq!(advertised(&world, 0), "10.30.0.4");
    let told = &world.clients[&7].ours["endpoints"];
    assert_eq!(told, "http://10.20.0.4:8083,http://10.20.0.5:8083");
}

#[test]
fn a_model_of_ipv6_alone_works_throughout() {
    let mut world = World::new(2);
    for number in 0..2 {
        let peer = format!("fd00:30::{}", number + 4);
        client_and_peer(
            &mut world,
            number,
            &format!("fd00:20::{}", number + 4),
            &peer,
        );
    }
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.connectors.insert("busy".to_owned(), connector(None));
    world.settle();
    world.assert_sound();
    let told = &world.clients[&7].ours["endpoints"];
    assert_eq!(told, "http://[fd00:20::4]:8083,http://[fd00:20::5]:8083");
    let settings = settings(&world, 0);
    assert_eq!(settings.client_door.listen, sockets(&["[fd00:20::4]:8083"]));
    assert_eq!(
        settings.peers[0].address,
        sockets(&["[fd00:30::5]:8084"])[0]
    );
    assert_eq!(allowed(&world, 0), set(&["fd00:30::4", "fd00:30::5"]));
    assert_eq!(advertised(&world, 0), "[fd00:30::4]");
    // Tasks are found with workers whose id has brackets, so that a roll goes on.
    world.run_connector("more", None, 4);
    let level = ConfigValue::Text("DEBUG".to_owned());
    world.config.insert("log-level".to_owned(), level);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2]);
}

#[test]
fn both_families_are_served_and_their_order_says_nothing() {
    let mut world = World::new(2);
    for number in 0..2 {
        let more: IpAddr = format!("fd00:30::{}", number + 4).parse().unwrap();
        // A link's own address cannot be listened on without its interface.
        let link: IpAddr = format!("fe80::{}", number + 4).parse().unwrap();
        world.units.get_mut(&number).unwrap().more = vec![link, more];
    }
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    world.assert_sound();
    let both = ["10.30.0.4:8084", "[fd00:30::4]:8084"];
    let settings = settings(&world, 0);
    assert_eq!(settings.peer_door.unwrap().listen, sockets(&both));
    let all = set(&["10.30.0.4", "10.30.0.5", "fd00:30::4", "fd00:30::5"]);
    assert_eq!(allowed(&world, 0), all);
    let before = world.units[&1].files.clone();
    // Juju lists the other family first.
    let machine = world.units.get_mut(&1).unwrap();
    machine.more = vec![machine.peer_address.unwrap()];
    machine.peer_address = Some("fd00:30::5".parse().unwrap());
    // Clients still come in on IPv4 alone here, which is another binding.
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1]);
    assert_eq!(advertised(&world, 1), "10.30.0.5");
    let path = Layout::new("").worker_properties();
    assert_eq!(world.units[&1].files[&path].bytes, before[&path].bytes);
}

#[test]
fn clients_are_told_of_an_address_in_the_hook_in_which_the_leader_hears_of_it() {
    let mut world = World::new(2);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    let uri = world.clients[&7].ours["secret-user"].clone();
    world.units.get_mut(&1).unwrap().address = "10.20.9.9".to_owned();
    world.hook(1, reconcile());
    assert_eq!(
        settings(&world, 1).client_door.listen,
        sockets(&["10.20.9.9:8083"])
    );
    world.hook(0, reconcile());
    let told = world.clients[&7].ours["endpoints"].clone();
    assert_eq!(told, "http://10.20.0.4:8083,http://10.20.9.9:8083");
    // The leader's own, in its own hook.
    world.units.get_mut(&0).unwrap().address = "10.20.9.8".to_owned();
    world.hook(0, reconcile());
    let told = world.clients[&7].ours["endpoints"].clone();
    assert_eq!(told, "http://10.20.9.8:8083,http://10.20.9.9:8083");
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 1], "no worker restarts for it");
    assert_eq!(world.clients[&7].ours["secret-user"], uri);
}

#[test]
fn clients_are_told_of_an_address_once_the_gateway_is_there() {
    let mut world = World::new(2);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    let told = |world: &World| world.clients[&7].ours["endpoints"].clone();
    let before = told(&world);
    let machine = world.units.get_mut(&1).unwrap();
    machine.address = "10.20.9.9".to_owned();
    machine.deaf = true;
    world.hook(1, reconcile());
    world.hook(0, reconcile());
    assert_eq!(told(&world), before);
    world.units.get_mut(&1).unwrap().deaf = false;
    world.settle();
    world.assert_sound();
    assert_eq!(told(&world), "http://10.20.0.4:8083,http://10.20.9.9:8083");
}

#[test]
fn a_peer_that_moves_is_let_in_from_both_addresses_until_its_worker_has_restarted() {
    let mut world = World::new(3);
    world.connectors.insert("busy".to_owned(), connector(None));
    world.settle();
    world.units.get_mut(&1).unwrap().peer_address = Some("10.30.9.9".parse().unwrap());
    let done = world.hook(1, reconcile());
    let issued = done.steps.iter().filter(|step| step.starts_with("issue"));
    assert_eq!(
        issued.count(),
        1,
        "its certificate is for the new one: {:?}",
        done.steps
    );
    assert_eq!(starts(&world), [1, 1, 1], "it has to wait for its turn");
    world.hook(2, reconcile());
    let others = ["10.30.0.4", "10.30.0.6"];
    let both = [&others[..], &["10.30.0.5", "10.30.9.9"]].concat();
    assert_eq!(allowed(&world, 2), set(&both));
    let peers = settings(&world, 2).peers;
    assert_eq!(peers[1].address, sockets(&["10.30.9.9:8084"])[0]);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [1, 2, 1], "its own worker alone restarts");
    assert_eq!(advertised(&world, 1), "10.30.9.9");
    let new = [&others[..], &["10.30.9.9"]].concat();
    for number in 0..3 {
        assert_eq!(allowed(&world, number), set(&new));
    }
}

#[test]
fn an_address_that_is_not_there_for_a_moment_changes_nothing() {
    for of_clients in [true, false] {
        let mut world = World::new(2);
        world.add_client(7, "ui", "NOT-REQUIRED");
        world.settle();
        let before = (world.clients[&7].ours.clone(), world.units[&1].files.len());
        let machine = world.units.get_mut(&1).unwrap();
        let address = machine.address.clone();
        let binding = if of_clients {
            machine.address = String::new();
            "connect-client"
        } else {
            machine.peer_address = None;
            "workers"
        };
        let done = world.hook(1, reconcile());
        let status = done.last.status;
        assert_eq!(
            (status.state, status.message),
            (
                State::Waiting,
                format!("waiting for an address on {binding}")
            )
        );
        world.hook(0, reconcile());
        assert_eq!(
            (world.clients[&7].ours.clone(), world.units[&1].files.len()),
            before
        );
        let machine = world.units.get_mut(&1).unwrap();
        machine.address = address;
        machine.peer_address = Some("10.30.0.5".parse().unwrap());
        world.settle();
        world.assert_sound();
        assert_eq!(starts(&world), [1, 1]);
        assert_eq!(world.clients[&7].ours, before.0);
    }
}

#[test]
fn a_certificate_is_asked_for_anew_when_an_address_changes() {
    let (mut world, mut provider) = with_tls(1);
    let before = world.units[&0].requests.clone();
    world.units.get_mut(&0).unwrap().address = "10.20.9.9".to_owned();
    world.hook(0, reconcile());
    assert_ne!(world.units[&0].requests, before);
    crate::encryption::settle(&mut world, &mut provider);
    world.assert_sound();
    assert_eq!(
        world.clients[&7].ours["endpoints"],
        "https://10.20.9.9:8083"
    );
    assert_eq!(starts(&world), [1]);
}
