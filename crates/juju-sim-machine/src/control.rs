//! What the `systemctl` stand-in and the manager say to each other: one line of JSON each way over a socket.

use serde::{Deserialize, Serialize};

/// The manager's socket.
pub(crate) const CONTROL: &str = "/run/juju-sim/control";
/// Where services send their notifications.
pub(crate) const NOTIFY: &str = "/run/systemd/notify";

/// A verb with what the command line said about it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) verb: String,
    pub(crate) units: Vec<String>,
    pub(crate) no_block: bool,
    pub(crate) now: bool,
    pub(crate) quiet: bool,
    pub(crate) value_only: bool,
    pub(crate) all: bool,
    pub(crate) no_legend: bool,
    pub(crate) runtime: bool,
    pub(crate) properties: Vec<String>,
    pub(crate) types: Vec<String>,
    pub(crate) states: Vec<String>,
    pub(crate) signal: Option<String>,
    pub(crate) whom: Option<String>,
}

/// What `systemctl` prints and exits with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Reply {
    pub(crate) fn fail(&mut self, code: i32, text: &str) {
        if self.code == 0 {
            self.code = code;
        }
        self.err.push_str(text);
        self.err.push('\n');
    }

    /// Text for standard error that is no failure.
    pub(crate) fn note(&mut self, text: &str) {
        self.err.push_str(text);
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }
}
