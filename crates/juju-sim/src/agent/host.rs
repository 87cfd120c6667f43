//! Files of the machine, as the agent reads and writes them for a hook tool.

use std::path::PathBuf;

use juju_sim_machine::Machine;

/// Reaches into the machine of a unit.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) machine: Machine,
    pub(super) agent: PathBuf,
}
