//! `juju secrets` and `juju show-secret`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_sim_model::state::{Content, Model, Secret, SecretOwner};
use serde_json::{Map, Value, json};

use super::table::{row, table};

fn owner(secret: &Secret) -> String {
    match &secret.owner {
        SecretOwner::Application(name) | SecretOwner::Unit(name) => name.clone(),
        SecretOwner::Model => "<model>".into(),
    }
}

/// The decoded content. What is no text stays in base64.
pub(crate) fn content(content: &Content) -> Map<String, Value> {
    let decode = |text: &String| {
        let bytes = STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        bytes.unwrap_or_else(|| text.clone())
    };
    content
        .0
        .iter()
        .map(|(key, value)| (key.clone(), json!(decode(value))))
        .collect()
}

/// The table.
pub(crate) fn tabular(model: &Model) -> String {
    let mut rows = vec![row(&[
        "ID", "Name", "Owner", "Rotation", "Revision", "Label",
    ])];
    for secret in model.secrets.values() {
        let named = secret.owner == SecretOwner::Model;
        let rotation = secret
            .rotate
            .map_or("never", juju_sim_model::state::RotatePolicy::as_str);
        rows.push(row(&[
            &secret.id,
            if named { &secret.label } else { "-" },
            &owner(secret),
            rotation,
            &secret.latest.to_string(),
            if named { "" } else { &secret.label },
        ]));
    }
    table(&rows)
}

/// All of them as data.
pub(crate) fn list(model: &Model) -> Value {
    let all: Map<String, Value> = model
        .secrets
        .values()
        .map(|secret| (secret.id.clone(), describe(secret)))
        .collect();
    Value::Object(all)
}

fn describe(secret: &Secret) -> Value {
    let mut value = json!({"revision": secret.latest, "owner": owner(secret)});
    if secret.owner == SecretOwner::Model {
        value["name"] = json!(secret.label);
    } else if !secret.label.is_empty() {
        value["label"] = json!(secret.label);
    }
    if !secret.description.is_empty() {
        value["description"] = json!(secret.description);
    }
    if let Some(policy) = secret.rotate {
        value["rotation"] = json!(policy.as_str());
    }
    if let Some(at) = &secret.next_rotate {
        value["rotates"] = json!(at);
    }
    value
}

/// One of them: by id, URI or name.
pub(crate) fn show(
    model: &Model,
    given: &str,
    reveal: bool,
    revision: Option<u32>,
) -> Option<Value> {
    let secret = find(model, given)?;
    let mut value = describe(secret);
    let access: Vec<Value> = secret
        .grants
        .iter()
        .map(|grant| json!({"target": grant.target, "scope": grant.scope, "role": "view"}))
        .collect();
    if !access.is_empty() {
        value["access"] = json!(access);
    }
    let consumers: Map<String, Value> = secret
        .consumers
        .iter()
        .map(|(unit, consumer)| (unit.clone(), json!(consumer.revision)))
        .collect();
    if !consumers.is_empty() {
        value["tracked"] = json!(consumers);
    }
    if reveal {
        let held = secret.revisions.get(&revision.unwrap_or(secret.latest))?;
        value["content"] = Value::Object(content(&held.content));
    }
    Some(json!({secret.id.clone(): value}))
}

/// A secret by id, by URI of any form, or by the name of a model's secret.
pub(crate) fn find<'a>(model: &'a Model, given: &str) -> Option<&'a Secret> {
    let id = given.rsplit(['/', ':']).next().unwrap_or(given);
    model.secrets.get(id).or_else(|| {
        let named = |secret: &&Secret| secret.owner == SecretOwner::Model && secret.label == given;
        model.secrets.values().find(named)
    })
}
