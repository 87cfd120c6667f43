//! Plugins on real workers: what clients bring is stored, loaded, swapped, and put away, and what
//! cannot be used touches nobody else.

mod lives;
mod published;
mod renewed;

use serde_json::{Value, json};
use testkit::archive::{TarBuilder, java, plugin};

use super::model::{Model, built};

const SECRETS: &str = r#"["username", "password"]"#;
/// The connector that those of the tests extend: lines of a file.
const PARENT: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";

/// A tarball with a version of a connector.
fn acme(class: &str, version: &str) -> Vec<u8> {
    let bytes = java::with_version(class, PARENT, version);
    let jar = plugin::jar_of(plugin::SOURCE, class, bytes);
    TarBuilder::new()
        .file(&format!("acme/acme-{version}.jar"), jar)
        .file("acme/lib/connect-file.jar", connect_file())
        .finish()
}

fn connect_file() -> Vec<u8> {
    std::fs::read(built("kafka/connect-file/libs/connect-file-4.1.2.jar")).unwrap()
}

fn asks(url: &str) -> Value {
    json!({"plugin-url": url, "requested-secrets": SECRETS})
}

fn file(name: &str) -> Value {
    json!({"do": "ok", "body": {"file": name}})
}

/// The digests of a unit's stored bundles.
fn stored(model: &Model, unit: &str) -> Vec<String> {
    let shown = model.sim(&["ssh", unit, "ls", "/var/lib/kafka-connect/plugins"]);
    shown.split_whitespace().map(str::to_owned).collect()
}

/// The versions of a class that a worker offers, asked through an endpoint of a client.
fn versions(model: &Model, client: &str, endpoint: usize, class: &str) -> Vec<String> {
    let call = ("GET", "/connector-plugins?connectorsOnly=false");
    let (code, listed) = model.rest(client, endpoint, call, &Value::Null);
    assert_eq!(code, 200, "{listed}");
    let all = listed.as_array().unwrap().iter();
    all.filter(|plugin| plugin["class"] == class)
        .map(|plugin| plugin["version"].as_str().unwrap_or_default().to_owned())
        .collect()
}
