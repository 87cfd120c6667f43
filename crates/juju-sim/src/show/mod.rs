//! What the operator is shown. Pure: the state in, text out.

pub(crate) mod secrets;
pub(crate) mod status;
mod table;
pub(crate) mod unit;

use serde_json::Value;

use crate::cli::args::Format;

/// Formats a value as YAML or JSON; `Tabular` counts as YAML.
pub(crate) fn formatted(value: &Value, format: Format) -> String {
    match format {
        Format::Json => format!("{value}\n"),
        Format::Yaml | Format::Tabular => serde_yaml::to_string(value).unwrap_or_default(),
    }
}
