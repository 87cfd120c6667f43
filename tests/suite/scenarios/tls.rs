//! TLS towards clients switched on, renewed, its CA rotated, and switched off, and the internal user
//! and CA replaced, each under a client that asks every endpoint over new connections, twenty times
//! a second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::model::{Model, SOON, source};

const UNITS: [&str; 2] = ["kafka-connect/0", "kafka-connect/1"];
/// How soon after the provider's answer a new certificate has to be seen on every unit.
const SEEN: Duration = Duration::from_secs(30);

/// What the polling client saw so far.
struct Report {
    requests: u64,
    failures: Vec<String>,
    /// The serial number of the certificate, or `http`, last seen at each endpoint.
    now: BTreeMap<String, String>,
    longest_ms: u64,
}

fn report(model: &Model) -> Report {
    let results = model.action("client/0", &["polled"]);
    let text = results["report"].as_str().unwrap();
    let report: Value = serde_json::from_str(text).unwrap();
    let texts = |value: &Value| value.as_str().unwrap().to_owned();
    Report {
        requests: report["requests"].as_u64().unwrap(),
        failures: report["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(texts)
            .collect(),
        now: report["now"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(url, serial)| (url.clone(), texts(serial)))
            .collect(),
        longest_ms: report["longest_ms"].as_u64().unwrap(),
    }
}

/// Waits until both endpoints show something that `changed` accepts; says how long it took.
fn wait_seen(
    model: &Model,
    what: &str,
    limit: Duration,
    changed: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, String> {
    let start = Instant::now();
    model.wait_until(what, limit, || {
        let seen = report(model).now;
        seen.len() == 2 && changed(&seen)
    });
    let seen = report(model);
    println!(
        "{what} after {:.1} s; {} requests, {} failed, longest {} ms",
        start.elapsed().as_secs_f64(),
        seen.requests,
        seen.failures.len(),
        seen.longest_ms
    );
    assert_eq!(seen.failures, Vec::<String>::new());
    seen.now
}

fn none_of(before: &BTreeMap<String, String>) -> impl Fn(&BTreeMap<String, String>) -> bool {
    move |now| {
        now.values()
            .all(|serial| before.values().all(|old| old != serial))
    }
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn tls_comes_and_goes_without_a_failed_request_or_a_restart() {
    let model = Model::with_kafka(&["-n", "2"]);
    model.deploy_client("client", None);
    model.deploy(
        &source("tests/fixtures/charms/certificates"),
        "authority",
        &[],
    );
    model.sim(&["integrate", "client", "kafka-connect"]);
    for unit in UNITS {
        model.wait_active(unit);
    }
    model.wait_served("client/0");
    let uri = |key: &str| model.given("client/0", key);
    let workers = UNITS.map(|unit| model.worker(unit));
    model.action("client/0", &["poll"]);
    let plain = wait_seen(&model, "both endpoints are polled over http", SOON, |now| {
        now.values().all(|serial| serial == "http")
    });
    assert_eq!(uri("secret-tls"), None);

    model.sim(&[
        "integrate",
        "kafka-connect:certificates",
        "authority:certificates",
    ]);
    let first = wait_seen(&model, "both endpoints are https", SOON, none_of(&plain));
    assert!(
        first.keys().all(|url| url.starts_with("https://")),
        "{first:?}"
    );
    assert_eq!(model.codes("client/0"), "200 200");
    for unit in UNITS {
        model.wait_active(unit);
    }
    let secret = uri("secret-tls").unwrap();
    let revision = model.secret_revision(&secret);

    model.action("authority/0", &["renew"]);
    let renewed = wait_seen(
        &model,
        "renewed certificates are seen",
        SEEN,
        none_of(&first),
    );
    assert_eq!(model.secret_revision(&secret), revision, "the same CA");

    model.action("authority/0", &["rotate-ca"]);
    // Until then they are revoked: the authority issues the new ones in its next hook.
    model.sim(&[
        "exec",
        "--unit",
        "authority/0",
        "--",
        "JUJU_DISPATCH_PATH=hooks/update-status ./dispatch",
    ]);
    let rotated = wait_seen(
        &model,
        "certificates of the new CA are seen",
        SEEN,
        none_of(&renewed),
    );
    assert!(model.secret_revision(&secret) > revision);

    model.sim(&[
        "remove-relation",
        "kafka-connect:certificates",
        "authority:certificates",
    ]);
    let back = wait_seen(
        &model,
        "both endpoints are http again",
        SOON,
        none_of(&rotated),
    );
    assert!(back.values().all(|serial| serial == "http"), "{back:?}");
    assert_eq!(uri("secret-tls"), Some(secret), "the URI stays");
    for unit in UNITS {
        model.wait_active(unit);
    }
    let seen = report(&model);
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(seen.requests > 200, "{}", seen.requests);
    assert_eq!(
        UNITS.map(|unit| model.worker(unit)),
        workers,
        "no worker restarts"
    );
    model.assert_no_hook_failed();
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn the_internal_user_and_ca_are_replaced_without_a_refused_forward() {
    let model = Model::with_kafka(&["-n", "2"]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect"]);
    for unit in UNITS {
        model.wait_active(unit);
    }
    model.wait_served("client/0");
    let workers = UNITS.map(|unit| model.worker(unit));
    model.action("client/0", &["poll", "forward=true"]);
    wait_seen(&model, "both endpoints are polled", SOON, |_| true);

    model.action(UNITS[0], &["rotate-credentials"]);
    let settings = "/etc/kafka-connect-gateway/gateway.json";
    model.wait_until("both gateways know the new user alone", SOON, || {
        UNITS.iter().all(|unit| {
            let text = model.sim(&["ssh", unit, "cat", settings]);
            let settings: Value = serde_json::from_str(&text).unwrap();
            let worker = &settings["worker"];
            worker["internal"]["username"] == "internal-b" && worker["internal_other"].is_null()
        })
    });
    for unit in UNITS {
        model.wait_active(unit);
    }
    let before = report(&model).requests;
    model.wait_until("both endpoints are polled on", SOON, || {
        report(&model).requests > before + 40
    });
    let seen = report(&model);
    println!("{} requests, longest {} ms", seen.requests, seen.longest_ms);
    // A worker that is being stopped may answer 500 to a DELETE it has yet to forward. Nobody repeats it
    // blindly: the gateway reads back, finds no such connector, and says so with 204. At most once
    // for each restart, and with 500 if it could not tell; nothing is ever refused.
    let is_stop = |failure: &&String| {
        ["204", "500"]
            .iter()
            .any(|code| failure.contains(&format!("OSError: DELETE: status {code}")))
    };
    let others = seen.failures.iter().filter(|failure| !is_stop(failure));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(seen.failures.len() <= UNITS.len(), "{:?}", seen.failures);
    for (unit, before) in UNITS.iter().zip(workers) {
        assert_ne!(model.worker(unit), before, "{unit} restarts");
    }
    model.assert_no_hook_failed();
}
