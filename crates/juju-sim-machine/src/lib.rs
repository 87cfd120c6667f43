//! Light machines made of namespaces over an overlay of the host, with a `systemctl` stand-in.
//!
//! A [`realm`] holds a whole model: one network namespace from which no packet leaves, one PID namespace whose end is the
//! end of everything. In it, each [`Machine`] has mount, network, PID, UTS and IPC namespaces of its own over an overlay of
//! the host's root, an address on the realm's bridge, and a small service manager as process 1 that runs real unit files.
//! So absolute paths, ports, users and file modes are the real ones, and nothing is left behind. Root is needed.
//!
//! What it will never do: reach the internet, control resources through cgroups, or accept a setting of a unit
//! file that it does not honour.
//!
//! Start reading at [`Machine::start`]; a program that uses this crate calls [`multicall`] first in `main`.
//!
//! # Parts
//!
//! | module | what it does |
//! |---|---|
//! | [`realm`] | namespaces around a whole model, and the way in for the host |
//! | [`machine`], `boot`, `root` | a machine: how it is started, its root filesystem, commands in it |
//! | `units` | unit files: found, parsed, turned into what they mean; no processes |
//! | `manager` | process 1: jobs in order, the life of services, sockets, paths and timers |
//! | `exec` | the trampoline that becomes the program of a service |
//! | `tools` | `systemctl`, `journalctl`, `systemd-notify` |
//! | [`journal`] | what services printed, readable from outside |
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use juju_sim_machine::{Address, Machine, MachineSpec};
//!
//! // Inside a realm (see `realm::launch`), as root, in a binary that calls `multicall` first.
//! let address = Address { ip: "10.1.0.2".parse()?, prefix: 24 };
//! let spec = MachineSpec::new("/var/tmp/model/machine-0".as_ref(), "machine-0", address)?;
//! let machine = Machine::start(spec)?;
//! let status = machine.command("systemctl").args(["start", "app"]).status()?;
//! assert!(status.success());
//! machine.remove(Duration::from_secs(10))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
#![doc = include_str!("honoured-keys.md")]

mod boot;
mod control;
mod exec;
pub mod journal;
pub mod machine;
mod manager;
mod multicall;
pub mod realm;
mod root;
pub mod spec;
mod sys;
mod tools;
mod units;

pub use machine::{Machine, MachineError, PATH};
pub use manager::ManagerError;
pub use multicall::multicall;
pub use root::{HELPER, RootError};
pub use spec::{Address, Bind, MachineSpec};
pub use sys::ProgramError;
