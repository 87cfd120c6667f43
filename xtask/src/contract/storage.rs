//! Storage of `metadata.yaml`.

use serde_json::{Map, Value};

use super::{Faults, names};

const KNOWN: &[&str] = &[
    "type",
    "description",
    "shared",
    "read-only",
    "multiple",
    "minimum-size",
    "location",
    "properties",
];

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    for (name, value) in faults.map(map, "storage") {
        let key = format!("storage.{name}");
        if !names::is_charm(name) {
            faults.add(&key, "not a storage's name");
        }
        let Some(storage) = faults.as_map(&key, value) else {
            continue;
        };
        faults.only(&key, storage, KNOWN);
        faults.text(&key, storage, "type");
        faults.one_of(&key, storage, "type", &["filesystem", "block"]);
        faults.text(&key, storage, "description");
        faults.boolean(&key, storage, "shared");
        faults.boolean(&key, storage, "read-only");
        let filesystem = storage.get("type").and_then(Value::as_str) == Some("filesystem");
        match storage.get("location") {
            Some(Value::String(path)) if filesystem && path.starts_with('/') => {}
            Some(Value::String(_)) if !filesystem => {
                faults.add(format!("{key}.location"), "only a filesystem has one");
            }
            Some(_) => faults.add(format!("{key}.location"), "must be an absolute path"),
            None => {}
        }
        let text = |value: &Value, fine: fn(&str) -> bool| value.as_str().is_some_and(fine);
        if storage
            .get("minimum-size")
            .is_some_and(|size| !text(size, is_size))
        {
            faults.add(
                format!("{key}.minimum-size"),
                "must be a string such as \"1G\"",
            );
        }
        if let Some(multiple) = storage.get("multiple")
            && !multiple.get("range").is_some_and(is_range)
        {
            faults.add(format!("{key}.multiple.range"), "must be m, m-n, m+ or m-");
        }
        let transient = |list: &Vec<Value>| list.iter().all(|property| property == "transient");
        if let Some(properties) = storage.get("properties")
            && !properties.as_array().is_some_and(transient)
        {
            faults.add(
                format!("{key}.properties"),
                "transient is the only property",
            );
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_size(text: &str) -> bool {
    is_number(
        text.strip_suffix(['M', 'G', 'T', 'P', 'E', 'Z', 'Y'])
            .unwrap_or(text),
    )
}

fn is_range(range: &Value) -> bool {
    let Some(text) = range.as_str() else {
        return range.as_u64().is_some();
    };
    let Some((least, most)) = text.split_once('-') else {
        return is_number(text.strip_suffix('+').unwrap_or(text));
    };
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| is_number(text));
    match (number(least), number(most)) {
        (Some(least), Some(most)) => least <= most,
        (Some(_), None) => most.is_empty(),
        (None, _) => false,
    }
}
