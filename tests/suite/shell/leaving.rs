//! Leaving a machine.

use super::machine::{Machine, children};

#[test]
fn a_unit_that_leaves_leaves_nothing() {
    let machine = Machine::new();
    for name in ["install", "start"] {
        machine.good_hook(name);
    }
    machine.good_hook("stop");
    machine.good_hook("remove");
    for directory in [
        "etc",
        "etc/systemd/system",
        "opt",
        "var/lib",
        "var/log",
        "run",
    ] {
        let left: Vec<_> = children(&machine.path(&format!("root/{directory}")))
            .into_iter()
            .filter(|path| path.to_string_lossy().contains("kafka"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(
        machine.read("root/etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n"
    );
    let programs = machine.programs();
    for unit in ["kafka-connect.service", "kafka-connect-gateway.service"] {
        let stop = format!("systemctl stop --no-block {unit}");
        assert!(programs.contains(&stop), "{programs:#?}");
    }
}

#[test]
fn leaving_a_machine_that_was_never_used_is_nothing() {
    let machine = Machine::bare();
    machine.good_hook("stop");
    machine.good_hook("remove");
    assert!(machine.programs().is_empty());
}

#[test]
fn leaving_works_although_juju_answers_nothing() {
    let machine = Machine::new();
    machine.good_hook("install");
    for tool in ["config-get", "relation-ids", "opened-ports", "is-leader"] {
        machine.juju(&format!("failing/{tool}"), "ERROR gone\n");
    }
    machine.good_hook("stop");
    assert!(!machine.path("root/etc/kafka-connect").exists());
}
