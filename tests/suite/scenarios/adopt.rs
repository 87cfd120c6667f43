//! A group that was somebody else's: refused, then adopted with the connector that runs in it.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::model::{Model, SOON};

/// As the Python charm names them.
const GROUP: &str = "group-id=connect-cluster";
const TOPICS: [&str; 3] = [
    "config-topic=connect-config",
    "offset-topic=connect-offset",
    "status-topic=connect-status",
];
const FILE: &str = "/var/lib/kafka-connect/tmp/orders.out";

fn deploy(model: &Model, name: &str) {
    let mut more = vec!["--config", GROUP];
    for topic in TOPICS {
        more.extend(["--config", topic]);
    }
    model.deploy_connect_as(name, &more);
    model.sim(&["integrate", name, "kafka"]);
}

/// Connectors as a unit's worker lists them, each with the states of its tasks.
fn connectors(model: &Model, unit: &str) -> Vec<(String, Vec<String>)> {
    let script = "curl -s -m 5 -u \"$(tr = : < /etc/kafka-connect/users.properties)\" \
                  'http://127.0.0.1:18083/connectors?expand=status'";
    let output = model.attempt(&["ssh", unit, "sh", "-c", script]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let all = listed.as_object().into_iter().flatten();
    all.map(|(name, one)| {
        let tasks = one["status"]["tasks"].as_array().into_iter().flatten();
        let state = |task: &serde_json::Value| task["state"].as_str().unwrap_or("?").to_owned();
        (name.clone(), tasks.map(state).collect())
    })
    .collect()
}

fn runs(model: &Model, unit: &str, name: &str) -> bool {
    let running = (name.to_owned(), vec!["RUNNING".to_owned()]);
    connectors(model, unit).contains(&running)
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_group_of_another_deployment_is_refused_and_then_adopted() {
    let begin = Instant::now();
    let model = Model::new();
    model.deploy_kafka(&[]);
    deploy(&model, "before");
    model.deploy_sink(1, FILE);
    model.sim(&["integrate", "files:connect-client", "before"]);
    // Its name is from the answer that shows it running: the next one may fail.
    let listed = RefCell::new(Vec::new());
    model.wait_until("a connector runs in the group", SOON, || {
        let mut listed = listed.borrow_mut();
        *listed = connectors(&model, "before/0");
        listed.len() == 1 && listed[0].1 == ["RUNNING"]
    });
    let name = listed.take().remove(0).0;
    let host = model.status_field("before/0", "public-address");

    // Its worker runs: refused, and no worker of ours has been started.
    deploy(&model, "kafka-connect");
    let refused = |fault: &str| {
        format!("group connect-cluster {fault}: adopt-group=true joins it, or set another group-id")
    };
    let message = refused(&format!("has a worker at {host}"));
    model.wait_status("kafka-connect/0", "blocked", &message, SOON);
    let active = || {
        let words = ["ssh", "kafka-connect/0", "systemctl", "is-active"];
        let shown = model.attempt(&[&words[..], &["kafka-connect.service"]].concat());
        String::from_utf8_lossy(&shown.stdout).trim().to_owned()
    };
    assert_ne!(active(), "active");
    assert!(runs(&model, "before/0", &name), "it is not disturbed");

    // It is gone, its connectors are stored: still refused.
    model.sim(&["remove-application", "before"]);
    let message = refused("has connectors in topic connect-config");
    let is_verbose = Cell::new(false);
    model.wait_until("a group without members is refused as well", SOON, || {
        // Any hook looks again.
        is_verbose.set(!is_verbose.get());
        let level = if is_verbose.get() { "DEBUG" } else { "INFO" };
        let level = format!("log-level={level}");
        let status = model.status_configured("kafka-connect/0", &[&level]);
        (status.state.as_str(), status.message.as_str()) == ("blocked", message.as_str())
    });
    assert_ne!(active(), "active");

    // Adopted: the connector is there, and runs as soon as its plugin is.
    model.sim(&["config", "kafka-connect", "adopt-group=true"]);
    model.wait_until("the connector is there", SOON, || {
        let listed = connectors(&model, "kafka-connect/0");
        listed.iter().any(|(found, _)| *found == name)
    });
    model.sim(&["integrate", "files:connect-client", "kafka-connect"]);
    model.wait_until("the connector runs again", SOON, || {
        runs(&model, "kafka-connect/0", &name)
    });
    // Ours by now: the option may go, also for a unit that comes later.
    model.sim(&["config", "kafka-connect", "adopt-group=false"]);
    model.sim(&["add-unit", "kafka-connect"]);
    for unit in ["kafka-connect/0", "kafka-connect/1"] {
        model.wait_active(unit);
    }
    // Its task may move to the unit that has just joined, and does not run while it does.
    model.wait_until("the connector runs in the larger group", SOON, || {
        runs(&model, "kafka-connect/1", &name)
    });
    model.assert_no_hook_failed();
    println!("refused, adopted and running in {:?}", begin.elapsed());
}
