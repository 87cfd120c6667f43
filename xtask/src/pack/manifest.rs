//! `manifest.yaml`: on which base and architecture the charm runs. No time in it: it would make
//! every pack a different file.

use std::fmt;

use anyhow::{Result, bail};

/// The base as it is spelled in a charm file's name.
pub const BASE: &str = "ubuntu@24.04";

/// An architecture, in Juju's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
}

impl Architecture {
    /// The architecture this program was built for, and with it those it packs.
    ///
    /// # Errors
    /// An architecture the charm does not support.
    pub fn of_this_build() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("cannot pack on `{other}`: the charms run on amd64 and arm64"),
        }
    }

    /// `e_machine` of its programs. Contract: the ELF specification.
    pub(super) const fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// The file's text.
pub(super) fn render(architecture: Architecture) -> String {
    format!("bases:\n  - name: ubuntu\n    channel: '24.04'\n    architectures: [{architecture}]\n")
}
