//! Endpoints and extra bindings of `metadata.yaml`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Faults, names};

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    let mut roles: BTreeMap<&str, &str> = BTreeMap::new();
    let mut container_requirer = false;
    for role in ["provides", "requires", "peers"] {
        for (name, value) in faults.map(map, role) {
            let key = format!("{role}.{name}");
            if let Some(other) = roles.insert(name, role) {
                faults.add(&key, format!("the name is used in {other} already"));
            }
            if !names::is_endpoint(name) {
                faults.add(&key, "not an endpoint's name");
            }
            if names::is_reserved(name) {
                faults.add(&key, "the name is reserved");
            }
            let Some(endpoint) = faults.as_map(&key, value) else {
                continue;
            };
            check_endpoint(&key, role, endpoint, faults);
            let scope = endpoint.get("scope").and_then(Value::as_str);
            container_requirer |= role == "requires" && scope == Some("container");
        }
    }
    faults.boolean("", map, "subordinate");
    if map.get("subordinate") == Some(&Value::Bool(true)) && !container_requirer {
        faults.add("subordinate", "needs a requirer with scope container");
    }
    bindings(map, &roles, faults);
}

fn check_endpoint(key: &str, role: &str, endpoint: &Map<String, Value>, faults: &mut Faults) {
    faults.only(key, endpoint, &["interface", "limit", "scope", "optional"]);
    if let Some(interface) = faults.text(key, endpoint, "interface") {
        if !names::is_endpoint(interface) {
            faults.add(format!("{key}.interface"), "not an interface's name");
        }
        if role != "requires" && names::is_reserved(interface) {
            faults.add(format!("{key}.interface"), "the name is reserved");
        }
    }
    if endpoint
        .get("limit")
        .is_some_and(|limit| !limit.is_null() && limit.as_u64().is_none())
    {
        faults.add(format!("{key}.limit"), "must be a whole number");
    }
    faults.one_of(key, endpoint, "scope", &["global", "container"]);
    faults.boolean(key, endpoint, "optional");
}

fn bindings(map: &Map<String, Value>, roles: &BTreeMap<&str, &str>, faults: &mut Faults) {
    let found = faults.map(map, "extra-bindings");
    if map.contains_key("extra-bindings") && found.is_empty() {
        faults.add("extra-bindings", "must name at least one binding");
    }
    for (name, value) in found {
        let key = format!("extra-bindings.{name}");
        if !value.is_null() {
            faults.add(&key, "must have no value");
        }
        if roles.contains_key(name) {
            faults.add(&key, "an endpoint has this name");
        }
    }
}
