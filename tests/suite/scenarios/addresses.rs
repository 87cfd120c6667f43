//! Bindings apart, and a unit whose addresses change while clients and peers use them.

use std::time::Duration;

use serde_json::Value;

use super::model::Model;

const UNIT: &str = "kafka-connect/1";
/// Where clients and peers come in once they do so apart.
const CLIENTS: &str = "10.151.77.1";
const PEERS: &str = "10.151.78.1";
const LONG: Duration = Duration::from_secs(60);

fn move_to(model: &Model, address: &str, binding: &str) {
    let added = format!("{address}/16");
    model.sim(&["ssh", UNIT, "ip", "addr", "add", &added, "dev", "eth0"]);
    model.sim(&["address", UNIT, address, "--binding", binding]);
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn addresses_change_on_each_binding_apart_and_all_follow() {
    let model = Model::with_kafka(&["-n", "2"]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect:connect-client"]);
    model.wait_served("client/0");
    let endpoints = || model.given("client/0", "endpoints").unwrap_or_default();
    let [first, second] = ["kafka-connect/0", UNIT].map(|unit| {
        model.wait_active(unit);
        model.status_field(unit, "public-address")
    });
    let both = |second: &str| format!("http://{first}:8083,http://{second}:8083");
    model.wait_until("both are told", LONG, || endpoints() == both(&second));
    let secret = model.given("client/0", "secret-user");
    let workers = || ["kafka-connect/0", UNIT].map(|unit| model.worker(unit));
    let before = workers();

    // Clients: told of the new address, served there, nothing restarts.
    move_to(&model, CLIENTS, "connect-client");
    model.wait_until("clients are told", LONG, || endpoints() == both(CLIENTS));
    let (code, _) = model.rest("client/0", 1, ("GET", "/connectors"), &Value::Null);
    assert_eq!(code, 200);
    assert_eq!(model.given("client/0", "secret-user"), secret);
    assert_eq!(workers(), before, "no worker restarts for it");

    // Peers: that unit's worker restarts once, to be known there; what it forwards gets through.
    move_to(&model, PEERS, "workers");
    model.wait_until("its worker is known at the new address", LONG, || {
        let file = "/etc/kafka-connect/worker.properties";
        let text = model.sim(&["ssh", UNIT, "cat", file]);
        text.contains(&format!("rest.advertised.host.name={PEERS}\n"))
    });
    model.wait_active(UNIT);
    model.wait_idle();
    let after = workers();
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(endpoints(), both(CLIENTS), "clients hear nothing of it");
    let connector = serde_json::json!({
        "name": "one",
        "config": {
            "connector.class": "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            "source.cluster.alias": "a",
            "target.cluster.alias": "b",
            "target.cluster.bootstrap.servers": "none:1",
        },
    });
    // Through each of them: one leads the group, the other forwards to it.
    for endpoint in [0, 1] {
        let (code, body) = model.rest("client/0", endpoint, ("POST", "/connectors"), &connector);
        assert_eq!(code, if endpoint == 0 { 201 } else { 409 }, "{body}");
    }
    model.assert_no_hook_failed();
}
