//! Rolling restarts that know tasks.

use connect_core::observation::{ConfigValue, Hook};
use connect_core::plan::State;

use crate::world::*;

fn set(world: &mut World, option: &str, value: &str) {
    world
        .config
        .insert(option.to_owned(), ConfigValue::Text(value.to_owned()));
}

fn restart(id: &str, all: bool, force: bool) -> Hook {
    Hook::RestartRequested {
        id: id.to_owned(),
        all,
        force,
    }
}

/// Three workers with tasks on each; the leader of the group is that of the model, too.
fn busy() -> World {
    let mut world = World::new(3);
    world.settle();
    world.run_connector("orders", None, 9);
    world.settle();
    world
}

/// Gives one task of the nine another state.
fn one_task(world: &mut World, state: &str) {
    let tasks = &mut world.connectors.get_mut("orders").unwrap().tasks;
    tasks.get_mut(&4).unwrap().state = state.to_owned();
}

/// One hook on each unit, and the leader's status after it.
fn pass(world: &mut World) -> String {
    let mut message = String::new();
    for number in world.units.keys().copied().collect::<Vec<_>>() {
        if world.units[&number].gone {
            continue;
        }
        let done = world.hook(number, reconcile());
        if number == world.leader {
            message = done.last.status.message;
        }
    }
    message
}

#[test]
fn workers_restart_in_order_with_the_leader_of_the_group_last() {
    for group_leader in [0, 2] {
        let mut world = busy();
        world.group.leader = format!("10.30.0.{}", group_leader + 4);
        set(&mut world, "log-level", "DEBUG");
        let mut order = Vec::new();
        for _ in 0..25 {
            let before = starts(&world);
            pass(&mut world);
            let after = starts(&world);
            order.extend((0..3).filter(|unit| after[*unit] > before[*unit]));
            world.tick();
            world.group.leader = format!("10.30.0.{}", group_leader + 4);
        }
        world.assert_sound();
        assert_eq!(starts(&world), [2, 2, 2]);
        assert_eq!(order.last(), Some(&group_leader), "{order:?}");
    }
}

#[test]
fn a_turn_passes_on_only_when_as_many_tasks_run_as_before() {
    let mut world = busy();
    // One that had failed before is not waited for.
    world.run_connector("broken", None, 1);
    let task = &mut world.connectors.get_mut("broken").unwrap().tasks;
    task.get_mut(&0).unwrap().state = "FAILED".to_owned();
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 1]);
    // It comes back, and a task does not start again.
    world.tick();
    one_task(&mut world, "UNASSIGNED");
    for _ in 0..5 {
        pass(&mut world);
        world.tick();
    }
    let message = pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 1], "nobody follows");
    assert!(
        message.starts_with("connector broken failed"),
        "a failed connector is more pressing: {message}"
    );
    world.connectors.remove("broken");
    assert_eq!(
        pass(&mut world),
        "rolling restart at kafka-connect/1: 1 of 9 tasks do not run yet; 2 to follow"
    );
    // A task that failed stops the roll, with its cause.
    one_task(&mut world, "FAILED");
    world.connectors.get_mut("orders").unwrap().trace = Some("SQLException: no".to_owned());
    assert_eq!(
        pass(&mut world),
        "rolling restart stopped at kafka-connect/1: a task of orders failed: SQLException: no"
    );
    assert_eq!(starts(&world), [1, 2, 1]);
    // Its owner restarts it, and the roll goes on.
    one_task(&mut world, "RUNNING");
    world.connectors.get_mut("orders").unwrap().trace = None;
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn a_task_that_runs_on_a_dead_worker_does_not_run() {
    let mut world = busy();
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    world.tick();
    // As the status route shows it for minutes after a crash.
    let tasks = &mut world.connectors.get_mut("orders").unwrap().tasks;
    tasks.get_mut(&0).unwrap().worker = "10.30.0.77:8084".to_owned();
    pass(&mut world);
    world.now += 20;
    assert_eq!(
        pass(&mut world),
        "rolling restart at kafka-connect/1: 1 of 9 tasks do not run yet; 2 to follow"
    );
}

#[test]
fn a_turn_waits_for_the_group_to_come_to_rest() {
    let mut world = busy();
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    world.tick();
    world.hook(1, reconcile());
    for _ in 0..3 {
        // The tasks move back in a rebalance a moment later.
        world.group.generation += 1;
        world.now += 3;
        let message = world.hook(0, reconcile()).last.status.message;
        assert!(message.contains("is coming to rest"), "{message}");
    }
    world.group.delay_ms = 5000;
    world.now += 10;
    let done = world.hook(0, reconcile()).last;
    assert!(done.status.message.contains("is coming to rest"));
    assert_eq!(done.wake_after_s, Some(3));
    world.group.delay_ms = 0;
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn a_client_that_changes_connectors_all_the_time_does_not_hold_up_a_roll() {
    let mut world = busy();
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 1]);
    world.tick();
    world.hook(1, reconcile());
    let look = |world: &mut World, seconds: u64| {
        // Each change rebalances the group.
        world.group.generation += 1;
        world.now += seconds;
        world.hook(0, reconcile()).last.status.message
    };
    let first = look(&mut world, 1);
    assert!(first.contains("is coming to rest"), "{first}");
    // Its tasks restart for the change, so that not all of them run at any moment.
    one_task(&mut world, "UNASSIGNED");
    let second = look(&mut world, 5);
    assert!(second.contains("1 of 9 tasks do not run"), "{second}");
    one_task(&mut world, "RUNNING");
    let third = look(&mut world, 6);
    assert!(third.contains("is coming to rest"), "{third}");
    look(&mut world, 1);
    world.hook(2, reconcile());
    assert_eq!(starts(&world), [1, 2, 2], "four times as long is enough");
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn connectors_deleted_paused_or_made_smaller_do_not_hold_up_a_roll() {
    let mut world = busy();
    for name in ["gone", "paused", "small"] {
        world.run_connector(name, None, 3);
    }
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    world.connectors.remove("gone");
    let paused = world.connectors.get_mut("paused").unwrap();
    paused.state = "PAUSED".to_owned();
    for task in paused.tasks.values_mut() {
        task.state = "PAUSED".to_owned();
    }
    let small = world.connectors.get_mut("small").unwrap();
    small.tasks.retain(|task, _| *task == 0);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn reasons_merge_into_one_roll() {
    let mut world = busy();
    world.serve_plugin("http://10.1.1.5/p", "aaaa");
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 1]);
    // While the first is being restarted, two more reasons come.
    world.add_client(7, "mysql", "http://10.1.1.5/p");
    world.hook(0, restart("9", true, false));
    world.settle();
    world.assert_sound();
    assert_eq!(
        starts(&world),
        [2, 3, 2],
        "the first could not know of them"
    );
    assert!(world.clients[&7].ours.contains_key("secret-user"));
}

#[test]
fn nobody_restarts_while_another_unit_is_not_well() {
    let mut world = busy();
    world.units.get_mut(&2).unwrap().unfit = true;
    world.tick();
    world.hook(2, reconcile());
    set(&mut world, "log-level", "DEBUG");
    world.hook(1, reconcile());
    let message = world.hook(0, reconcile()).last.status.message;
    assert_eq!(
        message,
        "rolling restart at kafka-connect/2: its worker is starting; 2 to follow"
    );
    assert_eq!(starts(&world)[..2], [1, 1]);
    // For unit-timeout, and not for ever.
    world.now += 600;
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world)[..2], [2, 2]);
}

#[test]
fn a_worker_that_does_not_answer_for_a_moment_waits_for_its_turn() {
    let mut world = busy();
    set(&mut world, "log-level", "DEBUG");
    pass(&mut world);
    pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 1], "unit 1 has the turn");
    // The group waits for the one that restarts, and a worker that waits answers nobody.
    world.units.get_mut(&2).unwrap().healthy = false;
    for _ in 0..6 {
        pass(&mut world);
        assert_eq!(starts(&world), [1, 2, 1]);
        world.now += 9;
    }
    // One that has not answered for long has lost its tasks anyway, and a start may be its cure.
    world.now += 9;
    pass(&mut world);
    assert_eq!(starts(&world), [1, 2, 2]);
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
}

#[test]
fn a_unit_that_is_gone_holds_up_a_roll_until_it_is_passed_over() {
    for force in [false, true] {
        let mut world = busy();
        set(&mut world, "log-level", "DEBUG");
        pass(&mut world);
        pass(&mut world);
        assert_eq!(starts(&world), [1, 2, 1]);
        // In the middle of its turn.
        world.units.get_mut(&1).unwrap().gone = true;
        for _ in 0..5 {
            world.tick();
            pass(&mut world);
        }
        assert_eq!(
            pass(&mut world),
            "rolling restart stopped at kafka-connect/1: does not answer"
        );
        assert_eq!(starts(&world), [1, 2, 1]);
        if force {
            world.hook(0, restart("9", false, true));
        } else {
            world.now += 600;
        }
        world.settle();
        assert_eq!(starts(&world), [2, 2, 2]);
        // It comes back and is as good as any.
        world.units.get_mut(&1).unwrap().gone = false;
        world.settle();
        world.assert_sound();
        assert!(
            !world.peer_bag.contains_key("passed"),
            "{:?}",
            world.peer_bag
        );
        assert!(!world.peer_bag.contains_key("silent"));
        assert_eq!(starts(&world), [2, 2, 2]);
    }
}

#[test]
fn a_restart_of_all_is_one_roll_and_a_new_unit_is_not_asked() {
    let mut world = busy();
    world.hook(0, restart("9", true, false));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [2, 2, 2]);
    world.add_unit(3);
    world.settle();
    // One unit later, then all again.
    world.hook(1, restart("10", false, false));
    world.settle();
    assert_eq!(starts(&world), [2, 3, 2, 1]);
    world.hook(0, restart("11", true, false));
    world.settle();
    world.assert_sound();
    assert_eq!(starts(&world), [3, 4, 3, 2]);
}

#[test]
fn a_roll_survives_a_leader_that_moves_at_any_hook() {
    for moves in (0..24_u32).step_by(2) {
        let mut world = busy();
        set(&mut world, "log-level", "DEBUG");
        let mut hooks = 0;
        for _ in 0..25 {
            for number in 0..3 {
                if hooks == moves {
                    world.leader = (world.leader + 1) % 3;
                }
                hooks += 1;
                world.hook(number, reconcile());
            }
            world.tick();
        }
        world.assert_sound();
        assert_eq!(starts(&world), [2, 2, 2], "moved at hook {moves}");
        assert_eq!(
            world.hook(world.leader, reconcile()).last.status.state,
            State::Active
        );
    }
}

#[test]
fn a_worker_that_dies_before_its_turn_comes_back_as_it_was() {
    let mut world = busy();
    let properties = world.layout.worker_properties();
    let before = world.units[&2].files[&properties].bytes.clone();
    set(&mut world, "worker-config", "offset.flush.interval.ms=9999");
    pass(&mut world);
    assert_eq!(world.units[&2].files[&properties].bytes, before);
    world.settle();
    assert_ne!(world.units[&2].files[&properties].bytes, before);
    assert_eq!(starts(&world), [2, 2, 2]);
}
