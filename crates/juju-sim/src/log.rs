//! The model's two logs.
//!
//! `debug.log` has a line per record, in the form of `juju debug-log` with the date in front of
//! the time:
//!
//! ```text
//! unit-kc-0: 2026-01-02T03:04:05Z INFO unit.kc/0.juju-log the text
//! ```
//!
//! `commits.jsonl` has one JSON object per finished hook, action or juju-exec command: [`Entry`].

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;
use serde_json::Value;

use crate::clock::{self, Millis};

/// A finished run: what `commits.jsonl` says about it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Entry {
    /// Counts up by one per line.
    pub(crate) sequence: u64,
    /// Milliseconds since the epoch: the process was started.
    pub(crate) start: Millis,
    /// Milliseconds since the epoch: its writes were committed, or dropped.
    pub(crate) end: Millis,
    pub(crate) unit: String,
    /// `hook`, `action` or `exec`.
    pub(crate) kind: &'static str,
    /// The hook's or action's name; empty for juju-exec.
    pub(crate) name: String,
    /// The number of the hook's relation.
    pub(crate) relation: Option<u32>,
    pub(crate) endpoint: Option<String>,
    pub(crate) remote_application: Option<String>,
    pub(crate) remote_unit: Option<String>,
    /// `committed`, `failed` (exit status not 0), `refused` (exit status 0, commit refused),
    /// `killed` (by a signal or a planned fault) or `skipped` (the charm has no such hook).
    pub(crate) outcome: &'static str,
    /// The exit status; -1 when there was none.
    pub(crate) exit: i32,
    /// Why the run counts as failed.
    pub(crate) error: Option<String>,
    /// How many hook tools were called, and how often each.
    pub(crate) tool_calls: u64,
    pub(crate) tools: BTreeMap<String, u64>,
    /// Milliseconds spent in answering hook tools.
    pub(crate) tools_ms: f64,
    /// Statuses set, in order; they count at once, whatever the outcome.
    pub(crate) statuses: Vec<Value>,
    /// What became visible with this commit; null unless the outcome is `committed`.
    pub(crate) commit: Value,
}

/// The open files.
#[derive(Debug)]
pub(crate) struct Logs {
    debug: Mutex<File>,
    commits: Mutex<File>,
}

impl Logs {
    pub(crate) fn open(model: &Path) -> io::Result<Self> {
        let append = |name: &str| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(model.join(name))
        };
        Ok(Self {
            debug: Mutex::new(append("debug.log")?),
            commits: Mutex::new(append("commits.jsonl")?),
        })
    }

    /// Writes one record. `entity` is a unit's name or `controller`.
    pub(crate) fn record(&self, entity: &str, level: &str, logger: &str, text: &str) {
        let tag = if entity.contains('/') {
            format!("unit-{}", entity.replace('/', "-"))
        } else {
            entity.to_owned()
        };
        let line = format!(
            "{tag}: {} {level} {logger} {text}\n",
            clock::rfc3339(clock::now())
        );
        if let Ok(mut file) = self.debug.lock() {
            // A full disk must not end the model; the record is lost.
            drop(file.write_all(line.as_bytes()));
        }
    }

    /// Writes one entry.
    pub(crate) fn finished(&self, entry: &Entry) {
        let Ok(mut line) = serde_json::to_vec(entry) else {
            return;
        };
        line.push(b'\n');
        if let Ok(mut file) = self.commits.lock() {
            drop(file.write_all(&line));
        }
    }
}
