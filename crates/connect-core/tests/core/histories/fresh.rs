//! A deployment that has just been made as another one is now: history must not matter.
//!
//! What may differ: random values, numbers and times, and what a running worker still holds of plugins
//! that nobody wants any more.

use std::collections::BTreeMap;

use connect_core::wire::peer;

use super::happening::serve;
use crate::encryption::{Provider, settle};
use crate::world::*;

/// In what a settled world differs from a fresh one.
pub fn differences(world: &World) -> Vec<String> {
    let ours = picture(world);
    let theirs = picture(&fresh(world));
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter()
        .filter(|key| ours.get(*key) != theirs.get(*key))
        .map(|key| {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            format!("{key}: {ours:?}, and in a fresh deployment {theirs:?}")
        })
        .collect()
}

fn fresh(world: &World) -> World {
    let mut fresh = World::new(0);
    fresh.config = world.config.clone();
    fresh.leader = world.leader;
    fresh.kafka.clone_from(&world.kafka);
    fresh.kafka.get_mut(&3).unwrap().ours.clear();
    for (number, machine) in &world.units {
        fresh.add_unit(*number);
        let new = fresh.units.get_mut(number).unwrap();
        new.address = machine.address.clone();
        new.peer_address = machine.peer_address;
    }
    serve(&mut fresh, true);
    for (id, client) in &world.clients {
        fresh.add_client(*id, &client.application, "");
        fresh.clients.get_mut(id).unwrap().theirs = client.theirs.clone();
    }
    fresh.settle();
    if world.certificates.is_some() {
        fresh.certificates = Some(BTreeMap::new());
        settle(&mut fresh, &mut Provider::new());
    }
    // Whatever was told last has been read by now.
    fresh.now += 1000;
    fresh.settle();
    fresh
}

/// What a deployment is, as far as its history must not matter.
fn picture(world: &World) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut line = |key: String, value: String| {
        lines.insert(key, value);
    };
    // A client that was once told of TLS keeps the secret about it: its URI never changes.
    let of_tls = |text: &str| world.certificates.is_none() && text.contains("tls");
    for (id, client) in &world.clients {
        let keys: Vec<&String> = client.ours.keys().filter(|key| !of_tls(key)).collect();
        line(
            format!("client {id}"),
            format!("{keys:?} {}", client.ours["endpoints"]),
        );
    }
    for (label, secret) in &world.secrets {
        if of_tls(label) {
            continue;
        }
        line(
            format!("secret {label}"),
            format!("{:?} {:?}", secret.content.keys(), secret.granted),
        );
    }
    let told = peer::read_application(&world.peer_bag);
    for (id, known) in &told.clients {
        line(
            format!("known client {id}"),
            format!(
                "{} {} {:?} {:?}",
                known.application, known.digest, known.late, known.next
            ),
        );
    }
    line(
        "application".to_owned(),
        format!(
            "{:?} {:?} {:?} {:?} {:?} {}",
            told.tombstones,
            told.waiting,
            told.wanted_since,
            told.silent,
            told.passed,
            told.tls.is_some_and(|tls| tls.enabled),
        ),
    );
    for (number, machine) in &world.units {
        unit(*number, machine, &mut line);
    }
    lines
}

fn unit(number: u32, machine: &Machine, line: &mut impl FnMut(String, String)) {
    let name = |what: &str| format!("unit {number} {what}");
    for (path, file) in &machine.files {
        // Those with a random value in them.
        let secret = [
            "users",
            "gateway.json",
            "gateway/",
            ".pem",
            ".jks",
            "start",
            "peer",
        ];
        let content = if secret.iter().any(|part| path.contains(part)) {
            String::new()
        } else {
            String::from_utf8_lossy(&file.bytes).into_owned()
        };
        line(
            name(path),
            format!("{:o} {}:{} {content}", file.mode, file.user, file.group),
        );
    }
    let host = &machine.host;
    for (service, fact) in &host.services {
        line(
            name(service),
            format!("{} {} {}", fact.active, fact.enabled, fact.stale),
        );
    }
    line(
        name("machine"),
        format!(
            "{:?} {:?} {:?} {:?} {:?} {}",
            host.users,
            host.directories,
            host.workloads,
            host.bundles,
            host.java,
            host.gateway_installed,
        ),
    );
    line(name("worker"), machine.healthy.to_string());
    let users = machine.served.clone().unwrap_or_default().users;
    let users: Vec<_> = users
        .into_iter()
        .map(|user| (user.name, user.owner, user.access))
        .collect();
    let door = machine
        .door
        .as_ref()
        .map(|(protocol, tls)| (*protocol, tls.is_some()));
    line(
        name("gateway"),
        format!("{users:?} {door:?} {:?}", machine.ports),
    );
    let told = peer::read_unit(&machine.bag);
    line(
        name("databag"),
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            told.address,
            told.peer_address,
            told.peer_addresses,
            told.bundles,
            told.sources,
            told.users.keys(),
            told.wants_turn,
            told.healthy,
            told.unwell_since,
            told.cause,
            told.attempt,
            told.rejected,
            told.rejected_bundles,
            told.suspects,
            told.faults,
        ),
    );
}
