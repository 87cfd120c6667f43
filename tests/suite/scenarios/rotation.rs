//! A client's new password, and one more unit for a while.

use super::model::{Model, SOON};

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn rotating_and_scaling_restart_no_worker_and_break_no_client() {
    let model = Model::with_kafka(&[]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect"]);
    let unit = "kafka-connect/0";
    model.wait_active(unit);
    model.wait_served("client/0");
    assert_eq!(model.codes("client/0"), "200");
    let worker = model.worker(unit);
    let uri = model.given("client/0", "secret-user").unwrap();
    let before = model.secret_revision(&uri);

    let relation = format!("relation={}", model.client_relation("client/0"));
    model.action(unit, &["rotate-credentials", &relation]);
    model.wait_until("the secret has a new revision", SOON, || {
        model.secret_revision(&uri) > before
    });
    assert_eq!(model.given("client/0", "secret-user"), Some(uri));
    assert_eq!(model.codes("client/0"), "200");
    assert_eq!(model.worker(unit), worker, "rotating restarts nothing");

    model.sim(&["add-unit", "kafka-connect"]);
    model.wait_until("both endpoints are published", SOON, || {
        let endpoints = model.given("client/0", "endpoints").unwrap_or_default();
        endpoints.split(',').count() == 2
    });
    model.wait_active("kafka-connect/1");
    assert_eq!(model.codes("client/0"), "200 200");
    model.sim(&["remove-unit", "kafka-connect/1"]);
    model.wait_until("one endpoint is left", SOON, || {
        let endpoints = model.given("client/0", "endpoints").unwrap_or_default();
        endpoints.split(',').count() == 1
    });
    assert_eq!(model.codes("client/0"), "200");
    assert_eq!(
        model.worker(unit),
        worker,
        "scaling restarts no other worker"
    );
    model.assert_no_hook_failed();
}
