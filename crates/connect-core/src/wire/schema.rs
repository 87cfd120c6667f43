//! The published schemas of `connect_client`, enforced.
//!
//! The JSON Schemas in `schemas/` are the contract; this module is the only one that knows the
//! library that checks them. JSON Schema treats `contentSchema` as a remark only, so the decoded
//! value is checked here. A violation is worded by the schema's own `x-fault`: the library's texts
//! quote the instance, which may be secret.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::model::client::Fault;
use crate::observation::Databag;

/// `schemas/requirer.json`, what clients write.
pub const REQUIRER: &str = include_str!("../../../../schemas/requirer.json");
/// `schemas/provider.json`, what we answer.
pub const PROVIDER: &str = include_str!("../../../../schemas/provider.json");

/// A compiled schema of one databag.
#[derive(Debug)]
pub struct Schema {
    databag: Validator,
    contents: BTreeMap<String, Validator>,
    faults: BTreeMap<String, String>,
}

static COMPILED_REQUIRER: LazyLock<Schema> = LazyLock::new(|| Schema::compile(REQUIRER));
static COMPILED_PROVIDER: LazyLock<Schema> = LazyLock::new(|| Schema::compile(PROVIDER));

/// The requirer side.
#[must_use]
pub fn requirer() -> &'static Schema {
    &COMPILED_REQUIRER
}

/// The provider side.
#[must_use]
pub fn provider() -> &'static Schema {
    &COMPILED_PROVIDER
}

impl Schema {
    fn compile(text: &str) -> Self {
        let schema: Value =
            serde_json::from_str(text).expect("the embedded schema is JSON, as a test shows");
        let compile = |schema: &Value| {
            jsonschema::draft202012::new(schema)
                .expect("the embedded schema is a valid schema, as a test shows")
        };
        let mut contents = BTreeMap::new();
        let mut faults = BTreeMap::new();
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(content) = property.get("contentSchema") {
                contents.insert(key.clone(), compile(content));
            }
            if let Some(fault) = property["x-fault"].as_str() {
                faults.insert(key.clone(), fault.to_owned());
            }
        }
        Self {
            databag: compile(&schema),
            contents,
            faults,
        }
    }

    /// The faults of a databag, at most one per field, in the order of their fields.
    #[must_use]
    pub fn check(&self, databag: &Databag) -> Vec<Fault> {
        let value = Value::Object(
            databag
                .iter()
                .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
                .collect(),
        );
        let mut found = BTreeMap::new();
        for error in self.databag.iter_errors(&value) {
            let (field, text) = if let ValidationErrorKind::Required { property } = error.kind() {
                (
                    property.as_str().unwrap_or_default().to_owned(),
                    "is missing".to_owned(),
                )
            } else {
                let path = error.instance_path().as_str();
                let field = path
                    .trim_start_matches('/')
                    .split('/')
                    .next()
                    .unwrap_or_default();
                (
                    field.to_owned(),
                    self.word(field, &error.masked().to_string()),
                )
            };
            found.entry(field).or_insert(text);
        }
        for (key, validator) in &self.contents {
            let Some(text) = databag.get(key) else {
                continue;
            };
            let good = serde_json::from_str(text).is_ok_and(|value| validator.is_valid(&value));
            if !good {
                found
                    .entry(key.clone())
                    .or_insert_with(|| self.word(key, "is malformed"));
            }
        }
        found
            .into_iter()
            .map(|(field, text)| Fault { field, text })
            .collect()
    }

    fn word(&self, field: &str, otherwise: &str) -> String {
        self.faults
            .get(field)
            .map_or(otherwise, String::as_str)
            .to_owned()
    }
}
