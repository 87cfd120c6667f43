//! `actions.yaml`, and the check of an action's parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CharmError, Result, invalid, is_name};

const FILE: &str = "actions.yaml";

/// One action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Action {
    pub(crate) description: String,
    /// The JSON schema of the whole parameter object.
    pub(crate) schema: Value,
    pub(crate) parallel: bool,
}

/// Parses and checks `actions.yaml`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Action>> {
    let raw: Option<BTreeMap<String, Option<Map<String, Value>>>> =
        serde_yaml::from_str(text).map_err(|source| CharmError::Parse { file: FILE, source })?;
    let action = |(name, spec): (String, Option<Map<String, Value>>)| {
        let dashes = name.ends_with('-') || name.starts_with('-');
        let letters = name.replace('-', "");
        if dashes || !is_name(&letters, &[], false) {
            return Err(invalid(FILE, format!("bad action name {name}")));
        }
        if name == "juju" || name.starts_with("juju-") {
            return Err(invalid(
                FILE,
                format!("cannot use action name {name}: \"juju\" is a reserved name"),
            ));
        }
        let mut spec = spec.unwrap_or_default();
        let spec_value = Value::Object(spec.clone());
        if let Some(key) = forbidden(&spec_value) {
            return Err(invalid(
                FILE,
                format!("schema key \"{key}\" not compatible with this version of juju"),
            ));
        }
        let description = match spec.remove("description") {
            Some(Value::String(text)) => text,
            None => "No description".to_owned(),
            Some(_) => {
                return Err(invalid(
                    FILE,
                    format!("value for schema key \"description\" of {name} must be a string"),
                ));
            }
        };
        let parallel = matches!(spec.remove("parallel"), Some(Value::Bool(true)));
        let grouped = spec.remove("execution-group").is_some();
        spec.remove("title");
        let properties = spec.remove("params").unwrap_or_else(|| json!({}));
        if !properties.is_object() {
            return Err(invalid(
                FILE,
                format!("params of {name} failed to parse as a map"),
            ));
        }
        let mut schema = spec;
        schema.insert("type".into(), json!("object"));
        schema.insert("properties".into(), properties);
        let schema = Value::Object(schema);
        if let Err(fault) = jsonschema::draft4::new(&schema) {
            return Err(invalid(
                FILE,
                format!("invalid params schema for action schema {name}: {fault}"),
            ));
        }
        Ok((
            name,
            Action {
                description,
                schema,
                parallel: parallel && !grouped,
            },
        ))
    };
    raw.unwrap_or_default().into_iter().map(action).collect()
}

/// The first key Juju does not allow in an action's schema, at any depth.
fn forbidden(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            if key == "$ref" || key == "$schema" {
                Some(key.as_str())
            } else {
                forbidden(value)
            }
        }),
        Value::Array(items) => items.iter().find_map(forbidden),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

impl Action {
    /// Checks the parameters and fills in the defaults.
    ///
    /// # Errors
    /// The operator's move: the text names the parameter and the fault.
    pub(crate) fn complete(
        &self,
        given: Map<String, Value>,
    ) -> std::result::Result<Map<String, Value>, String> {
        let mut given = Value::Object(given);
        insert_defaults(&self.schema, &mut given);
        let validator = jsonschema::draft4::new(&self.schema).map_err(|fault| fault.to_string())?;
        if let Err(fault) = validator.validate(&given) {
            let path = fault.instance_path().to_string().replace('/', ".");
            return Err(format!("validation failed: (root){path} : {fault}"));
        }
        Ok(given.as_object().cloned().unwrap_or_default())
    }
}

fn insert_defaults(schema: &Value, target: &mut Value) {
    let (Some(properties), Some(map)) = (schema["properties"].as_object(), target.as_object_mut())
    else {
        return;
    };
    for (name, property) in properties {
        if let Some(default) = property.get("default") {
            map.entry(name.clone()).or_insert_with(|| default.clone());
        }
        if property["properties"].is_object() {
            let mut inner = map.get(name).cloned().unwrap_or_else(|| json!({}));
            insert_defaults(property, &mut inner);
            if map.contains_key(name) || inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                map.insert(name.clone(), inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_filled_in_and_faults_named() {
        let actions = parse(
            "go:\n  params:\n    n: {type: integer, default: 2}\n    s: {type: string}\n  additionalProperties: false\n",
        )
        .unwrap();
        let given = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let go = &actions["go"];
        assert_eq!(
            Value::Object(go.complete(given("{}")).unwrap()),
            json!({"n": 2})
        );
        assert!(
            go.complete(given(r#"{"n": "x"}"#))
                .unwrap_err()
                .contains(".n")
        );
        assert!(go.complete(given(r#"{"z": 1}"#)).is_err());
    }
}
