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
