//! `config.yaml`: names, types, defaults of that type, a description for everyone.

use serde_json::{Map, Value};

use super::{Faults, names};

const TYPES: &[&str] = &["string", "int", "float", "boolean", "secret"];

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    faults.only("", map, &["options"]);
    if !map.contains_key("options") {
        faults.add("options", "required, if only as an empty map");
    }
    for (name, value) in faults.map(map, "options") {
        let key = format!("options.{name}");
        if name.contains('_') {
            faults.add(&key, "an option's name has no underscore");
        } else if !names::is_action(name) {
            faults.add(&key, "not an option's name");
        }
        if name == "trust" {
            faults.add(&key, "Juju keeps this name for itself");
        }
        let Some(option) = faults.as_map(&key, value) else {
            continue;
        };
        faults.only(&key, option, &["type", "default", "description"]);
        faults.text(&key, option, "type");
        faults.one_of(&key, option, "type", TYPES);
        faults.text(&key, option, "description");
        let kind = option
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if option
            .get("default")
            .is_some_and(|default| !fits(kind, default))
        {
            faults.add(format!("{key}.default"), format!("not of type {kind}"));
        }
    }
}

/// Whether Juju takes this default. A type it does not know is a fault of its own.
fn fits(kind: &str, default: &Value) -> bool {
    match kind {
        "string" => default.is_string(),
        "int" => default.as_i64().is_some(),
        "float" => default.is_number(),
        "boolean" => default.is_boolean(),
        "secret" => default
            .as_str()
            .is_some_and(|text| text.is_empty() || text.starts_with("secret:")),
        _ => true,
    }
}
