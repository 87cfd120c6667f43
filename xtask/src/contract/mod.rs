//! Holds a charm's files to the rules Juju applies when it is deployed, and to our own.
//!
//! charmcraft copies these files without a look at most of what Juju refuses, so a mistake in them
//! would show at the first deploy. The rules are those of Juju 3.6 and 4.0, whichever is stricter,
//! of charmcraft's model and linters, and three of this repository: everything is described, names
//! have dashes and no underscores, and a key that Juju would silently ignore is a fault.

mod actions;
mod charmcraft;
mod config;
mod dispatch;
mod metadata;
mod names;
mod relations;
mod storage;

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// The files of one charm, as text.
#[derive(Clone, Debug)]
pub struct Files {
    /// `metadata.yaml`.
    pub metadata: String,
    /// `config.yaml`.
    pub config: String,
    /// `actions.yaml`.
    pub actions: String,
    /// `charmcraft.yaml`.
    pub charmcraft: String,
    /// `hooks/dispatch`, a script.
    pub dispatch: String,
    /// Its Unix mode.
    pub dispatch_mode: u32,
}

impl Files {
    /// Reads the files of the charm in `directory`.
    ///
    /// # Errors
    /// One is missing or not UTF-8.
    pub fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let dispatch = read("hooks/dispatch")?;
        let metadata = fs::metadata(directory.join("hooks/dispatch")).with_context(|| {
            format!(
                "cannot read the mode of dispatch in {}",
                directory.display()
            )
        })?;
        Ok(Self {
            metadata: read("metadata.yaml")?,
            config: read("config.yaml")?,
            actions: read("actions.yaml")?,
            charmcraft: read("charmcraft.yaml")?,
            dispatch,
            dispatch_mode: metadata.permissions().mode(),
        })
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file it is in.
    pub file: &'static str,
    /// The key it is about, dotted; empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// Adds what one file breaks.
type Check = fn(&Map<String, Value>, &mut Faults);

/// Every rule the files break; `programs` are the names in the charm's `bin/`.
#[must_use]
pub fn check(files: &Files, programs: &[&str]) -> Vec<Fault> {
    let mut all = Vec::new();
    let checks: [(&'static str, &str, Check); 4] = [
        ("metadata.yaml", &files.metadata, metadata::check),
        ("config.yaml", &files.config, config::check),
        ("actions.yaml", &files.actions, actions::check),
        ("charmcraft.yaml", &files.charmcraft, charmcraft::check),
    ];
    for (file, text, check) in checks {
        let mut faults = Faults {
            file,
            found: Vec::new(),
        };
        match parse(text) {
            Ok(map) => check(&map, &mut faults),
            Err(text) => faults.add("", text),
        }
        all.extend(faults.found);
    }
    let mut faults = Faults {
        file: "hooks/dispatch",
        found: Vec::new(),
    };
    dispatch::check(&files.dispatch, files.dispatch_mode, programs, &mut faults);
    all.extend(faults.found);
    all
}

/// Through YAML's own value first: it refuses duplicate keys, where JSON's takes the last.
fn parse(text: &str) -> std::result::Result<Map<String, Value>, String> {
    let value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| format!("cannot be parsed: {error}"))?;
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("must be a map".to_owned()),
        Err(error) => Err(format!("cannot be read as plain data: {error}")),
    }
}

/// The faults of one file, and what several checks need.
struct Faults {
    file: &'static str,
    found: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, key: impl Into<String>, text: impl Into<String>) {
        let fault = Fault {
            file: self.file,
            key: key.into(),
            text: text.into(),
        };
        self.found.push(fault);
    }

    /// The map at `key`, empty when it is absent.
    fn map<'a>(&mut self, parent: &'a Map<String, Value>, key: &str) -> Vec<(&'a str, &'a Value)> {
        match parent.get(key) {
            None => Vec::new(),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| (key.as_str(), value))
                .collect(),
            Some(_) => {
                self.add(key, "must be a map");
                Vec::new()
            }
        }
    }

    /// `value` as a map; a fault when it is none.
    fn as_map<'a>(&mut self, key: &str, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let map = value.as_object();
        if map.is_none() {
            self.add(key, "must be a map");
        }
        map
    }

    /// A string with something in it must be at `name`.
    fn text<'a>(&mut self, key: &str, map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
        let text = map
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.add(join(key, name), "a text is required");
        }
        text
    }

    /// `name` must be one of `allowed` where it is present.
    fn one_of(&mut self, key: &str, map: &Map<String, Value>, name: &str, allowed: &[&str]) {
        let fine = |value: &Value| value.as_str().is_some_and(|text| allowed.contains(&text));
        if map.get(name).is_some_and(|value| !fine(value)) {
            self.add(
                join(key, name),
                format!("must be one of {}", allowed.join(", ")),
            );
        }
    }

    /// `name` must be true or false where it is present.
    fn boolean(&mut self, key: &str, map: &Map<String, Value>, name: &str) {
        if map.get(name).is_some_and(|value| !value.is_boolean()) {
            self.add(join(key, name), "must be true or false");
        }
    }

    /// Nothing but `known` keys.
    fn only(&mut self, key: &str, map: &Map<String, Value>, known: &[&str]) {
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(join(key, name), "unknown key");
        }
    }
}

fn join(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}
