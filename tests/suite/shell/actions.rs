//! Actions.

use super::machine::Machine;

fn action(machine: &Machine, name: &str) -> String {
    let path = format!("actions/{name}");
    let outcome = machine.dispatch(&path, &[("JUJU_ACTION_UUID", "3")]);
    assert!(outcome.success, "{}", outcome.stderr);
    let answers = machine.read("juju/answers");
    answers.lines().last().unwrap().to_owned()
}

#[test]
fn restart_restarts_the_only_worker_once() {
    let machine = Machine::new();
    assert!(action(&machine, "restart").starts_with("action-fail"));
    for name in ["install", "start"] {
        machine.good_hook(name);
    }
    assert_eq!(
        action(&machine, "restart"),
        "action-set result=the worker is being restarted"
    );
    machine.good_hook("update-status");
    let restarts = machine
        .programs()
        .iter()
        .filter(|line| *line == "systemctl restart --no-block kafka-connect.service")
        .count();
    assert_eq!(restarts, 1);
}

#[test]
fn rotation_is_refused_with_the_reason() {
    let machine = Machine::new();
    machine.juju("parameters", r#"{"relation": "seven"}"#);
    assert!(action(&machine, "rotate-credentials").contains("relation id"));
    machine.juju("parameters", r#"{"relation": 7}"#);
    assert!(action(&machine, "rotate-credentials").contains("no client with credentials"));
    machine.juju("leader", "false");
    assert!(action(&machine, "rotate-credentials").contains("on the leader"));
}

#[test]
fn plugins_are_listed_and_unknown_actions_refused() {
    let machine = Machine::new();
    assert!(action(&machine, "list-plugins").contains("worker=not running"));
    assert!(action(&machine, "no-such").starts_with("action-fail"));
}
