//! The realm: the namespaces that a whole model lives in.
//!
//! **Expected flow.** A command line calls [`launch`], which starts a short-lived launcher; the launcher enters new
//! mount, network, IPC and PID namespaces and starts the realm's init in them, then leaves. The init makes the
//! mounts private, mounts `/proc`, raises loopback and the bridge, reports that it is ready, and starts the program
//! asked for as its only child.
//!
//! **Guarantees.** Nothing in the realm outlives its init: when the init ends, for whatever reason, the kernel kills
//! every process of the realm and drops its mounts, interfaces and namespaces. The init ends when the program does,
//! with its exit status. No packet leaves the realm: its network namespace has a bridge and loopback and nothing else.
//!
//! **Caveats.** Files are not part of a realm; whoever made a directory removes it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::{Pid, WaitOptions};

use crate::sys::{self, ProgramError};

/// Name of the bridge that every machine's interface is attached to.
pub const BRIDGE: &str = "br0";

pub(crate) const LAUNCH_ROLE: &str = "__sim-realm-launch";
pub(crate) const INIT_ROLE: &str = "__sim-realm-init";

/// Why a realm could not be started or set up.
#[derive(Debug, thiserror::Error)]
pub enum RealmError {
    /// The log file of the realm's program.
    #[error("cannot open log file `{}`", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The launcher did not start.
    #[error("cannot start the realm's launcher `{}`", .helper.display())]
    Start {
        /// The helper binary.
        helper: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The realm's init gave up; the reason is its own, as text.
    #[error("cannot set up the realm: {reason}")]
    SetUp {
        /// What the init said.
        reason: String,
    },
    /// A mount inside the realm.
    #[error("cannot {intention}")]
    Mount {
        /// What was meant to be mounted or changed.
        intention: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Making the bridge, through ip(8).
    #[error("cannot make the realm's network")]
    Network {
        /// What ip(8) said.
        source: ProgramError,
    },
    /// Signalling or awaiting the init.
    #[error("cannot end the realm of process {pid}")]
    End {
        /// The init.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a realm is made of.
#[derive(Debug, Clone)]
pub struct RealmSpec {
    /// A binary whose `main` calls [`crate::multicall`] first. Usually [`std::env::current_exe`].
    pub helper: PathBuf,
    /// Address of the bridge, which is the host's end of the machines' network.
    pub bridge: Ipv4Addr,
    /// Length of the network prefix, for example 24.
    pub prefix: u8,
    /// The program to run inside, with its arguments. It sees the caller's environment and working directory.
    pub command: Vec<OsString>,
    /// Where the standard output and error of the program go, appended.
    pub log: PathBuf,
}

/// Starts a realm and the program in it; returns the process id of the realm's init, as this process sees it.
///
/// The realm is a session of its own and outlives the caller. Returns once the network is up and the program has
/// been started; whether the program itself is ready is between the two of them.
///
/// # Errors
/// When root or a namespace is refused, or the network cannot be made: the environment's move.
pub fn launch(spec: &RealmSpec) -> Result<u32, RealmError> {
    let log = open_log(&spec.log)?;
    let log_again = log.try_clone().map_err(|source| RealmError::Log {
        path: spec.log.clone(),
        source,
    })?;
    let start_error = |source| RealmError::Start {
        helper: spec.helper.clone(),
        source,
    };
    let (answers, theirs) = std::io::pipe().map_err(start_error)?;
    // Whoever starts us may ignore signals, as `nohup` does, and every process below would inherit that. A machine's
    // services begin with the defaults, as systemd's do: a shell could not even trap what was ignored before it.
    let mut launcher = Command::new("env")
        .arg("--default-signal")
        .arg(&spec.helper)
        .arg(LAUNCH_ROLE)
        .arg(spec.bridge.to_string())
        .arg(spec.prefix.to_string())
        .args(&spec.command)
        // The write end of the answers is the init's standard input: the one descriptor the program does not inherit.
        .stdin(Stdio::from(theirs))
        .stdout(log)
        .stderr(log_again)
        .spawn()
        .map_err(start_error)?;
    let outcome = await_ready(BufReader::new(answers));
    let _ = launcher.wait();
    outcome
}

fn open_log(path: &Path) -> Result<File, RealmError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| RealmError::Log {
            path: path.to_owned(),
            source,
        })
}

fn await_ready(answers: impl BufRead) -> Result<u32, RealmError> {
    let mut pid = None;
    let mut last = String::from("it ended without a word; its log may say why");
    for line in answers.lines().map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("pid ") {
            pid = number.parse().ok();
        } else if line == "ready" {
            if let Some(pid) = pid {
                return Ok(pid);
            }
        } else {
            last = line;
        }
    }
    Err(RealmError::SetUp { reason: last })
}

/// A command that will run `program` in the realm's network, with this process's files: how the host's `curl` reaches a
/// machine. `pid` is what [`launch`] returned.
#[must_use]
pub fn enter_network(pid: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .arg("--")
        .arg(program);
    command
}

/// True while the realm's init runs. One that is ending counts as ended, reaped or not: it has lost its command line, and
/// the realm's other processes answer nobody any more although their sockets may still be there for a moment.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let has_command =
        || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    sys::process_runs(pid) && has_command()
}

/// Asks the program to end (SIGTERM, passed on by the init), waits for at most `grace`, then kills the realm. Returns
/// when the init is gone. A realm that has already ended is no error.
///
/// # Errors
/// When the process may not be signalled, or is still there after it was killed.
pub fn terminate(pid: u32, grace: Duration) -> Result<(), RealmError> {
    let error = |source: rustix::io::Errno| RealmError::End {
        pid,
        source: source.into(),
    };
    sys::end_process(pid, grace).map_err(error)
}

/// The launcher role: namespaces, then the init as their first process.
pub(crate) fn launcher(arguments: &[OsString]) -> i32 {
    match start_init(arguments) {
        Ok(pid) => {
            report(&format!("pid {pid}"));
            0
        }
        Err(error) => {
            report(&sys::chain(&error));
            1
        }
    }
}

fn start_init(arguments: &[OsString]) -> Result<u32, std::io::Error> {
    let _ = nix::unistd::setsid();
    nix::sched::unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWPID,
    )?;
    let child = Command::new(std::env::current_exe()?)
        .arg(INIT_ROLE)
        .args(arguments)
        .spawn()?;
    Ok(child.id())
}

/// Standard input is the write end of the caller's pipe, see [`launch`].
fn report(line: &str) {
    let text = format!("{}\n", line.replace('\n', " "));
    let _ = rustix::io::write(rustix::stdio::stdin(), text.as_bytes());
}

/// The init role.
pub(crate) fn init(arguments: &[OsString]) -> i32 {
    match run_init(arguments) {
        Ok(code) => code,
        Err(error) => {
            report(&sys::chain(&error));
            1
        }
    }
}

fn run_init(arguments: &[OsString]) -> Result<i32, RealmError> {
    let refused = |reason: &str| RealmError::SetUp {
        reason: reason.to_owned(),
    };
    let [bridge, prefix, program, rest @ ..] = arguments else {
        return Err(refused(
            "the init was started without bridge, prefix and program",
        ));
    };
    let bridge = bridge.to_str().and_then(|text| text.parse().ok());
    let prefix = prefix.to_str().and_then(|text| text.parse().ok());
    let (Some(bridge), Some(prefix)) = (bridge, prefix) else {
        return Err(refused("bridge address or prefix is not a number"));
    };
    setup(bridge, prefix)?;
    let child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|source| RealmError::Start {
            helper: program.into(),
            source,
        })?;
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        signals.add(signal);
    }
    // Blocked only now, since the program would inherit that. Before, they have no effect on the first process of a namespace,
    // and an end of the program that came earlier is looked for once.
    signals
        .thread_block()
        .map_err(|errno| refused(&errno.to_string()))?;
    report("ready");
    sys::null_stdin();
    Ok(supervise(child.id(), &signals))
}

/// Passes SIGTERM on to the program, reaps what the realm orphans, and returns the program's exit status.
fn supervise(program: u32, signals: &SigSet) -> i32 {
    let Some(program) = sys::pid(program) else {
        return 1;
    };
    loop {
        if let Some(code) = reap(program) {
            return code;
        }
        if let Ok(Signal::SIGTERM | Signal::SIGINT) = signals.wait() {
            let _ = rustix::process::kill_process(program, rustix::process::Signal::TERM);
        }
    }
}

fn reap(program: Pid) -> Option<i32> {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            let status = std::process::ExitStatus::from_raw(status.as_raw());
            return Some(
                status
                    .code()
                    .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            );
        }
    }
    None
}

/// Makes this process's (already private) namespaces a realm: mounts no longer propagate to the host, `/proc` shows the
/// realm's processes, loopback and the bridge are up. The realm's init does this before it starts the program; it is
/// public for programs that make their namespaces themselves (`unshare --mount --net --pid --ipc --fork`).
///
/// # Errors
/// When a mount or ip(8) fails.
pub fn setup(bridge: Ipv4Addr, prefix: u8) -> Result<(), RealmError> {
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(|source| RealmError::Mount {
        intention: "make the realm's mounts private".into(),
        source: source.into(),
    })?;
    rustix::mount::mount(
        "proc",
        "/proc",
        "proc",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        None,
    )
    .map_err(|source| RealmError::Mount {
        intention: "mount the realm's `/proc`".into(),
        source: source.into(),
    })?;
    let ip = |arguments: &[&str]| {
        sys::run("ip", arguments).map_err(|source| RealmError::Network { source })
    };
    ip(&["link", "set", "lo", "up"])?;
    ip(&[
        "link",
        "add",
        BRIDGE,
        "type",
        "bridge",
        "stp_state",
        "0",
        "forward_delay",
        "0",
    ])?;
    ip(&["addr", "add", &format!("{bridge}/{prefix}"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}
