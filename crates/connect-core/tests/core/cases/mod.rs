//! Cases written as data: what is given, what happens, what is expected.
//!
//! `cases/*.yaml` holds ours. `CONNECT_CORE_CASES=<directory>` runs another directory of the same
//! format besides, and `CONNECT_CORE_SKIP=<id>,<id>` leaves out cases of it.

mod client;
mod kafka;

use std::collections::{BTreeMap, BTreeSet};

use connect_core::observation::Hook;
use serde_yaml::Value;

const NO_LEADER: u32 = 99;

#[test]
fn our_cases_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/cases");
    let ran = run_directory(folder, &BTreeSet::new());
    assert!(ran > 30, "{ran}");
}

#[test]
fn other_cases_hold() {
    let Ok(folder) = std::env::var("CONNECT_CORE_CASES") else {
        return;
    };
    let skip = std::env::var("CONNECT_CORE_SKIP").unwrap_or_default();
    let skip: BTreeSet<String> = skip.split(',').map(ToOwned::to_owned).collect();
    assert!(run_directory(&folder, &skip) > 0);
}

fn run_directory(folder: &str, skip: &BTreeSet<String>) -> usize {
    let mut failed = Vec::new();
    let mut ran = 0;
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let document: Value =
            serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let area = text(&document, "area");
        if !["connect-v0", "kafka"].contains(&area.as_str()) {
            continue;
        }
        for case in document["cases"].as_sequence().unwrap() {
            let id = text(case, "id");
            // What is not ours: another policy, and TLS towards clients.
            let tls = case["given"]["world"].get("ca").is_some()
                || case["given"]["world"].get("own_ca").is_some();
            if skip.contains(&id) || text(case, "policy") == "plain-allowed" || tls {
                continue;
            }
            ran += 1;
            let case = Case::new(&document["defaults"], case);
            let problems = if area == "kafka" {
                case.kafka()
            } else {
                case.client()
            };
            for problem in problems {
                failed.push(format!("{id} ({}): {problem}", text(&case.text, "title")));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} problems:\n{}",
        failed.len(),
        failed.join("\n")
    );
    ran
}

struct Case {
    text: Value,
    relation: u32,
    given: Value,
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn merge(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            let mut merged = base.clone();
            for (key, value) in over {
                if value.is_null() {
                    merged.remove(key);
                } else {
                    let below = base.get(key).cloned().unwrap_or(Value::Null);
                    merged.insert(key.clone(), merge(&below, value));
                }
            }
            Value::Mapping(merged)
        }
        (base, Value::Null) => base.clone(),
        (_, over) => over.clone(),
    }
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let Value::Mapping(map) = value else {
        return BTreeMap::new();
    };
    map.iter()
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            (key.as_str().unwrap().to_owned(), pem(value))
        })
        .collect()
}

/// `pem:x` stands for a certificate.
fn pem(value: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (index, part) in value.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match part.strip_prefix("pem:") {
            Some(name) => write!(
                out,
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----",
                base64(name.as_bytes())
            )
            .unwrap(),
            None => out.push_str(part),
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for index in 0..3 {
            word = word << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..4 {
            if index <= chunk.len() {
                out.push(ALPHABET[(word >> (18 - 6 * index) & 63) as usize] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_sequence()
        .into_iter()
        .flatten()
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

impl Case {
    fn new(defaults: &Value, case: &Value) -> Self {
        let relation = case.get("relation").or_else(|| defaults.get("relation"));
        let relation = relation.and_then(Value::as_u64).unwrap();
        Self {
            text: case.clone(),
            relation: u32::try_from(relation).unwrap(),
            given: merge(defaults, &case["given"]),
        }
    }

    fn hook(&self, endpoint: &str) -> Hook {
        let event = text(&self.text, "event");
        if event == format!("{endpoint}-relation-broken") {
            Hook::RelationBroken {
                endpoint: endpoint.to_owned(),
                id: self.relation,
            }
        } else if event == format!("{endpoint}-relation-departed") {
            Hook::RelationDeparted {
                endpoint: endpoint.to_owned(),
                id: self.relation,
                departing_unit: "client/1".to_owned(),
            }
        } else {
            Hook::Reconcile { name: event }
        }
    }

    fn leads(&self) -> bool {
        self.text
            .get("leader")
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }
}
