//! Several workers with many tasks: a value that a worker does not bear reaches one of them.

use std::time::Duration;

use super::model::Model;

const UNITS: [&str; 3] = ["kafka-connect/0", "kafka-connect/1", "kafka-connect/2"];
const TASKS: usize = 30;
/// Three workers restart one after the other, on a machine that they share with a broker.
const ROLL: Duration = Duration::from_secs(240);
fn cluster() -> Model {
    let model = Model::new();
    model.deploy_kafka(&[]);
    model.deploy_connect(&["-n", "3"]);
    model.sim(&["integrate", "kafka-connect", "kafka"]);
    model.deploy_sink(TASKS, "/var/lib/kafka-connect/tmp/orders.out");
    model.sim(&["integrate", "files:connect-client", "kafka-connect"]);
    for unit in UNITS {
        model.wait_status(unit, "active", "", ROLL);
    }
    wait_running(&model);
    model
}

/// States of all tasks, as the REST API of a unit's own worker shows them.
fn states(model: &Model, unit: &str) -> Vec<String> {
    let script = "curl -s -m 5 -u \"$(tr = : < /etc/kafka-connect/users.properties)\" \
                  'http://127.0.0.1:18083/connectors?expand=status'";
    let output = model.attempt(&["ssh", unit, "sh", "-c", script]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let connectors = listed.as_object().into_iter().flat_map(|all| all.values());
    let tasks = connectors.flat_map(|one| one["status"]["tasks"].as_array().into_iter().flatten());
    tasks
        .map(|task| task["state"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn wait_running(model: &Model) {
    model.wait_until("all tasks run", ROLL, || {
        let states = states(model, UNITS[0]);
        states.len() == TASKS && states.iter().all(|state| state == "RUNNING")
    });
}

/// How often each worker began to start, as its log tells.
fn begins(model: &Model) -> Vec<usize> {
    let count = |unit: &str| {
        let log = model.sim(&["ssh", unit, "cat", "/var/log/kafka-connect/worker.log"]);
        log.matches("Kafka Connect worker initializing").count()
    };
    UNITS.iter().map(|unit| count(unit)).collect()
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_value_with_which_a_worker_exits_is_taken_back_on_one_unit() {
    let model = cluster();
    let before = begins(&model);
    model.sim(&[
        "config",
        "kafka-connect",
        "worker-config=offset.flush.interval.ms=never",
    ]);
    let start = "option worker-config (offset.flush.interval.ms): worker exits: ConfigException: \
                 Invalid value never";
    let is_blocked = |unit: &str| {
        let status = model.status(unit);
        status.state == "blocked" && status.message.starts_with(start)
    };
    model.wait_until("one unit is blocked, with the cause", ROLL, || {
        UNITS.iter().filter(|unit| is_blocked(unit)).count() == 1
    });
    model.wait_until("it runs with the old value", ROLL, || {
        states(&model, UNITS[0]).len() == TASKS
            && UNITS.iter().all(|unit| !states(&model, unit).is_empty())
    });
    wait_running(&model);
    let after = begins(&model);
    let touched: Vec<usize> = (0..3).filter(|unit| after[*unit] > before[*unit]).collect();
    assert_eq!(touched.len(), 1, "{before:?} {after:?}");
    assert!(!states(&model, UNITS[0]).contains(&"FAILED".to_owned()));
    println!("option that makes a worker exit: units restarted {touched:?}, 0 tasks failed");
    model.sim(&[
        "config",
        "kafka-connect",
        "worker-config=offset.flush.interval.ms=6000",
    ]);
    for unit in UNITS {
        model.wait_status(unit, "active", "", ROLL);
    }
    wait_running(&model);
    model.assert_no_hook_failed();
}
