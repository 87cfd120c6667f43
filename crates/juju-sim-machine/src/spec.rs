//! What a machine is made of.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything [`crate::Machine::start`] needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineSpec {
    /// A binary whose `main` calls [`crate::multicall`] first; it becomes the machine's init and its `systemctl`. Usually
    /// [`std::env::current_exe`].
    pub helper: PathBuf,
    /// Directory of this machine alone, created when absent: what it changed on its disk (`upper`), its journal (`state`).
    pub directory: PathBuf,
    /// Name the machine believes to have, for example `juju-1f2e-0`.
    pub hostname: String,
    /// Addresses of `eth0`. The first IPv4 address names the interface's other end, so it must be unique in the realm.
    pub addresses: Vec<Address>,
    /// Host directories or files that appear in the machine.
    pub binds: Vec<Bind>,
    /// Absolute paths of the host that a fresh machine does not have, for example `/usr/lib/jvm`.
    pub hidden: Vec<PathBuf>,
    /// More lines of `/etc/hosts`: address and name.
    pub hosts: Vec<(IpAddr, String)>,
}

impl MachineSpec {
    /// A machine with this directory, name and address, and nothing special. The helper is the running binary.
    ///
    /// # Errors
    /// When the system does not say where the running binary is.
    pub fn new(directory: &Path, hostname: &str, address: Address) -> std::io::Result<Self> {
        Ok(Self {
            helper: std::env::current_exe()?,
            directory: directory.to_owned(),
            hostname: hostname.to_owned(),
            addresses: vec![address],
            binds: Vec::new(),
            hidden: Vec::new(),
            hosts: Vec::new(),
        })
    }
}

/// An address with the length of its network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.ip, self.prefix)
    }
}

/// A directory or file of the host that appears in a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Absolute path in the machine, made when absent.
    pub target: PathBuf,
    /// Whether the machine may only read it.
    pub read_only: bool,
}
