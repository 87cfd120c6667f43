//! A real connector's archive as its makers publish it, and the same as older connectors come:
//! without the manifests that a worker needs to find its classes without scanning.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{asks, file, stored, versions};
use crate::scenarios::model::{Model, built};
use crate::scenarios::servers::Servers;

const UNIT: &str = "kafka-connect/0";
const CLIENT: &str = "mysql/0";
const CLASS: &str = "io.debezium.connector.mysql.MySqlConnector";
const VERSION: &str = "3.6.1.Final";
/// A download of 30 MB, a start of the worker, and what the classes take to load.
const LOADED: Duration = Duration::from_secs(180);

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_published_plugin_is_admitted_listed_and_validates_with_manifests_or_without() {
    let model = Model::with_kafka(&[]);
    let mut servers = Servers::new(&model);
    let archives = [
        ("/published", built("kafka/debezium-mysql.tar.gz")),
        ("/bare", built("kafka/debezium-mysql-bare.tar")),
    ];
    servers.answer(archives.iter().map(|(path, name)| (*path, file(name))));
    servers.start(&model, 8000);
    let url = |path| format!("http://{}{path}", servers.authority(8000));
    model.wait_status(UNIT, "active", "", LOADED);

    let began = Instant::now();
    model.deploy_client("mysql", Some(&asks(&url("/published")).to_string()));
    model.sim(&["integrate", "mysql", "kafka-connect"]);
    model.wait_until("the client has its user", LOADED, || {
        model.given(CLIENT, "secret-user").is_some()
    });
    model.wait_served(CLIENT);
    let published = loaded(&model);
    println!(
        "published archive: {} jars, {} classes listed, credentials after {:.1} s",
        published.jars,
        published.classes.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(published.jars > 20, "{}", published.jars);
    validates(&model);

    // The next bundle is another, so that it is this one that the classes come from.
    let before = model.worker(UNIT);
    model.tell("mysql", &asks(&url("/bare")));
    model.wait_until("the archive without manifests is loaded", LOADED, || {
        let digests = stored(&model, UNIT);
        model.status(UNIT).state == "active"
            && !digests.is_empty()
            && !digests.contains(&published.digest)
    });
    model.wait_status(UNIT, "active", "", LOADED);
    let bare = loaded(&model);
    println!(
        "without manifests: {} jars, {} classes listed",
        bare.jars,
        bare.classes.len()
    );
    assert_ne!(model.worker(UNIT), before);
    assert_eq!(bare.jars, published.jars + 1, "one more: our manifests");
    // What no manifest of theirs names (Debezium lists some of its classes only) is found as well.
    let missing: Vec<&String> = published.classes.difference(&bare.classes).collect();
    assert!(missing.is_empty(), "{missing:?}");
    validates(&model);
    model.wait_served(CLIENT);
    model.assert_no_hook_failed();
}

/// A bundle that the worker has loaded.
struct Loaded {
    digest: String,
    jars: usize,
    classes: BTreeSet<String>,
}

/// The one bundle there is: stored, loaded without scanning, and each of its classes offered by the
/// worker.
fn loaded(model: &Model) -> Loaded {
    let digests = stored(model, UNIT);
    assert_eq!(digests.len(), 1, "not one bundle: {digests:?}");
    let digest = &digests[0];
    let listed = model.action(UNIT, &["list-plugins"]);
    let bundle = &listed["bundles"][digest];
    assert_eq!(bundle["loaded"], "yes", "{listed}");
    // A line of a bundle is a class, its version and kind. Its manifests may name classes of Kafka's as
    // well, so that only its connectors are compared.
    let connectors = ["(source)", "(sink)"];
    let names = |value: &Value| -> BTreeSet<String> {
        let lines = value.as_str().unwrap().lines();
        lines
            .filter(|line| {
                !line.ends_with(')') || connectors.iter().any(|kind| line.ends_with(kind))
            })
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let classes = names(&bundle["classes"]);
    assert!(classes.contains(CLASS), "{classes:?}");
    let offered = names(&listed["classes"]);
    let missing: Vec<&String> = classes.difference(&offered).collect();
    assert!(missing.is_empty(), "listed, not offered: {missing:?}");
    assert_eq!(versions(model, CLIENT, 0, CLASS), [VERSION]);
    let properties = model.sim(&["ssh", UNIT, "cat", "/etc/kafka-connect/worker.properties"]);
    assert!(properties.contains("plugin.discovery=service_load\n"));
    let path = format!("/var/lib/kafka-connect/plugins/{digest}");
    let found = model.sim(&["ssh", UNIT, "find", &path, "-name", "*.jar"]);
    Loaded {
        digest: digest.clone(),
        jars: found.lines().count(),
        classes,
    }
}

/// A configuration with all that the connector demands but what only a database can answer for.
fn validates(model: &Model) {
    let path = format!("/connector-plugins/{CLASS}/config/validate");
    let call = ("PUT", path.as_str());
    let (code, answer) = model.rest(CLIENT, 0, call, &json!({"connector.class": CLASS}));
    assert_eq!(code, 200, "{answer}");
    let configs = answer["configs"].as_array().unwrap();
    let errors: Vec<(&str, String)> = configs
        .iter()
        .map(|config| &config["value"])
        .filter(|value| {
            value["errors"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        })
        .map(|value| {
            (
                value["name"].as_str().unwrap_or_default(),
                value["errors"].to_string(),
            )
        })
        .collect();
    println!("{} options validated: {errors:?}", configs.len());
    assert_eq!(answer["error_count"].as_u64(), Some(errors.len() as u64));
}
