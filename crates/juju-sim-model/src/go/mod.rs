//! What Go's standard library and its YAML package do, as far as hook tools show it.
//!
//! Hook tools are Go programs: the way they quote, number and lay out what they print is visible
//! to a charm, so it is part of the contract.

mod base64;
mod float;
mod json;
mod natural;
mod quote;
mod scalar;
mod shape;
mod yaml;
mod yaml_read;

pub(crate) use base64::decode as base64_decode;
pub(crate) use json::to_json;
pub(crate) use quote::{atoi, quote, quote_list};
pub(crate) use yaml::to_yaml;
pub(crate) use yaml_read::string_map;

use std::collections::BTreeMap;

/// A value that a tool prints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Go's nil.
    Null,
    Bool(bool),
    Int(i64),
    /// Numbers that came through JSON.
    Float(f64),
    Text(String),
    /// A string that is not UTF-8.
    Binary(Vec<u8>),
    /// A time, RFC 3339.
    Time(String),
    /// `[]string`; `None` is the nil slice.
    Strings(Option<Vec<String>>),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    /// A struct: fields in their order.
    Struct(Vec<(&'static str, Self)>),
}

impl Value {
    /// A map of strings.
    pub(crate) fn string_map<'a>(
        pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(k, v)| (k.clone(), Self::Text(v.clone())))
                .collect(),
        )
    }

    /// Bytes as a Go string.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Binary(error.into_bytes()), Self::Text)
    }
}

impl From<&serde_json::Value> for Value {
    /// As Go decodes JSON into an empty interface: every number is a float.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(value) => Self::Float(value.as_f64().unwrap_or_default()),
            serde_json::Value::String(value) => Self::Text(value.clone()),
            serde_json::Value::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            serde_json::Value::Object(values) => Self::Map(
                values
                    .iter()
                    .map(|(k, v)| (k.clone(), Self::from(v)))
                    .collect(),
            ),
        }
    }
}
