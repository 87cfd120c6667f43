//! The service manager: process 1 of a machine once its root stands.

use nix::sys::signal::{SigSet, Signal};
use rustix::process::WaitOptions;

/// Why the manager cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Signals are how it learns that a process ended.
    #[error("cannot receive signals")]
    Signals {
        /// What the system said.
        source: nix::Error,
    },
}

pub(crate) struct Manager {
    signals: SigSet,
}

impl Manager {
    pub(crate) fn new() -> Result<Self, ManagerError> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        signals.add(Signal::SIGTERM);
        signals
            .thread_block()
            .map_err(|source| ManagerError::Signals { source })?;
        Ok(Self { signals })
    }

    pub(crate) fn run(self) -> Result<(), ManagerError> {
        loop {
            let signal = self
                .signals
                .wait()
                .map_err(|source| ManagerError::Signals { source })?;
            if signal == Signal::SIGTERM {
                return Ok(());
            }
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        }
    }
}
