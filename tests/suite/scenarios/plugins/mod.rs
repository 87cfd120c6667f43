//! Plugins on real workers: what clients bring is stored, loaded, swapped, and put away, and what
//! cannot be used touches nobody else.

mod lives;
mod published;

use serde_json::{Value, json};

use super::model::Model;

const SECRETS: &str = r#"["username", "password"]"#;

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
