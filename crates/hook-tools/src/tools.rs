//! The runner of hook commands, and the commands that need no module of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why a hook command gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It could not be run: not in a hook, or a tool of a newer Juju.
    #[error("cannot run hook tool {tool}")]
    Spawn {
        /// Tool.
        tool: String,
        /// Reason.
        source: std::io::Error,
    },
    /// What was asked for does not exist (any more).
    #[error("cannot find what {tool} was asked for: {message}")]
    NotFound {
        /// Tool.
        tool: String,
        /// Juju's own words.
        message: String,
    },
    /// Juju refuses: not the leader, not granted, or the relation went away under us.
    #[error("cannot use {tool}: {message}")]
    Denied {
        /// Tool.
        tool: String,
        /// Juju's own words.
        message: String,
    },
    /// Any other failure.
    #[error("hook tool {tool} failed with exit status {status}: {message}")]
    Failed {
        /// Tool.
        tool: String,
        /// Exit status, -1 if a signal ended it.
        status: i32,
        /// What it wrote on standard error.
        message: String,
    },
    /// It answered something that is not what it should answer.
    #[error("cannot understand the answer of hook tool {tool}")]
    Answer {
        /// Tool.
        tool: String,
        /// What is wrong with it; the answer itself may hold a secret and is not shown.
        source: serde_json::Error,
    },
}

impl ToolError {
    /// The thing does not exist, or we may not see it (any more): what Juju answers in the normal
    /// course of a relation's end.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Denied { .. })
    }
}

/// Log levels of `juju-log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Shown only where asked for.
    Debug,
    /// Shown by default.
    Info,
    /// A problem.
    Warning,
    /// A failure.
    Error,
}

/// The hook commands of the running hook, found on `PATH`.
#[derive(Debug, Default)]
pub struct Tools {
    directory: Option<PathBuf>,
    calls: AtomicU32,
}

/// Longest text given to `juju-log` at once: an argument is bounded by the kernel at 128 KiB.
const LOG_BYTES: usize = 64 * 1024;

impl Tools {
    /// The tools of the running hook.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            directory: None,
            calls: AtomicU32::new(0),
        }
    }

    /// The tools of a directory instead of those on `PATH`.
    #[must_use]
    pub const fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory: Some(directory),
            calls: AtomicU32::new(0),
        }
    }

    /// How many tools were run so far.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Runs a tool and returns what it printed.
    ///
    /// # Errors
    ///
    /// It cannot be run, or its exit status is not zero.
    pub(crate) fn run(
        &self,
        tool: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
    ) -> Result<Vec<u8>, ToolError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let spawn = |source| ToolError::Spawn {
            tool: tool.to_owned(),
            source,
        };
        let stdin = if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let program = self
            .directory
            .as_ref()
            .map_or_else(|| PathBuf::from(tool), |directory| directory.join(tool));
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(spawn)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A tool that fails before it read its input says why by its exit status.
            drop(stdin.write_all(input));
        }
        let output = child.wait_with_output().map_err(spawn)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().trim_start_matches("ERROR ").to_owned();
        let tool = tool.to_owned();
        Err(if message.contains("not found") {
            ToolError::NotFound { tool, message }
        } else if [
            "permission denied",
            "not the leader",
            "cannot write relation settings",
        ]
        .iter()
        .any(|refusal| message.contains(refusal))
        {
            ToolError::Denied { tool, message }
        } else {
            ToolError::Failed {
                tool,
                status: output.status.code().unwrap_or(-1),
                message,
            }
        })
    }

    /// Runs a tool that prints JSON.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: &[&str],
    ) -> Result<T, ToolError> {
        let mut all = vec!["--format=json"];
        all.extend(arguments);
        let output = self.run(tool, &all, None)?;
        serde_json::from_slice(&output).map_err(|source| ToolError::Answer {
            tool: tool.to_owned(),
            source,
        })
    }

    /// `is-leader`.
    ///
    /// # Errors
    ///
    /// Juju cannot tell.
    pub fn is_leader(&self) -> Result<bool, ToolError> {
        self.json("is-leader", &[])
    }

    /// `goal-state`: the units of this application that Juju is about to remove, this one included.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn dying_units(&self) -> Result<BTreeSet<String>, ToolError> {
        #[derive(Deserialize)]
        struct Goal {
            units: BTreeMap<String, Unit>,
        }
        #[derive(Deserialize)]
        struct Unit {
            status: String,
        }
        let goal: Goal = self.json("goal-state", &[])?;
        let dying = goal
            .units
            .into_iter()
            .filter(|(_, it)| it.status == "dying");
        Ok(dying.map(|(unit, _)| unit).collect())
    }

    /// `config-get`: every option that has a value.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn config(&self) -> Result<BTreeMap<String, serde_json::Value>, ToolError> {
        self.json("config-get", &[])
    }

    /// `status-set`. Visible at once, and kept even if the hook fails.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn set_status(&self, state: &str, message: &str) -> Result<(), ToolError> {
        self.run("status-set", &["--", state, message], None)
            .map(drop)
    }

    /// `status-get`: the unit's status and message.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn status(&self) -> Result<(String, String), ToolError> {
        let mut status: BTreeMap<String, serde_json::Value> =
            self.json("status-get", &["--include-data"])?;
        let mut text = |key: &str| {
            status
                .remove(key)
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        Ok((text("status"), text("message")))
    }

    /// `juju-log`; long texts are split. A log that cannot be written is not worth failing for.
    pub fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(LOG_BYTES);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (part, behind) = rest.split_at(end);
            drop(self.run("juju-log", &["--log-level", level, "--", part], None));
            rest = behind;
        }
    }

    /// `application-version-set`.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn set_application_version(&self, version: &str) -> Result<(), ToolError> {
        self.run("application-version-set", &["--", version], None)
            .map(drop)
    }

    /// `opened-ports`, such as `8083/tcp`.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn opened_ports(&self) -> Result<BTreeSet<String>, ToolError> {
        let ports: Option<BTreeSet<String>> = self.json("opened-ports", &[])?;
        Ok(ports.unwrap_or_default())
    }

    /// `open-port` for TCP.
    ///
    /// # Errors
    ///
    /// The port is another unit's on this machine.
    pub fn open_port(&self, port: u16) -> Result<(), ToolError> {
        self.run("open-port", &[&format!("{port}/tcp")], None)
            .map(drop)
    }

    /// `close-port` for TCP.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn close_port(&self, port: u16) -> Result<(), ToolError> {
        self.run("close-port", &[&format!("{port}/tcp")], None)
            .map(drop)
    }

    /// `resource-get`: fetches a file resource and returns its path.
    ///
    /// # Errors
    ///
    /// [`ToolError::NotFound`] if none was attached; Juju's failure to fetch it.
    pub fn resource(&self, name: &str) -> Result<String, ToolError> {
        let output = self.run("resource-get", &[name], None)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// `action-get`: the parameters.
    ///
    /// # Errors
    ///
    /// Not in an action.
    pub fn action_parameters(&self) -> Result<BTreeMap<String, serde_json::Value>, ToolError> {
        self.json("action-get", &[])
    }

    /// `action-set`: adds results; a dot in a key nests.
    ///
    /// Juju takes results as arguments only, so whatever is returned is seen by the machine's own
    /// root for a moment.
    ///
    /// # Errors
    ///
    /// A key that Juju does not allow.
    pub fn set_action_results(&self, results: &BTreeMap<String, String>) -> Result<(), ToolError> {
        let pairs: Vec<String> = results
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
        self.run("action-set", &pairs, None).map(drop)
    }

    /// `action-log`: progress, shown while the action runs.
    ///
    /// # Errors
    ///
    /// Not in an action.
    pub fn log_action(&self, message: &str) -> Result<(), ToolError> {
        self.run("action-log", &["--", message], None).map(drop)
    }

    /// `storage-list`: the ids of the storage instances of a name that are attached.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn storage(&self, name: &str) -> Result<Vec<String>, ToolError> {
        let ids: Option<Vec<String>> = self.json("storage-list", &[name])?;
        Ok(ids.unwrap_or_default())
    }

    /// `storage-get`: where a storage instance is mounted, or its device.
    ///
    /// # Errors
    ///
    /// [`ToolError::NotFound`] if it is not attached (any more).
    pub fn storage_location(&self, id: &str) -> Result<String, ToolError> {
        self.json("storage-get", &["-s", id, "location"])
    }

    /// `action-fail`.
    ///
    /// # Errors
    ///
    /// Not in an action.
    pub fn fail_action(&self, message: &str) -> Result<(), ToolError> {
        self.run("action-fail", &["--", message], None).map(drop)
    }
}
