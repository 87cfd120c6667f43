//! `config.yaml`, and the values operators give to its options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CharmError, Result, invalid};

const FILE: &str = "config.yaml";

/// The type of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OptionType {
    String,
    Int,
    Float,
    Boolean,
    Secret,
}

/// One option.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConfigOption {
    pub(crate) kind: OptionType,
    pub(crate) default: Option<Value>,
    pub(crate) description: String,
}

/// Parses and checks `config.yaml`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, ConfigOption>> {
    #[derive(Deserialize)]
    struct Raw {
        options: Option<BTreeMap<String, RawOption>>,
    }
    #[derive(Deserialize)]
    struct RawOption {
        #[serde(rename = "type")]
        kind: Option<String>,
        default: Option<Value>,
        #[serde(default)]
        description: String,
    }
    let raw: Raw =
        serde_yaml::from_str(text).map_err(|source| CharmError::Parse { file: FILE, source })?;
    let options = raw.options.ok_or_else(|| {
        invalid(
            FILE,
            "invalid config: empty configuration, key `options` is missing",
        )
    })?;
    let option = |(name, raw): (String, RawOption)| {
        let kind = match raw.kind.as_deref() {
            None | Some("string") => OptionType::String,
            Some("int") => OptionType::Int,
            Some("float") => OptionType::Float,
            Some("boolean") => OptionType::Boolean,
            Some("secret") => OptionType::Secret,
            Some(other) => {
                return Err(invalid(
                    FILE,
                    format!("invalid config: option {name:?} has unknown type {other:?}"),
                ));
            }
        };
        let default = raw
            .default
            .map(|value| {
                fits(kind, value.clone()).ok_or_else(|| {
                    invalid(
                        FILE,
                        format!(
                            "invalid config default: option {name:?} expected {}, got {value}",
                            kind.name()
                        ),
                    )
                })
            })
            .transpose()?;
        Ok((
            name,
            ConfigOption {
                kind,
                default,
                description: raw.description,
            },
        ))
    };
    options.into_iter().map(option).collect()
}

/// The value as one of the type, or nothing.
fn fits(kind: OptionType, value: Value) -> Option<Value> {
    match (kind, &value) {
        (OptionType::String, Value::String(_)) | (OptionType::Boolean, Value::Bool(_)) => {
            Some(value)
        }
        (OptionType::Int, Value::Number(n)) if n.is_i64() || n.is_u64() => Some(value),
        (OptionType::Float, Value::Number(n)) => n.as_f64().map(Value::from),
        (OptionType::Secret, Value::String(text))
            if text.is_empty() || text.starts_with("secret:") =>
        {
            Some(value)
        }
        _ => None,
    }
}

impl OptionType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Secret => "secret",
        }
    }

    /// Parses what an operator typed. `None` if it is not of the type.
    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::String => Some(Value::from(text)),
            Self::Int => text.parse::<i64>().ok().map(Value::from),
            Self::Float => text
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .map(Value::from),
            Self::Boolean => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Value::from(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Value::from(false)),
                _ => None,
            },
            Self::Secret => {
                (text.is_empty() || text.starts_with("secret:")).then(|| Value::from(text))
            }
        }
    }
}
