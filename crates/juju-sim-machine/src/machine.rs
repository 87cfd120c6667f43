//! A machine, seen from the realm it runs in.
//!
//! **Expected flow.** [`Machine::start`] starts a launcher, which enters a new PID namespace, starts the machine's init in it
//! and leaves. The init enters its other namespaces and says so; the realm gives it an interface on the bridge; the init
//! builds its root, starts what is enabled, and says that it is ready. [`Machine::command`] then runs programs in it.
//!
//! **Guarantees.** When the init ends, the kernel kills every process of the machine and drops its mounts, its interface
//! (and with it the realm's end of the pair) and its namespaces. After [`Machine::remove`] its directory is gone as well.
//!
//! **Assumptions.** The caller is root and inside a realm: a bridge of the name [`crate::realm::BRIDGE`] exists, and whoever
//! is the realm's init reaps orphans.
//!
//! **Caveats.** Dropping a `Machine` does nothing: a machine runs until it is stopped or its realm ends. Where the host's disk
//! cannot hold the upper directory of an overlay (it is one itself, as in most containers) the machine's disk is in memory: it
//! outlives a stop, but not the realm.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::root::{HELPER, Places, RootError};
use crate::spec::MachineSpec;
use crate::sys::{self, ProgramError};

pub(crate) const LAUNCH_ROLE: &str = "__sim-machine-launch";
pub(crate) const INIT_ROLE: &str = "__sim-machine-init";
pub(crate) const ENTER_ROLE: &str = "__sim-machine-enter";

/// The search path of a command in a machine.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a machine could not be started, stopped or removed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Making its directories.
    #[error("cannot prepare the directory of machine `{hostname}`")]
    Directory {
        /// The machine.
        hostname: String,
        /// What failed.
        source: RootError,
    },
    /// Starting or talking to its init.
    #[error("cannot start the init of machine `{hostname}`")]
    Init {
        /// The machine.
        hostname: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The init gave up.
    #[error("cannot set up machine `{hostname}`: {reason}")]
    SetUp {
        /// The machine.
        hostname: String,
        /// What the init said.
        reason: String,
    },
    /// Joining it to the bridge.
    #[error("cannot connect machine `{hostname}` to the bridge")]
    Network {
        /// The machine.
        hostname: String,
        /// What ip(8) said.
        source: ProgramError,
    },
    /// Ending its init.
    #[error("cannot stop machine `{hostname}`")]
    Stop {
        /// The machine.
        hostname: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Removing its directory.
    #[error("cannot remove `{}`", .path.display())]
    Remove {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running machine. Serialisable, so that whoever runs it may write down how to reach it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    spec: MachineSpec,
    pid: u32,
}

impl Machine {
    /// Starts a machine. On its first start the directory of the spec gets a fresh disk; later starts find what the machine
    /// wrote. Returns when the init answers to `systemctl` (units enabled in the machine may still be starting).
    ///
    /// # Errors
    /// When a namespace, a mount or the network is refused: the environment's move. Nothing of the machine runs then.
    pub fn start(spec: MachineSpec) -> Result<Self, MachineError> {
        let hostname = spec.hostname.clone();
        let places = Places::of(&spec.directory);
        places.create().map_err(|source| MachineError::Directory {
            hostname: hostname.clone(),
            source,
        })?;
        let failed = |source| MachineError::Init {
            hostname: hostname.clone(),
            source,
        };
        let console = OpenOptions::new()
            .create(true)
            .append(true)
            .open(places.state.join("console.log"))
            .map_err(failed)?;
        let mut launcher = Command::new(&spec.helper)
            .arg(LAUNCH_ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(console)
            .spawn()
            .map_err(failed)?;
        let (Some(mut orders), Some(answers)) = (launcher.stdin.take(), launcher.stdout.take())
        else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let mut answers = BufReader::new(answers);
        let pid = converse(&spec, &mut orders, &mut answers);
        let _ = launcher.wait();
        Ok(Self { pid: pid?, spec })
    }

    /// Process id of the machine's init, as the realm numbers it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the machine was started from.
    #[must_use]
    pub fn spec(&self) -> &MachineSpec {
        &self.spec
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.spec.addresses.first().map(|address| address.ip)
    }

    /// True while its init runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        sys::process_runs(self.pid)
    }

    /// The machine's root, as a path of the realm: reads and writes what the machine sees. Valid while it runs; beware of
    /// absolute links in it, which lead into the realm's root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.pid).into()
    }

    /// The file with what the machine's services printed: one JSON object per line, see [`crate::journal::Entry`].
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        crate::journal::file(&Places::of(&self.spec.directory).state)
    }

    /// A command that runs `program` as root in all namespaces of the machine, in `/`, with a clean environment ([`PATH`],
    /// `HOME`, `USER`, `LANG`) to which the caller may add. Standard streams, exit status and death by a signal pass
    /// through. If the process that waits for the program (the [`std::process::Child`]) is killed, the program is killed too; what the
    /// program itself started is not.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_in("/", program)
    }

    /// As [`Self::command`], in another working directory of the machine.
    #[must_use]
    pub fn command_in(&self, directory: impl AsRef<Path>, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid.to_string()])
            .args([
                "--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wd", "--",
            ])
            .args([HELPER, ENTER_ROLE])
            .arg(directory.as_ref())
            .arg(program)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LANG", "C.UTF-8");
        command
    }

    /// Stops the machine: its services in order, then everything that is left. After `grace` it is killed. The disk stays.
    /// A machine that has already ended is no error.
    ///
    /// # Errors
    /// When the init may not be signalled or does not end.
    pub fn stop(&self, grace: Duration) -> Result<(), MachineError> {
        sys::end_process(self.pid, grace).map_err(|errno| MachineError::Stop {
            hostname: self.spec.hostname.clone(),
            source: errno.into(),
        })?;
        self.disconnect();
        Ok(())
    }

    /// Pulls the plug: every process of the machine is killed at once.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn kill_all(&self) -> Result<(), MachineError> {
        self.stop(Duration::ZERO)
    }

    /// Stops the machine and starts it again from its disk.
    ///
    /// # Errors
    /// As [`Self::stop`] and [`Self::start`].
    pub fn reboot(&self, grace: Duration) -> Result<Self, MachineError> {
        self.stop(grace)?;
        Self::start(self.spec.clone())
    }

    /// Stops the machine and removes its directory.
    ///
    /// # Errors
    /// As [`Self::stop`], or when a file cannot be removed.
    pub fn remove(self, grace: Duration) -> Result<(), MachineError> {
        self.stop(grace)?;
        Places::of(&self.spec.directory).unmount();
        let path = self.spec.directory;
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(MachineError::Remove {
                    path,
                    source: error,
                })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The kernel drops the pair with the machine's namespace, but some time later; a restart wants the name now.
    fn disconnect(&self) {
        if let Some(name) = realm_end(&self.spec) {
            let _ = sys::run("ip", &["link", "del", &name]);
        }
    }
}

/// Name of the realm's end of the machine's interface; an interface name has at most 15 bytes.
fn realm_end(spec: &MachineSpec) -> Option<String> {
    spec.addresses.iter().find_map(|address| match address.ip {
        IpAddr::V4(ip) => Some(format!("sv{:08x}", ip.to_bits())),
        IpAddr::V6(_) => None,
    })
}

/// The launcher's and the init's side of this conversation is in [`crate::boot`].
fn converse(
    spec: &MachineSpec,
    orders: &mut ChildStdin,
    answers: &mut impl BufRead,
) -> Result<u32, MachineError> {
    let hostname = &spec.hostname;
    let failed = |source| MachineError::Init {
        hostname: hostname.clone(),
        source,
    };
    let text = serde_json::to_string(spec).map_err(|error| failed(error.into()))?;
    writeln!(orders, "{text}").map_err(failed)?;
    let mut pid = None;
    let mut unshared = false;
    let mut connected = false;
    let mut reason = String::from("its init ended without a word; `state/console.log` may say why");
    let mut line = String::new();
    loop {
        line.clear();
        if answers.read_line(&mut line).map_err(failed)? == 0 {
            break;
        }
        // Launcher and init write to the same pipe, in either order.
        match line.trim_end() {
            "ready" => break,
            "unshared" => unshared = true,
            word => match word.strip_prefix("pid ") {
                Some(number) => pid = number.parse().ok(),
                None => word.clone_into(&mut reason),
            },
        }
        if let Some(pid) = pid.filter(|_| unshared && !connected) {
            if let Err(error) = connect(spec, pid) {
                let _ = sys::end_process(pid, Duration::ZERO);
                return Err(error);
            }
            connected = true;
            writeln!(orders, "connected").map_err(failed)?;
        }
    }
    if let Some(pid) = pid.filter(|_| line.trim_end() == "ready") {
        return Ok(pid);
    }
    if let Some(pid) = pid {
        let _ = sys::end_process(pid, Duration::ZERO);
    }
    Err(MachineError::SetUp {
        hostname: hostname.clone(),
        reason,
    })
}

fn connect(spec: &MachineSpec, pid: u32) -> Result<(), MachineError> {
    let Some(name) = realm_end(spec) else {
        return Ok(());
    };
    let ip = |arguments: &[&str]| {
        sys::run("ip", arguments).map_err(|source| MachineError::Network {
            hostname: spec.hostname.clone(),
            source,
        })
    };
    let pid = pid.to_string();
    ip(&[
        "link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &pid,
    ])?;
    ip(&["link", "set", &name, "master", crate::realm::BRIDGE, "up"])
}

/// Keeps a file open at `/dev/null` until the process ends.
pub(crate) fn null() -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}
