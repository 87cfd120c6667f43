//! `actions.yaml`: names, the schema of the parameters, nothing that Juju refuses.

use serde_json::{Map, Value, json};

use super::{Faults, names};

/// Keys that are not part of the parameters' schema.
const OWN: &[&str] = &[
    "description",
    "title",
    "execution-group",
    "parallel",
    "params",
];

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    for (name, value) in map {
        if name == "actions" {
            faults.add(
                name,
                "the actions stand at the top of the file, not below a key",
            );
            continue;
        }
        if name.contains('_') {
            faults.add(name, "an action's name has no underscore");
        } else if !names::is_action(name) {
            faults.add(name, "not an action's name");
        }
        if names::is_reserved(name) {
            faults.add(name, "the name is reserved");
        }
        let Some(action) = faults.as_map(name, value) else {
            continue;
        };
        let before = faults.found.len();
        faults.text(name, action, "description");
        for key in ["title", "execution-group"] {
            if action.get(key).is_some_and(|value| !value.is_string()) {
                faults.add(format!("{name}.{key}"), "must be a string");
            }
        }
        faults.boolean(name, action, "parallel");
        match action.get("additionalProperties") {
            Some(Value::Bool(_)) => {}
            Some(_) => faults.add(
                format!("{name}.additionalProperties"),
                "must be true or false",
            ),
            // Left out, 3.x lets unknown parameters through and 4.0 refuses them.
            None => faults.add(format!("{name}.additionalProperties"), "must be written"),
        }
        forbidden(name, value, faults);
        let properties = parameters(name, action, faults);
        // What is a fault by now is wrong for the draft too; once is enough.
        if faults.found.len() == before {
            draft(name, action, properties, faults);
        }
    }
}

/// `$ref` and `$schema`, at any depth.
fn forbidden(key: &str, value: &Value, faults: &mut Faults) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == "$ref" || name == "$schema" {
                    faults.add(format!("{key}.{name}"), "Juju refuses this key");
                }
                forbidden(&format!("{key}.{name}"), inner, faults);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| forbidden(key, inner, faults)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks the parameters one by one and returns their schemas.
fn parameters(name: &str, action: &Map<String, Value>, faults: &mut Faults) -> Map<String, Value> {
    let params = match action.get("params") {
        None => Map::new(),
        Some(value) => match faults.as_map(&format!("{name}.params"), value) {
            Some(params) => params.clone(),
            None => return Map::new(),
        },
    };
    for (param, value) in &params {
        let key = format!("{name}.params.{param}");
        if param.contains('_') {
            faults.add(&key, "a parameter's name has no underscore");
        } else if !names::is_action(param) {
            faults.add(&key, "not a parameter's name");
        }
        let Some(schema) = faults.as_map(&key, value) else {
            continue;
        };
        faults.text(&key, schema, "type");
        faults.text(&key, schema, "description");
        // Juju inserts a default without a look at the schema it stands in.
        if let Some(default) = schema.get("default")
            && let Ok(validator) = jsonschema::draft4::new(value)
            && !validator.is_valid(default)
        {
            faults.add(format!("{key}.default"), "does not fit its own schema");
        }
    }
    match action.get("required") {
        None => {}
        Some(Value::Array(required)) => {
            for wanted in required {
                if !wanted
                    .as_str()
                    .is_some_and(|wanted| params.contains_key(wanted))
                {
                    faults.add(
                        format!("{name}.required"),
                        format!("{wanted} is not a parameter"),
                    );
                }
            }
        }
        Some(_) => faults.add(format!("{name}.required"), "must be a list"),
    }
    params
}

/// What Juju makes of an action: one schema of an object with the parameters as its properties.
fn draft(name: &str, action: &Map<String, Value>, params: Map<String, Value>, faults: &mut Faults) {
    let mut schema = action.clone();
    schema.retain(|key, _| !OWN.contains(&key.as_str()));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(params));
    if let Err(error) = jsonschema::draft4::meta::validate(&Value::Object(schema)) {
        faults.add(name, format!("not a JSON schema of draft 4: {error}"));
    }
}
