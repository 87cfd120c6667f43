//! The reference pages of options and actions, from the files that define them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_yaml::{Mapping, Value};

/// One generated page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path, relative to the repository.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

const NOTE: &str = "<!-- Written by `make docs`; change the YAML file instead. -->\n";

/// The pages, as the files in `root` say now.
///
/// # Errors
/// A file cannot be read or parsed.
pub fn pages(root: &Path) -> Result<Vec<Page>> {
    let read = |name: &str| -> Result<Mapping> {
        let path = root.join(name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_yaml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))
    };
    Ok(vec![
        Page {
            path: "docs/reference/config.md",
            text: options(&read("config.yaml")?),
        },
        Page {
            path: "docs/reference/actions.md",
            text: actions(&read("actions.yaml")?),
        },
    ])
}

fn options(file: &Mapping) -> String {
    let introduction = "`juju config kafka-connect OPTION=VALUE` sets one.";
    let mut parts = vec![format!("# Options\n\n{NOTE}\n{introduction}\n")];
    let empty = Mapping::new();
    let options = file
        .get("options")
        .and_then(Value::as_mapping)
        .unwrap_or(&empty);
    for (name, option) in named(options) {
        let kind = word(option, "type");
        let default = match option.get("default") {
            None => "no default".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty by default".to_owned(),
            Some(value) => format!("default `{}`", scalar(value)),
        };
        let description = word(option, "description").trim_end();
        parts.push(format!(
            "\n## `{name}`\n\n{kind}, {default}.\n\n{description}\n"
        ));
    }
    parts.concat()
}

fn actions(file: &Mapping) -> String {
    let introduction = "`juju run kafka-connect/0 ACTION PARAMETER=VALUE` runs one.";
    let mut parts = vec![format!("# Actions\n\n{NOTE}\n{introduction}\n")];
    for (name, action) in named(file) {
        let description = word(action, "description").trim_end();
        parts.push(format!("\n## `{name}`\n\n{description}\n"));
        let Some(params) = action.get("params").and_then(Value::as_mapping) else {
            continue;
        };
        parts.push("\n| parameter | type | required | |\n|---|---|---|---|\n".to_owned());
        let required = action.get("required").and_then(Value::as_sequence);
        for (name, schema) in named(params) {
            let known = |names: &Vec<Value>| names.iter().any(|known| known.as_str() == Some(name));
            let needed = if required.is_some_and(known) {
                "yes"
            } else {
                "no"
            };
            let kind = word(schema, "type");
            let description = word(schema, "description").trim().replace('\n', " ");
            parts.push(format!(
                "| `{name}` | {kind} | {needed} | {description} |\n"
            ));
        }
    }
    parts.concat()
}

fn named(map: &Mapping) -> impl Iterator<Item = (&str, &Value)> {
    map.iter()
        .filter_map(|(key, value)| Some((key.as_str()?, value)))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(
        || {
            serde_yaml::to_string(value)
                .unwrap_or_default()
                .trim()
                .to_owned()
        },
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::{actions, options};

    #[test]
    fn an_option_and_an_action_as_pages() {
        let config = "options: {port: {type: int, default: 8083, description: The port.}, x: {type: string, default: ''}}";
        let page = options(&serde_yaml::from_str(config).unwrap());
        assert!(page.contains("\n## `port`\n\nint, default `8083`.\n\nThe port.\n\n## `x`\n\nstring, empty by default."), "{page}");
        let file = "a: {description: Does it., params: {n: {type: integer, description: Which.}}, required: [n]}";
        let page = actions(&serde_yaml::from_str(file).unwrap());
        assert!(
            page.contains("\n## `a`\n\nDoes it.\n\n| parameter | type | required | |\n"),
            "{page}"
        );
        assert!(
            page.contains("| `n` | integer | yes | Which. |\n"),
            "{page}"
        );
    }
}
