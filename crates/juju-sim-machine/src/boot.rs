//! How a machine comes up: the launcher, the init until its manager takes over, and the doorman of commands.
//!
//! The init talks to [`crate::Machine::start`] in lines. Standard input: the spec as JSON, then `connected`. Standard output:
//! `pid <n>` (from the launcher), `unshared`, `ready`; any other line is the reason of a failure.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::CloneFlags;

use crate::machine::INIT_ROLE;
use crate::root::{self, RootError};
use crate::spec::MachineSpec;
use crate::sys::{self, ProgramError};

#[derive(Debug, thiserror::Error)]
enum BootError {
    #[error("cannot read the machine's spec")]
    Spec { source: io::Error },
    #[error("cannot enter new namespaces")]
    Unshare { source: nix::Error },
    #[error("cannot build the machine's root")]
    Root { source: RootError },
    #[error("cannot configure the machine's network")]
    Network { source: ProgramError },
    #[error("cannot start the service manager")]
    Manager {
        source: crate::manager::ManagerError,
    },
    #[error("the realm did not connect the machine")]
    Abandoned,
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", line.replace('\n', " "));
    let _ = out.flush();
}

/// The launcher role.
pub(crate) fn launcher() -> i32 {
    let start = || -> io::Result<u32> {
        let _ = nix::unistd::setsid();
        nix::sched::unshare(CloneFlags::CLONE_NEWPID)?;
        Ok(Command::new(std::env::current_exe()?)
            .arg(INIT_ROLE)
            .spawn()?
            .id())
    };
    match start() {
        Ok(pid) => {
            say(&format!("pid {pid}"));
            0
        }
        Err(error) => {
            say(&format!("cannot start the machine's init: {error}"));
            1
        }
    }
}

/// The init role: process 1 of the machine.
pub(crate) fn init() -> i32 {
    match boot() {
        Ok(()) => 0,
        Err(error) => {
            say(&sys::chain(&error));
            1
        }
    }
}

fn boot() -> Result<(), BootError> {
    let mut orders = io::stdin().lines();
    let spec: MachineSpec = orders
        .next()
        .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
        .and_then(|text| serde_json::from_str(&text).map_err(Into::into))
        .map_err(|source| BootError::Spec { source })?;
    nix::sched::unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .map_err(|source| BootError::Unshare { source })?;
    say("unshared");
    match orders.next() {
        Some(Ok(order)) if order == "connected" => {}
        Some(_) | None => return Err(BootError::Abandoned),
    }
    drop(orders);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    network(&spec).map_err(|source| BootError::Network { source })?;
    root::enter(&spec).map_err(|source| BootError::Root { source })?;
    let manager = crate::manager::Manager::new().map_err(|source| BootError::Manager { source })?;
    say("ready");
    if let Ok(null) = crate::machine::null() {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    manager
        .run()
        .map_err(|source| BootError::Manager { source })
}

fn network(spec: &MachineSpec) -> Result<(), ProgramError> {
    sys::run("ip", &["link", "set", "lo", "up"])?;
    for address in &spec.addresses {
        sys::run(
            "ip",
            &["addr", "add", &address.to_string(), "dev", "eth0", "nodad"],
        )
        .or_else(|_| sys::run("ip", &["addr", "add", &address.to_string(), "dev", "eth0"]))?;
    }
    if spec.addresses.is_empty() {
        return Ok(());
    }
    sys::run("ip", &["link", "set", "eth0", "up"])
}

/// The doorman role: the last step of [`crate::Machine::command`], already inside the machine.
pub(crate) fn enter(arguments: &[OsString]) -> i32 {
    let [directory, program, rest @ ..] = arguments else {
        return 125;
    };
    // Its parent is nsenter, the process that the caller waits for and may kill.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    if let Err(error) = std::env::set_current_dir(directory) {
        eprintln!("cannot enter directory `{}`: {error}", directory.display());
        return 125;
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("cannot run `{}`: {error}", program.display());
    if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    }
}
