//! A requirer on the Python framework, unchanged.

use super::model::{Model, SOON, Status, built};

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_charm_on_ops_gets_credentials_and_uses_them() {
    let model = Model::with_kafka(&[]);
    model.deploy(&built("fixtures/ops-requirer"), "requirer", &[]);
    model.sim(&["integrate", "requirer", "kafka-connect"]);
    let user = || format!("relation-{}", model.client_relation("requirer/0"));
    model.wait_until("the requirer uses its user", SOON, || {
        model.status("requirer/0")
            == Status {
                state: "active".to_owned(),
                message: format!("0 connectors as {}", user()),
            }
    });
    model.wait_active("kafka-connect/0");
    model.assert_no_hook_failed();
}
