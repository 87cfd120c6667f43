//! The internal user and CA, replaced while units of different pace go on.

use std::collections::BTreeSet;

use connect_core::layout::Layout;
use connect_core::observation::{ConfigValue, Connector, Hook};
use connect_core::wire::pem;

use crate::world::*;

fn running(units: u32) -> World {
    let mut world = World::new(units);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    // With a connector, workers take turns.
    world
        .connectors
        .insert("one".to_owned(), Connector::default());
    world.settle();
    world.assert_sound();
    world
}

fn secret(world: &World, key: &str) -> String {
    world.secrets["kafka-connect.internal.secret"].content[key].clone()
}

/// What every door accepts has to include what any unit presents, and what its worker takes.
fn check(world: &World) {
    let layout = Layout::new("");
    let units = || world.units.iter();
    for (number, unit) in units() {
        let inside = unit.inside.as_ref().unwrap();
        for (other, peer) in units() {
            let shown = peer.inside.as_ref().unwrap();
            let named = format!("{other} to {number}");
            assert!(inside.users.contains(&shown.users[0]), "{named}: user");
            let of_peer = |ca: &str| {
                let text = format!("kafka-connect/{other} {ca}");
                connect_core::fingerprint::sha256(
                    connect_core::fingerprint::sha256(text.as_bytes()).as_bytes(),
                )
            };
            let ca = world
                .secrets
                .iter()
                .filter(|(label, _)| label.starts_with("kafka-connect.internal"))
                .map(|(_, secret)| secret.content["ca-certificate"].clone())
                .find(|ca| of_peer(ca) == shown.presented);
            let ca = ca.unwrap_or_else(|| panic!("{named}: a certificate of a forgotten CA"));
            let identity = connect_core::fingerprint::sha256(&pem::certificates(&ca)[0]);
            assert!(inside.trusted.contains(&identity), "{named}: CA");
        }
        // What the running worker read at its start is a user that its gateway can present.
        if unit.worker_active() {
            let file = String::from_utf8_lossy(&unit.files[&layout.internal_users()].bytes);
            let takes = inside
                .users
                .iter()
                .any(|(name, password)| file.contains(name) && file.contains(password));
            assert!(takes, "{number}: worker");
        }
    }
}

fn rotate(world: &mut World) {
    world.hook(0, Hook::RotateInternalRequested);
    for _ in 0..40 {
        for number in world.units.keys().copied().collect::<Vec<_>>() {
            world.hook(number, reconcile());
            check(world);
        }
        world.tick();
        check(world);
    }
}

#[test]
fn the_internal_user_and_ca_are_replaced_with_one_restart_in_turns() {
    for units in [1, 3] {
        let mut world = running(units);
        let before: Vec<u32> = world.units.values().map(|unit| unit.starts).collect();
        let old = (secret(&world, "password"), secret(&world, "ca-certificate"));
        rotate(&mut world);
        world.settle();
        world.assert_sound();
        let new = (secret(&world, "password"), secret(&world, "ca-certificate"));
        assert!(old.0 != new.0 && old.1 != new.1, "{units}");
        assert_eq!(secret(&world, "username"), "internal-b");
        let labels: BTreeSet<&str> = world.secrets.keys().map(String::as_str).collect();
        assert!(!labels.contains("kafka-connect.internal-next.secret"));
        for (unit, before) in world.units.values().zip(before) {
            assert_eq!(unit.starts, before + 1, "{units}");
            let inside = unit.inside.as_ref().unwrap();
            assert_eq!(inside.users, [("internal-b".to_owned(), new.0.clone())]);
            assert_eq!(inside.trusted.len(), 1);
        }
        // And back: the names take turns.
        rotate(&mut world);
        assert_eq!(secret(&world, "username"), "internal", "{units}");
        let done = world.hook(0, reconcile());
        assert_eq!((done.rounds, done.last.promises), (1, vec![]));
    }
}

#[test]
fn a_unit_that_is_away_holds_the_rotation_and_is_named() {
    let mut world = running(2);
    let old = secret(&world, "password");
    world.hook(0, Hook::RotateInternalRequested);
    for _ in 0..5 {
        world.hook(0, reconcile());
        world.tick();
        check(&world);
    }
    assert_eq!(secret(&world, "password"), old);
    let message = world.hook(0, reconcile()).last.status.message;
    assert_eq!(
        message,
        "rotating the internal credentials: kafka-connect/1"
    );
    world.leader = 1;
    rotate_on(&mut world);
    world.assert_sound();
    assert_ne!(secret(&world, "password"), old);
}

/// Whoever leads now carries on.
fn rotate_on(world: &mut World) {
    for _ in 0..20 {
        for number in [1, 0] {
            world.hook(number, reconcile());
            check(world);
        }
        world.tick();
    }
}

#[test]
fn age_brings_a_rotation_unless_the_option_says_never() {
    for (days, rotates) in [(None, true), (Some(0), false), (Some(800), false)] {
        let mut world = running(1);
        if let Some(days) = days {
            let value = ConfigValue::Integer(days);
            world
                .config
                .insert("rotate-internal-days".to_owned(), value);
        }
        let old = secret(&world, "password");
        world.now += 364 * 86_400;
        world.settle();
        assert_eq!(secret(&world, "password"), old);
        world.now += 2 * 86_400;
        world.settle();
        world.assert_sound();
        assert_eq!(secret(&world, "password") != old, rotates, "{days:?}");
    }
}
