//! Small wrappers around programs and processes that several modules share.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

/// A helper program of the system failed.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("cannot start `{program}`")]
    Start {
        /// Name of the program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The program with its arguments.
        command: String,
        /// What it said, without the line end.
        stderr: String,
    },
}

/// Runs a program to its end, without input.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), ProgramError> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| ProgramError::Start {
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ProgramError::Failed {
        command: format!("{program} {}", arguments.join(" ")),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// An error and its sources on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let _ = write!(text, ": {inner}");
        source = inner.source();
    }
    text
}

pub(crate) fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Replaces standard input by `/dev/null`.
pub(crate) fn null_stdin() {
    if let Ok(null) = File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

/// True while the process exists and is not a zombie.
pub(crate) fn process_runs(number: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{number}/stat"))
        .is_ok_and(|stat| !matches!(stat_fields(&stat).first(), Some(&("Z" | "X"))))
}

/// The fields of `/proc/<pid>/stat` from the state on (the name before them may hold anything).
pub(crate) fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ")
        .map(|(_, rest)| rest.split(' ').collect())
        .unwrap_or_default()
}

/// SIGTERM, then SIGKILL once `grace` has passed; returns when the process has ended.
pub(crate) fn end_process(number: u32, grace: Duration) -> Result<(), rustix::io::Errno> {
    let Some(id) = pid(number) else { return Ok(()) };
    let handle = match rustix::process::pidfd_open(id, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    for (signal, limit) in [
        (Signal::TERM, grace),
        (Signal::KILL, Duration::from_secs(10)),
    ] {
        match rustix::process::pidfd_send_signal(&handle, signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        if await_exit(&handle, limit)? {
            return Ok(());
        }
    }
    Err(rustix::io::Errno::TIMEDOUT)
}

/// Waits until the process behind a pidfd has ended; false when `limit` passes first.
fn await_exit(handle: &impl std::os::fd::AsFd, limit: Duration) -> Result<bool, rustix::io::Errno> {
    let end = std::time::Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(handle, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
