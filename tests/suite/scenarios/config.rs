//! Options with values that cannot be used.

use super::model::{Model, SOON};

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_bad_option_blocks_by_name_and_the_worker_goes_on() {
    let model = Model::with_kafka(&[]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect"]);
    let unit = "kafka-connect/0";
    model.wait_active(unit);
    model.wait_served("client/0");
    let worker = model.worker(unit);

    for (option, value, fault) in [
        ("rest-port", "0", "must be a number from 1024 to 65535"),
        (
            "rest-port",
            "18083",
            "is the port of the worker itself; choose another",
        ),
        ("peer-port", "8083", "must differ from rest-port"),
        (
            "worker-config",
            "group.id=mine",
            "group.id belongs to the charm",
        ),
        ("worker-config", "nonsense", "line 1 is not key=value"),
        (
            "log-level",
            "LOUD",
            "must be one of TRACE, DEBUG, INFO, WARN, ERROR",
        ),
        ("kafka-version", "9.9", "must be one of 3.9.1, 4.1.2, 4.3.1"),
        ("kafka-mirror", "ftp://x", "must be an http or https URL"),
        ("heap-mib", "64", "must be 0 or at least 128"),
    ] {
        model.sim(&["config", "kafka-connect", &format!("{option}={value}")]);
        model.wait_status(unit, "blocked", &format!("option {option}: {fault}"), SOON);
        assert_eq!(model.codes("client/0"), "200", "while {option} is {value}");
        model.sim(&["config", "kafka-connect", "--reset", option]);
        model.wait_active(unit);
    }

    assert_eq!(model.worker(unit), worker, "the worker was not restarted");
    model.assert_no_hook_failed();
}
