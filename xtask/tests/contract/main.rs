//! The charms of this repository keep Juju's rules; each rule refuses what breaks it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod metadata;
mod others;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use xtask::contract::{Files, check};
use xtask::docs;
use xtask::pack::{Recipe, recipes};

/// A small charm without fault, for the tables below.
fn good() -> Files {
    Files {
        metadata: "name: kafka-connect\nsummary: s\ndescription: d\nassumes: [juju >= 3.6]\n".into(),
        config: "options: {}\n".into(),
        actions: "restart: {description: d, additionalProperties: false}\n".into(),
        charmcraft: "type: charm\nplatforms:\n  ubuntu@24.04:amd64:\nparts:\n  binaries: {plugin: rust, source: ., \
                     rust-channel: '1.95.0', rust-path: [.]}\n  files: {plugin: dump, source: ., organize: \
                     {hooks/dispatch: dispatch}, stage: [dispatch]}\n"
            .into(),
        dispatch: "#!/bin/sh\nexec ./bin/engine\n".into(),
        dispatch_mode: 0o755,
    }
}

fn faults(files: &Files) -> Vec<String> {
    check(files, &["engine"])
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Each row changes the good charm with `change` and names the faults of the result, without the
/// file's name.
fn table(file: &str, rows: &[(&str, &str)], change: impl Fn(&mut Files, &str)) {
    for (text, expected) in rows {
        let mut files = good();
        change(&mut files, text);
        let expected: Vec<String> = expected
            .split('|')
            .filter(|fault| !fault.is_empty())
            .map(|fault| format!("{file}: {fault}"))
            .collect();
        assert_eq!(faults(&files), expected, "{text}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

#[test]
fn our_charms_keep_the_rules() {
    for recipe in recipes() {
        let files = Files::read(&root().join(recipe.source)).unwrap();
        let found: Vec<String> = check(&files, recipe.programs)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, Vec::<String>::new(), "{}", recipe.name);
    }
}

/// Two descriptions of one charm: what charmcraft would pack, and what we pack.
#[test]
fn our_packing_and_charmcrafts_pack_the_same() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    for recipe in recipes() {
        let source = root().join(recipe.source);
        let text = fs::read_to_string(source.join("charmcraft.yaml")).unwrap();
        let charmcraft: Value = serde_yaml::from_str(&text).unwrap();
        for part in charmcraft["parts"].as_mapping().unwrap().values() {
            if part["plugin"] == "rust" {
                let channel = part["rust-channel"].as_str().unwrap();
                assert!(
                    toolchain.contains(&format!("\"{channel}\"")),
                    "{}: rust-channel {channel}",
                    recipe.name
                );
                rust_part(&recipe, &source, part);
            } else {
                dump_part(&recipe, &source, part);
            }
        }
    }
}

fn rust_part(recipe: &Recipe, source: &Path, part: &Value) {
    let sources = source.join(part["source"].as_str().unwrap());
    let mut programs = BTreeSet::new();
    for path in part["rust-path"].as_sequence().unwrap() {
        let manifest = sources.join(path.as_str().unwrap()).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let named = |line: &str| {
            Some(
                line.strip_prefix("name = \"")?
                    .strip_suffix('"')?
                    .to_owned(),
            )
        };
        // Of a program's section if there is one, else the package's: each crate has one program.
        let section = text
            .split("[[bin]]")
            .nth(1)
            .or_else(|| text.split("[package]").nth(1))
            .unwrap();
        programs.insert(section.lines().find_map(named).unwrap());
    }
    let ours: BTreeSet<String> = recipe.programs.iter().map(ToString::to_string).collect();
    assert_eq!(programs, ours, "{}", recipe.name);
}

fn dump_part(recipe: &Recipe, source: &Path, part: &Value) {
    let staged: BTreeSet<&str> = part["stage"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let ours: BTreeSet<&str> = recipe
        .files
        .iter()
        .chain(recipe.directories)
        .copied()
        .chain(["dispatch"])
        .collect();
    assert_eq!(staged, ours, "{}", recipe.name);
    for name in staged {
        // charmcraft says nothing about a name that matches no file.
        assert!(
            name == "dispatch" || source.join(name).exists(),
            "{}: {name} does not exist",
            recipe.name
        );
    }
}

#[test]
fn the_reference_pages_say_what_the_files_say() {
    for page in docs::pages(&root()).unwrap() {
        let there = fs::read_to_string(root().join(page.path)).unwrap_or_default();
        assert!(
            there == page.text,
            "{} is not current: run `make docs`",
            page.path
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let refusal = format!("{:#}", Files::read(empty.path()).unwrap_err());
    assert!(refusal.contains("hooks/dispatch"), "{refusal}");
}
