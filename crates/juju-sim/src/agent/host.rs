//! Files of the machine, as the agent reads and writes them for a hook tool.

use std::fs;
use std::path::PathBuf;

use juju_sim_machine::Machine;
use juju_sim_model::context::{Files, os_error};

/// Reaches into the machine of a unit.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) machine: Machine,
}

impl Host {
    /// A path of the machine as a path of the realm.
    fn seen(&self, path: &str) -> PathBuf {
        self.machine.root().join(path.trim_start_matches('/'))
    }
}

impl Files for Host {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(self.seen(path)).map_err(|error| os_error(&error))
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
        fs::write(self.seen(path), content).map_err(|error| os_error(&error))
    }
}
