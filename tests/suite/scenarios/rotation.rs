//! A client's new password, one more unit for a while, and users of the operator's own.

use super::model::{Model, SOON};

/// What each published endpoint answers to somebody; `000` for no answer.
fn codes(model: &Model, user: &str) -> String {
    let endpoints = model.given("client/0", "endpoints").unwrap_or_default();
    let code = |url: &str| {
        let url = format!("{url}/connectors");
        let curl = [
            "curl",
            "-s",
            "-m",
            "40",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ];
        // Without an answer curl fails: whoever waits for one asks again.
        let asked = model.attempt(&[&["ssh", "client/0"], &curl[..], &["-u", user, &url]].concat());
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    endpoints.split(',').map(code).collect::<Vec<_>>().join(" ")
}

fn wait_admin(model: &Model, user: &str, wanted: &str) {
    model.wait_until(&format!("{user} is answered {wanted}"), SOON, || {
        codes(model, user) == wanted
    });
}

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
    let secret = model.sim(&["add-secret", "operators", "admin=correct horse"]);
    model.sim(&["grant-secret", "operators", "kafka-connect"]);
    let option = format!("system-users={}", secret.trim());
    model.sim(&["config", "kafka-connect", &option]);
    wait_admin(&model, "admin:correct horse", "200 200");
    assert_eq!(codes(&model, "admin:correct house"), "401 401");
    model.sim(&["update-secret", "operators", "admin=battery staple"]);
    wait_admin(&model, "admin:battery staple", "200 200");
    assert_eq!(codes(&model, "admin:correct horse"), "401 401");
    model.sim(&["config", "kafka-connect", "--reset", "system-users"]);
    wait_admin(&model, "admin:battery staple", "401 401");
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
