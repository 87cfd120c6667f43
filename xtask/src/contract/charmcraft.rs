//! `charmcraft.yaml`: packing and nothing else, for the parts lie beside it.

use serde_json::{Map, Value};

use super::Faults;

const KNOWN: &[&str] = &["type", "platforms", "parts", "analysis", "charm-libs"];
const BASES: &[&str] = &["ubuntu@22.04", "ubuntu@24.04"];
const ARCHITECTURES: &[&str] = &["amd64", "arm64"];

pub(super) fn check(map: &Map<String, Value>, faults: &mut Faults) {
    for key in map.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        faults.add(
            key,
            match key.as_str() {
                "name" | "summary" | "description" => {
                    "metadata.yaml has it; charmcraft refuses both"
                }
                "config" => "config.yaml has it; charmcraft refuses both",
                "actions" => "actions.yaml has it; charmcraft refuses both",
                "base" | "bases" | "build-base" => "bases belong into platforms",
                _ => "charmcraft refuses it or, beside a metadata.yaml, drops it",
            },
        );
    }
    if map.get("type").and_then(Value::as_str) != Some("charm") {
        faults.add("type", "must be charm");
    }
    let platforms = faults.map(map, "platforms");
    if platforms.is_empty() {
        faults.add("platforms", "must name at least one platform");
    }
    for (name, value) in platforms {
        let known = name
            .rsplit_once(':')
            .is_some_and(|(base, arch)| BASES.contains(&base) && ARCHITECTURES.contains(&arch));
        if !known {
            faults.add(
                format!("platforms.{name}"),
                "must be BASE:ARCHITECTURE, of those supported",
            );
        }
        if !value.is_null() {
            faults.add(format!("platforms.{name}"), "must have no value");
        }
    }
    parts(map, faults);
}

fn parts(map: &Map<String, Value>, faults: &mut Faults) {
    let (mut rust, mut dispatch) = (false, false);
    for (name, value) in faults.map(map, "parts") {
        let key = format!("parts.{name}");
        let Some(part) = faults.as_map(&key, value) else {
            continue;
        };
        let plugin = faults.text(&key, part, "plugin");
        faults.text(&key, part, "source");
        if plugin == Some("rust") {
            rust = true;
            // Without it the build takes whatever compiler is there, or fails to choose one.
            faults.text(&key, part, "rust-channel");
            // The default is the source itself, and a workspace installs into the wrong place.
            if part
                .get("rust-path")
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
            {
                faults.add(format!("{key}.rust-path"), "must name the packages");
            }
        }
        let organized = part
            .get("organize")
            .and_then(|organize| organize.get("hooks/dispatch"));
        let staged = part.get("stage").and_then(Value::as_array);
        dispatch |= organized.is_some_and(|to| to == "dispatch")
            && staged.is_some_and(|list| list.iter().any(|file| file == "dispatch"));
    }
    if !rust {
        faults.add("parts", "none builds the programs");
    }
    if !dispatch {
        faults.add("parts", "none packs hooks/dispatch as dispatch");
    }
}
