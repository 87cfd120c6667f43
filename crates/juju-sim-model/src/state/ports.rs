//! Port ranges.
//!
//! Contract: `core/network/portrange.go` of Juju.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The protocol of a port range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Has no ports.
    Icmp,
    /// The default.
    Tcp,
    /// The other one.
    Udp,
}

impl Protocol {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A range of ports. Ordered as Juju lists them: by protocol, then by first and last port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// First port; -1 for ICMP.
    pub from: i32,
    /// Last port; -1 for ICMP.
    pub to: i32,
}

impl PortRange {
    /// Whether two ranges share a port.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.from <= other.to && other.from <= self.to
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.as_str();
        match self.protocol {
            Protocol::Icmp => f.write_str(protocol),
            Protocol::Tcp | Protocol::Udp if self.from == self.to => {
                write!(f, "{}/{protocol}", self.from)
            }
            Protocol::Tcp | Protocol::Udp => write!(f, "{}-{}/{protocol}", self.from, self.to),
        }
    }
}
