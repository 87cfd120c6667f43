//! `metadata.yaml`, apart from endpoints and storage.

use serde_json::{Map, Value};

use super::{Faults, names, relations, storage};

/// Everything Juju or the store reads in a machine charm.
const KNOWN: &[&str] = &[
    "assumes",
    "categories",
    "charm-user",
    "description",
    "display-name",
    "docs",
    "extra-bindings",
    "issues",
    "maintainers",
    "name",
    "peers",
    "provides",
    "requires",
    "resources",
    "source",
    "storage",
    "subordinate",
    "summary",
    "tags",
    "terms",
    "website",
];

/// charmcraft's limits, in characters.
const NAME_LIMIT: usize = 40;
const SUMMARY_LIMIT: usize = 200;

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    for old in ["series", "deployment", "min-juju-version"] {
        if map.contains_key(old) {
            faults.add(old, "refused beside assumes and a manifest with bases");
        }
    }
    for key in map.keys().map(String::as_str) {
        let old = ["series", "deployment", "min-juju-version"].contains(&key);
        if !KNOWN.contains(&key) && !old {
            faults.add(
                key,
                "unknown key, or one that a machine charm has no use for",
            );
        }
    }
    if let Some(name) = faults.text("", map, "name")
        && (!names::is_charm(name) || name.len() > NAME_LIMIT)
    {
        faults.add("name", format!("`{name}` is not a charm's name"));
    }
    if let Some(summary) = faults.text("", map, "summary")
        && (summary.chars().count() > SUMMARY_LIMIT || summary.contains('\n'))
    {
        faults.add(
            "summary",
            format!("must be one line of at most {SUMMARY_LIMIT} characters"),
        );
    }
    faults.text("", map, "description");
    links(map, faults);
    relations::check(map, faults);
    resources(map, faults);
    storage::check(map, faults);
    match map.get("assumes") {
        Some(Value::Array(list)) if !list.is_empty() => assumptions("assumes", list, faults),
        Some(_) => faults.add("assumes", "must be a list with something in it"),
        None => faults.add("assumes", "must say which Juju the charm needs"),
    }
    faults.one_of("", map, "charm-user", &["root", "sudoer", "non-root"]);
    if map
        .get("display-name")
        .is_some_and(|name| !name.is_string())
    {
        faults.add("display-name", "must be a string");
    }
    terms(map, faults);
}

fn links(map: &Map<String, Value>, faults: &mut Faults) {
    for key in ["docs", "issues", "source", "website"] {
        let is_url = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            text.starts_with("https://") || text.starts_with("http://")
        };
        let fine = match map.get(key) {
            None => true,
            Some(Value::Array(list)) if key != "docs" => list.iter().all(is_url),
            Some(value) => is_url(value),
        };
        if !fine {
            faults.add(key, "must be a URL");
        }
    }
    for key in ["maintainers", "tags", "categories"] {
        let strings = |value: &Value| {
            value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string))
        };
        if map.get(key).is_some_and(|value| !strings(value)) {
            faults.add(key, "must be a list of strings");
        }
    }
}

fn resources(map: &Map<String, Value>, faults: &mut Faults) {
    for (name, value) in faults.map(map, "resources") {
        let key = format!("resources.{name}");
        let Some(resource) = faults.as_map(&key, value) else {
            continue;
        };
        faults.only(
            &key,
            resource,
            &["type", "filename", "description", "upstream-source"],
        );
        faults.text(&key, resource, "type");
        faults.one_of(&key, resource, "type", &["file", "oci-image"]);
        faults.text(&key, resource, "description");
        if resource.get("type").and_then(Value::as_str) == Some("file")
            && let Some(filename) = faults.text(&key, resource, "filename")
            && (filename.contains('/') || filename == "." || filename == "..")
        {
            faults.add(
                format!("{key}.filename"),
                "must be a name without directories",
            );
        }
    }
}

fn assumptions(key: &str, list: &[Value], faults: &mut Faults) {
    for (index, value) in list.iter().enumerate() {
        let key = format!("{key}[{index}]");
        match value {
            Value::String(text) if is_assumption(text) => {}
            Value::String(text) if text == "k8s-api" => faults.add(key, "no machine model has it"),
            Value::Object(map) if map.len() == 1 => match map.iter().next() {
                Some((name, Value::Array(inner))) if name == "any-of" || name == "all-of" => {
                    assumptions(&format!("{key}.{name}"), inner, faults);
                }
                _ => faults.add(key, "must be any-of or all-of with a list"),
            },
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => faults.add(
                key,
                format!("{value} is not an assumption, such as `juju >= 3.6`"),
            ),
        }
    }
}

/// `juju >= 3.6`, `juju < 5`, or the name of a feature.
fn is_assumption(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let version = |text: &str| {
        let numbers: Vec<&str> = text.split('.').collect();
        let number =
            |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        numbers.len() <= 3 && numbers.iter().all(number)
    };
    match words[..] {
        ["juju", ">=" | "<", wanted] => version(wanted),
        ["juju"] => true,
        _ => false,
    }
}

/// `[owner/]name[/revision]`.
fn terms(map: &Map<String, Value>, faults: &mut Faults) {
    let Some(value) = map.get("terms") else {
        return;
    };
    let is_term = |value: &Value| {
        let parts: Vec<&str> = value.as_str().unwrap_or_default().split('/').collect();
        parts.len() <= 3 && parts.iter().all(|part| !part.is_empty())
    };
    if !value
        .as_array()
        .is_some_and(|list| list.iter().all(is_term))
    {
        faults.add("terms", "must be a list of [owner/]name[/revision]");
    }
}
