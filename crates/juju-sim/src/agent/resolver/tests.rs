//! One test per rule, each a little history of hooks.

use super::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fn view() -> View {
    let peer = RelationView {
        endpoint: "mates".into(),
        peer: true,
        remote_application: "a".into(),
        ..RelationView::default()
    };
    View {
        unit: "a/0".into(),
        charm: 1,
        config: 1,
        relations: BTreeMap::from([(0, peer)]),
        ..View::default()
    }
}

fn with_client(mut view: View) -> View {
    let client = RelationView {
        endpoint: "client".into(),
        remote_application: "b".into(),
        members: BTreeMap::from([("b/0".into(), 1)]),
        ..RelationView::default()
    };
    view.relations.insert(1, client);
    view
}

fn label(operation: &Operation) -> String {
    match operation {
        Operation::Hook(Hook::Relation(hook)) => {
            let name = Hook::Relation(hook.clone()).name();
            let unit = hook.remote_unit.as_ref().map(|unit| format!(" {unit}"));
            let departing = hook
                .departing
                .as_ref()
                .map(|unit| format!(" departing {unit}"));
            [Some(name), unit, departing]
                .into_iter()
                .flatten()
                .collect()
        }
        Operation::Hook(hook) => hook.name(),
        Operation::Task(number) => format!("task {number}"),
        Operation::Forget(id) => format!("forget {id}"),
        Operation::StorageGone(id) => format!("gone {id}"),
        Operation::Dead => "dead".into(),
    }
}

/// Runs to the end, every hook succeeding.
fn history(view: &View, memory: &mut Memory) -> Vec<String> {
    let mut dice = StdRng::seed_from_u64(7);
    let mut seen = Vec::new();
    while let Some(operation) = next(view, memory, &mut dice) {
        seen.push(label(&operation));
        match operation {
            Operation::Hook(hook) => memory.done(&hook, view),
            Operation::Forget(id) => {
                if let Some(relation) = memory.relations.get_mut(&id) {
                    relation.broken = true;
                }
            }
            Operation::Task(_) | Operation::StorageGone(_) | Operation::Dead => return seen,
        }
    }
    seen
}

#[test]
fn r1_r2_r5_first_deployment() {
    let mut view = with_client(view());
    view.leader = true;
    view.storage.insert("data/0".into(), false);
    let seen = history(&view, &mut Memory::default());
    assert_eq!(seen[..2], ["data-storage-attached", "install"]);
    let mut created = seen[2..4].to_vec();
    created.sort();
    assert_eq!(
        created,
        ["client-relation-created", "mates-relation-created"]
    );
    assert_eq!(
        seen[4..],
        [
            "leader-elected",
            "config-changed",
            "start",
            "client-relation-joined b/0",
            "client-relation-changed b/0"
        ]
    );
}

fn settled(view: &View) -> Memory {
    let mut memory = Memory::default();
    history(view, &mut memory);
    memory
}

#[test]
fn r3_tasks_and_secrets_overtake_config() {
    let mut view = view();
    let mut memory = settled(&view);
    view.config = 2;
    view.task = Some(4);
    view.secrets = vec![(SecretEvent::Changed, "x".into(), None)];
    let mut dice = StdRng::seed_from_u64(1);
    assert_eq!(
        label(&next(&view, &memory, &mut dice).unwrap()),
        "secret-changed"
    );
    view.secrets.clear();
    assert_eq!(label(&next(&view, &memory, &mut dice).unwrap()), "task 4");
    view.task = None;
    assert_eq!(history(&view, &mut memory), ["config-changed"]);
}

#[test]
fn r5_upgrade_is_followed_by_config_changed() {
    let mut view = view();
    let mut memory = settled(&view);
    view.charm = 2;
    assert_eq!(
        history(&view, &mut memory),
        ["upgrade-charm", "config-changed"]
    );
}

#[test]
fn r6_application_before_units_and_versions_coalesce() {
    let mut view = with_client(view());
    let mut memory = settled(&view);
    let client = view.relations.get_mut(&1).unwrap();
    client.application = 3;
    client.members.insert("b/0".into(), 9);
    client.members.insert("b/1".into(), 1);
    assert_eq!(
        history(&view, &mut memory),
        [
            "client-relation-changed",
            "client-relation-joined b/1",
            "client-relation-changed b/1",
            "client-relation-changed b/0"
        ]
    );
}

#[test]
fn a_remote_unit_that_goes_departs_and_nothing_else() {
    let mut view = with_client(view());
    let mut memory = settled(&view);
    view.relations.get_mut(&1).unwrap().members.clear();
    assert_eq!(
        history(&view, &mut memory),
        ["client-relation-departed b/0 departing b/0"]
    );
}

#[test]
fn a_removed_relation_departs_and_breaks() {
    let mut view = with_client(view());
    let mut memory = settled(&view);
    view.relations.get_mut(&1).unwrap().dying = true;
    assert_eq!(
        history(&view, &mut memory),
        [
            "client-relation-departed b/0 departing b/0",
            "client-relation-broken"
        ]
    );
}

#[test]
fn r4_r8_a_dying_unit_detaches_departs_breaks_stops() {
    let mut view = with_client(view());
    view.storage.insert("data/0".into(), false);
    view.relations
        .get_mut(&0)
        .unwrap()
        .members
        .insert("a/1".into(), 1);
    let mut memory = settled(&view);
    view.dying = true;
    assert_eq!(
        history(&view, &mut memory),
        [
            "data-storage-detaching",
            "client-relation-departed b/0 departing a/0",
            "client-relation-broken",
            "mates-relation-departed a/1 departing a/0",
            "forget 0",
            "stop",
            "remove",
            "dead"
        ]
    );
}

#[test]
fn r9_a_failed_hook_waits_for_its_retry() {
    let mut view = view();
    let mut memory = settled(&view);
    memory.failed = Some(Hook::ConfigChanged);
    view.leader = true;
    let mut dice = StdRng::seed_from_u64(1);
    assert_eq!(next(&view, &memory, &mut dice), None);
    view.task = Some(1);
    assert_eq!(next(&view, &memory, &mut dice), Some(Operation::Task(1)));
    view.task = None;
    view.retry_due = true;
    assert_eq!(
        next(&view, &memory, &mut dice),
        Some(Operation::Hook(Hook::ConfigChanged))
    );
}
