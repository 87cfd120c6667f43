//! Kafka as it may be: half down, down, or slow to grant what it hands over.

use super::{GOOD, SOON, Stage, Status, UNIT};
use crate::scenarios::model::Model;

const KAFKA: &str = "kafka/0";

/// A Kafka 3 that grants nothing yet, and of whose two brokers one is down from the start.
fn deploy() -> Model {
    let model = Model::new();
    let nobody = "extra-endpoints=127.0.0.9:9092";
    let answer = ["--config", nobody, "--config", "answer=kafka3"];
    model.deploy_kafka(&[&answer[..], &["--config", "grant=false"]].concat());
    model.deploy_connect(&[]);
    model.deploy_client("good", None);
    model.sim(&["integrate", "good", "kafka-connect"]);
    model
}

pub(super) fn run() {
    let model = deploy();
    model.wait_status(
        UNIT,
        "blocked",
        "needs Kafka: juju integrate kafka-connect:kafka-client <kafka>",
        SOON,
    );
    model.sim(&["integrate", "kafka-connect", "kafka"]);

    // The secret is told before it is granted: nothing was started with it yet.
    let told = model.wait_wrote("kafka", 0);
    let relation = model.relation(UNIT, "kafka-client").unwrap()["relation-id"].clone();
    let denied = |secret: &str| {
        let fault = format!("{secret}: is not granted (permission denied)");
        Status::new("waiting", &format!("kafka-client:{relation}: {fault}"))
    };
    // Kafka 3 hands over two, and of two that cannot be read the first is named.
    assert_eq!(model.status_after(UNIT, told), denied("secret-tls"));
    model.sim(&["config", "kafka", "grant=true"]);
    let stage = Stage::of(model);
    stage.is_unharmed("granting");
    let model = &stage.model;

    // Again, while a worker runs.
    model.sim(&["config", "kafka", "grant=false"]);
    model.wait_idle();
    let before = model.runs().len();
    model.action(KAFKA, &["replace-secrets"]);
    let told = model.wait_wrote("kafka", before);
    assert_eq!(model.status_after(UNIT, told), denied("secret-user"));
    stage.is_unharmed("a new secret that is not granted");
    model.sim(&["config", "kafka", "grant=true"]);
    model.wait_active(UNIT);
    stage.is_unharmed("granting the new secret");

    // No broker is left. The worker notices when it next needs one; the first status that is not
    // good then is the one that counts.
    let before = model.runs().len();
    model.action(KAFKA, &["stop-broker"]);
    let unreachable = format!("kafka-client:{relation}: worker cannot reach Kafka: ");
    let shown = model.next_status(UNIT, before, SOON);
    assert_eq!(shown.state, "waiting", "{shown:?}");
    assert!(shown.message.starts_with(&unreachable), "{shown:?}");
    assert_eq!(model.worker(UNIT), stage.worker, "it keeps trying");
    assert!(model.given(GOOD, "secret-user").is_some());
    model.action(KAFKA, &["start-broker"]);
    model.wait_active(UNIT);
    stage.is_unharmed("the broker's return");
}
