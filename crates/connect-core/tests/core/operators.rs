//! Users that an operator chose: on every gateway, hashed once, and never in the way of a client.

use std::collections::BTreeMap;

use connect_core::gateway::{Access, User};
use connect_core::observation::Reading;
use connect_core::secret::Secret;

use crate::world::*;

fn running() -> World {
    let mut world = World::new(3);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    world.assert_sound();
    world
}

fn choose(world: &mut World, users: &[(&str, &str)]) {
    let content: BTreeMap<String, Secret<String>> = users
        .iter()
        .map(|(name, password)| ((*name).to_owned(), Secret::new((*password).to_owned())))
        .collect();
    world.operators = Some(Reading::Known(content));
}

/// The user as every gateway serves it.
fn served(world: &World, name: &str) -> Option<User> {
    let mut all = world.units.values().map(|unit| {
        let users = &unit.served.as_ref().unwrap().users;
        users.iter().find(|user| user.name == name).cloned()
    });
    let first = all.next()?;
    assert!(all.all(|other| other == first), "{name} differs by unit");
    first
}

fn status(world: &mut World) -> String {
    let status = world.hook(world.leader, reconcile()).last.status;
    format!("{:?}: {}", status.state, status.message)
}

#[test]
fn operators_come_change_and_go_on_every_gateway_without_a_restart() {
    let mut world = running();
    let before = starts(&world);

    choose(&mut world, &[("admin", "correct horse")]);
    world.settle();
    world.assert_sound();
    let admin = served(&world, "admin").expect("every gateway serves it");
    assert_eq!((admin.owner.clone(), admin.access), (None, Access::All));
    assert!(
        admin.passwords_sha256.is_empty(),
        "a chosen password is hashed slowly"
    );
    assert_eq!(admin.passwords_argon2id.len(), 1);

    // The same for whoever leads: nothing is hashed again.
    world.leader = 2;
    world.settle();
    assert_eq!(served(&world, "admin").as_ref(), Some(&admin));

    choose(
        &mut world,
        &[("admin", "battery staple"), ("eve", "correct horse")],
    );
    world.settle();
    world.assert_sound();
    let changed = served(&world, "admin").expect("it is still there");
    assert_ne!(changed.passwords_argon2id, admin.passwords_argon2id);
    assert!(served(&world, "eve").is_some());

    world.operators = None;
    world.settle();
    world.assert_sound();
    assert!(served(&world, "admin").is_none() && served(&world, "eve").is_none());
    assert!(
        !world
            .secrets
            .keys()
            .any(|label| label.contains("operators"))
    );
    assert!(served(&world, "relation-7").is_some());
    assert_eq!(starts(&world), before);
}

/// What the status says, and how it comes about.
type Fault = (&'static str, fn(&mut World));

#[test]
fn a_secret_that_cannot_be_used_blocks_by_name_and_leaves_the_users_before() {
    let mut world = running();
    choose(&mut world, &[("admin", "correct horse")]);
    world.settle();
    let admin = served(&world, "admin");
    assert!(admin.is_some());
    let faults: [Fault; 3] = [
        ("is not granted", |world| {
            world.operators = Some(Reading::Unreadable("is not granted".to_owned()));
        }),
        (
            "user `admin`: the password is shorter than 8 characters",
            |world| {
                choose(world, &[("admin", "short")]);
            },
        ),
        (
            "user `relation-7`: the charm uses this name itself",
            |world| {
                choose(
                    world,
                    &[("admin", "correct horse"), ("relation-7", "correct horse")],
                );
            },
        ),
    ];
    for (fault, stage) in faults {
        stage(&mut world);
        world.settle();
        let expected = format!("Blocked: option system-users: {fault}");
        assert_eq!(status(&mut world), expected);
        assert_eq!(served(&world, "admin"), admin, "{fault}");
        // Others are served as ever, also new ones.
        world.clients.remove(&8);
        world.add_client(8, "late", "NOT-REQUIRED");
        world.settle();
        assert!(served(&world, "relation-8").is_some(), "{fault}");
    }
    choose(&mut world, &[("admin", "correct horse")]);
    world.settle();
    assert_eq!(status(&mut world), "Active: ");
    world.assert_sound();
}
