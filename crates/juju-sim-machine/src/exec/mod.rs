//! How a process of a service comes to be: the manager describes it, a trampoline makes it so.
//!
//! The manager starts its own binary in the role [`ROLE`] with one end of a socket pair as standard input, and sends a
//! [`Launch`] with the listening sockets over it. The trampoline sets up everything and executes the program in its own
//! process, so that the process id the manager knows is the program's, and `LISTEN_PID` is true. It keeps the socket until
//! the program is executed: end of file without a word says that the program runs, a word is the reason why it does not.

mod calls;
mod descriptors;
mod sandbox;
pub(crate) mod trampoline;

pub(crate) use descriptors::send;
pub(crate) use sandbox::Sandbox;

use serde::{Deserialize, Serialize};

use crate::units::Calls;

pub(crate) const ROLE: &str = "__sim-exec";

/// Everything about a process to be, resolved: no name is left to look up but the program's file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// Why there is nothing to run, and the exit code that says so; the rest is then empty.
    pub(crate) refusal: Option<(i32, String)>,
    pub(crate) program: String,
    pub(crate) argument_zero: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Names of the descriptors that are sent along, which become 3, 4, ….
    pub(crate) descriptors: Vec<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) working_directory: String,
    pub(crate) working_directory_optional: bool,
    pub(crate) umask: u32,
    pub(crate) limits: Vec<(String, Option<u64>, Option<u64>)>,
    pub(crate) nice: Option<i32>,
    /// Gets the processor only when nobody else wants it.
    pub(crate) is_idle: bool,
    pub(crate) oom_score_adjust: Option<i32>,
    pub(crate) no_new_privileges: bool,
    /// Capabilities that may ever be had; `None`: all.
    pub(crate) bounding_set: Option<Vec<u8>>,
    pub(crate) ambient: Vec<u8>,
    pub(crate) sandbox: Sandbox,
    pub(crate) calls: Calls,
}
