//! Bindings apart, and a unit whose addresses change while clients and peers use them.

use serde_json::Value;

use super::model::{Model, SOON};

const UNIT: &str = "kafka-connect/1";
/// Where clients and peers come in once they do so apart.
const CLIENTS: &str = "10.151.77.1";
const PEERS: &str = "10.151.78.1";

/// Two workers and a client that is served.
fn two_and_a_client() -> Model {
    let model = Model::with_kafka(&["-n", "2"]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect:connect-client"]);
    model.wait_served("client/0");
    model
}

fn move_to(model: &Model, address: &str, binding: &str) {
    add(model, UNIT, &format!("{address}/16"));
    model.sim(&["address", UNIT, address, "--binding", binding]);
}

/// Gives a machine one more address.
fn add(model: &Model, unit: &str, address: &str) {
    let mut words = vec!["ssh", unit, "ip", "addr", "add", address, "dev", "eth0"];
    if address.contains(':') {
        // Nobody else on this wire has it.
        words.push("nodad");
    }
    model.sim(&words);
}

/// Makes a connector through each of the two: one leads the group, the other forwards to it.
fn assert_forwarded(model: &Model) {
    let connector = serde_json::json!({
        "name": "one",
        "config": {
            "connector.class": "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            "source.cluster.alias": "a",
            "target.cluster.alias": "b",
            "target.cluster.bootstrap.servers": "none:1",
        },
    });
    for endpoint in [0, 1] {
        let (code, body) = model.rest("client/0", endpoint, ("POST", "/connectors"), &connector);
        assert_eq!(code, if endpoint == 0 { 201 } else { 409 }, "{body}");
    }
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn addresses_change_on_each_binding_apart_and_all_follow() {
    let model = two_and_a_client();
    let endpoints = || model.taken("client/0")["endpoints"].clone();
    let [first, second] = ["kafka-connect/0", UNIT].map(|unit| {
        model.wait_active(unit);
        model.status_field(unit, "public-address")
    });
    let both = |second: &str| format!("http://{first}:8083,http://{second}:8083");
    model.wait_until("both are told", SOON, || endpoints() == both(&second));
    let secret = model.given("client/0", "secret-user");
    let workers = || ["kafka-connect/0", UNIT].map(|unit| model.worker(unit));
    let before = workers();

    // Clients: told of the new address, served there, nothing restarts.
    move_to(&model, CLIENTS, "connect-client");
    model.wait_until("clients are told", SOON, || endpoints() == both(CLIENTS));
    let (code, _) = model.rest("client/0", 1, ("GET", "/connectors"), &Value::Null);
    assert_eq!(code, 200);
    assert_eq!(model.given("client/0", "secret-user"), secret);
    assert_eq!(workers(), before, "no worker restarts for it");

    // Peers: that unit's worker restarts once, to be known there; what it forwards gets through.
    move_to(&model, PEERS, "workers");
    model.wait_until("its worker is known at the new address", SOON, || {
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
    assert_forwarded(&model);
    model.assert_no_hook_failed();
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn clients_and_peers_meet_over_ipv6() {
    let model = two_and_a_client();
    add(&model, "client/0", "fd00:77::9/8");
    let units = ["kafka-connect/0", UNIT];
    for (number, unit) in units.iter().enumerate() {
        model.wait_active(unit);
        for (network, binding) in [("77", "connect-client"), ("78", "workers")] {
            let address = format!("fd00:{network}::{}", number + 1);
            add(&model, unit, &format!("{address}/8"));
            model.sim(&["address", unit, &address, "--binding", binding]);
        }
    }
    let told = "http://[fd00:77::1]:8083,http://[fd00:77::2]:8083";
    model.wait_until("clients are told", SOON, || {
        model.taken("client/0")["endpoints"] == told
    });
    for (number, unit) in units.iter().enumerate() {
        model.wait_until("its worker is known there", SOON, || {
            let file = "/etc/kafka-connect/worker.properties";
            let name = format!("rest.advertised.host.name=[fd00:78::{}]\n", number + 1);
            model.sim(&["ssh", unit, "cat", file]).contains(&name)
        });
        model.wait_active(unit);
    }
    model.wait_idle();
    assert_forwarded(&model);
    model.assert_no_hook_failed();
}
