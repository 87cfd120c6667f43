//! Kafka as it may be: down, half down, or answering like Kafka 3.

use super::model::{Model, SOON};

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_broker_that_is_down_shows_and_its_return_is_noticed() {
    let model = Model::new();
    model.deploy_kafka(&[
        // Nobody listens there: the first of two brokers is down from the start.
        "--config",
        "extra-endpoints=127.0.0.9:9092",
        "--config",
        "answer=kafka3",
    ]);
    model.deploy_connect(&[]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect"]);
    let unit = "kafka-connect/0";
    model.wait_status(
        unit,
        "blocked",
        "needs Kafka: juju integrate kafka-connect:kafka-client <kafka>",
        SOON,
    );
    model.sim(&["integrate", "kafka-connect", "kafka"]);
    model.wait_active(unit);
    model.wait_served("client/0");
    assert_eq!(model.codes("client/0"), "200");

    model.action("kafka/0", &["stop-broker"]);
    model.sim(&["exec", "--unit", unit, "--", "true"]);
    let relation = model.relation(unit, "kafka-client").unwrap()["relation-id"].clone();
    let named = format!("kafka-client:{relation}: worker cannot reach Kafka: ");
    model.wait_until("the status names relation and fault", SOON * 3, || {
        let status = model.status(unit);
        status.state == "waiting" && status.message.starts_with(&named)
    });
    model.action("kafka/0", &["start-broker"]);
    model.wait_status(unit, "active", "", SOON * 3);
    assert_eq!(model.codes("client/0"), "200");
    model.assert_no_hook_failed();
}
