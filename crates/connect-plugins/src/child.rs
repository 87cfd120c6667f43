//! Starts the unpacking process, feeds it, and reads what it has to say.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::BundleError;
use crate::helper::ASKED;
use crate::limits::Limits;
use crate::options::Unpacker;
use crate::report::Report;

/// Bytes of a report: a contract with the most classes there may be is half of it.
const REPORT: u64 = 16 << 20;
/// Bytes between us and the process: enough that neither waits for the other all the time.
const PIPE: usize = 1 << 20;

/// The process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
}

/// Kills the process when dropped, if it still runs, from wherever that is.
pub(crate) struct Leash(OwnedFd);

impl Drop for Leash {
    fn drop(&mut self) {
        // An error says that it has ended by itself.
        let _ = rustix::process::pidfd_send_signal(&self.0, Signal::KILL);
    }
}

impl Process {
    /// Starts it in `directory`, which belongs to the user it runs as.
    pub(crate) fn start(
        unpacker: &Unpacker,
        directory: &Path,
        limits: &Limits,
    ) -> Result<(Self, Leash), BundleError> {
        let failed = |source| BundleError::Write {
            action: "start".into(),
            path: unpacker.program.clone(),
            source,
        };
        // By its descriptor, since the user it runs as need not be allowed to come by its path.
        let place = File::open(directory).map_err(failed)?;
        let mut command = Command::new(&unpacker.program);
        command
            .args(&unpacker.arguments)
            .arg(ASKED)
            .arg(serde_json::to_string(limits).map_err(|error| failed(error.into()))?)
            .env_clear()
            // An inflater's 40 KiB are asked for once per entry, thousands of times, between small
            // texts that stay: from the heap of the C library that fragments without end. Mapped one
            // by one, they are given back. Needless once one inflater serves all entries of a jar.
            .env("MALLOC_MMAP_THRESHOLD_", "16384")
            .current_dir(format!("/proc/self/fd/{}", place.as_raw_fd()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some((user, group)) = unpacker.user
            && rustix::process::geteuid().is_root()
        {
            // As root, other groups are dropped with it.
            command.uid(user).gid(group);
        }
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut process = Self {
            child,
            input,
            output,
        };
        if let Some(input) = &process.input {
            // Slower without, no more.
            let _ = rustix::pipe::fcntl_setpipe_size(input.as_fd(), PIPE);
        }
        let leash = process.leash().map_err(failed)?;
        Ok((process, leash))
    }

    fn leash(&mut self) -> io::Result<Leash> {
        let number = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        let pid = Pid::from_raw(number).ok_or_else(|| io::Error::other("process number 0"))?;
        Ok(Leash(rustix::process::pidfd_open(
            pid,
            PidfdFlags::empty(),
        )?))
    }

    /// Gives it more. False when it reads no more, since it has made up its mind.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        self.input
            .as_mut()
            .is_some_and(|input| input.write_all(bytes).is_ok())
    }

    /// Tells it that this was all, waits for its end and gives its report.
    pub(crate) fn finish(mut self) -> Result<Report, BundleError> {
        drop(self.input.take());
        let mut text = Vec::new();
        let read = self
            .output
            .take()
            .map_or(Ok(0), |output| output.take(REPORT).read_to_end(&mut text));
        let ended = self.child.wait();
        match (read, ended) {
            (Ok(_), Ok(status)) if status.success() => serde_json::from_slice(&text)
                .map_err(|_| unusable("its report cannot be understood")),
            (_, Ok(status)) => Err(unusable(&end(status))),
            (_, Err(_)) => Err(unusable("its end cannot be waited for")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn unusable(what: &str) -> BundleError {
    BundleError::Unpacker {
        what: what.to_owned(),
    }
}

fn end(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, Some(code)) => format!("it ended with status {code}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}
