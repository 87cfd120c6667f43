//! The archive of the worker's classes: made once for a Java and a Kafka, and no reason to restart.

use connect_core::observation::ConfigValue;

use crate::world::*;

const START: &str = "start kafka-connect-warm.service";
const KEY: &str = "/var/cache/kafka-connect/worker.key";

fn settled() -> World {
    let mut world = World::new(1);
    world.settle();
    world.assert_sound();
    world
}

fn machine(world: &mut World) -> &mut Machine {
    world.units.get_mut(&0).unwrap()
}

fn update_java(world: &mut World) {
    machine(world).host.java.as_mut().unwrap().1 = "17.0.16".to_owned();
}

/// How often a hook starts it.
fn starts(world: &mut World) -> usize {
    let done = world.hook(0, reconcile());
    world.assert_sound();
    done.steps.iter().filter(|step| *step == START).count()
}

#[test]
fn a_worker_that_is_well_has_its_classes_archived_once() {
    let mut world = settled();
    let before = machine(&mut world).files[KEY].bytes.clone();
    assert_eq!(starts(&mut world), 0);
    let workers = machine(&mut world).starts;
    update_java(&mut world);
    assert_eq!(starts(&mut world), 1);
    assert_ne!(machine(&mut world).files[KEY].bytes, before);
    assert_eq!(starts(&mut world), 0);
    assert_eq!(machine(&mut world).starts, workers, "no worker restarts");
}

#[test]
fn an_archive_that_cannot_be_made_is_tried_again_for_another_java_only() {
    let mut world = World::new(1);
    machine(&mut world).unarchivable = true;
    world.settle();
    assert_eq!(starts(&mut world), 0);
    // Its worker restarts with it first.
    let before = machine(&mut world).starts;
    machine(&mut world).host.java = Some(("/usr/bin/java2".to_owned(), "25.0.1".to_owned()));
    let tries: usize = (0..20)
        .map(|_| {
            world.tick();
            starts(&mut world)
        })
        .sum();
    assert_eq!(machine(&mut world).starts, before + 1);
    assert_eq!(tries, 1);
}

#[test]
fn a_heap_that_no_archive_fits_has_none() {
    let mut world = World::new(1);
    world
        .config
        .insert("heap-mib".to_owned(), ConfigValue::Integer(40 << 10));
    world.settle();
    world.assert_sound();
    let files = &machine(&mut world).files;
    assert!(!files.contains_key(KEY));
    let unit = &files["/etc/systemd/system/kafka-connect.service"].bytes;
    let unit = String::from_utf8(unit.clone()).unwrap();
    assert!(
        unit.contains("-Xmx40960m") && !unit.contains("Archive"),
        "{unit}"
    );
}
