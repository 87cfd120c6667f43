//! What a run says while it runs.

use serde::{Deserialize, Serialize};

use crate::state::StatusRow;

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Juju's own words")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl LogLevel {
    /// Reads a level as Juju's log does, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_uppercase().as_str() {
            "TRACE" | "UNSPECIFIED" => Some(Self::Trace),
            "DEBUG" => Some(Self::Debug),
            "INFO" => Some(Self::Info),
            "WARN" | "WARNING" => Some(Self::Warning),
            "ERROR" => Some(Self::Error),
            "CRITICAL" => Some(Self::Critical),
            _ => None,
        }
    }

    /// As the log shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// Something that is visible at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// `juju-log`, logger `unit.<unit>.juju-log`.
    Log {
        /// The level.
        level: LogLevel,
        /// The text; may have several lines.
        message: String,
    },
    /// `action-log`.
    Progress(String),
    /// `status-set`.
    UnitStatus(StatusRow),
    /// `status-set --application`.
    ApplicationStatus(StatusRow),
    /// `application-version-set`.
    WorkloadVersion(String),
    /// `leader-set`: the keys that changed.
    LeaderSettings(Vec<String>),
    /// `juju-reboot --now`: end the process; the hook runs again after the reboot.
    RebootNow,
}
