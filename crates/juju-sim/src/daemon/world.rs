//! What the daemon's threads share.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::daemon::state::State;
use crate::log::Logs;
use crate::machines::Machines;

/// The one shared value. Lock order: state only; never hold it while writing to a client or
/// waiting for a process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) logs: Logs,
    pub(crate) machines: Machines,
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) type Shared = Arc<World>;

impl World {
    pub(crate) fn new(directory: PathBuf, logs: Logs, machines: Machines, state: State) -> Self {
        Self {
            directory,
            logs,
            machines,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The state, with the model's clock set. A panic in another thread does not end the model.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.model.now_ms = clock::now();
        state
    }

    /// Says that something may have become due for somebody, and saves.
    pub(crate) fn publish(&self, state: MutexGuard<'_, State>) {
        if let Err(error) = state.save(&self.directory) {
            self.logs.record(
                "controller",
                "ERROR",
                "juju.sim",
                &format!("cannot save the model: {error}"),
            );
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Says so without saving: for what is visible at once in the middle of a hook, whose end saves.
    pub(crate) fn announce(&self, state: MutexGuard<'_, State>) {
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until something changed, or until the time is over.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        let (mut state, _) = self
            .changed
            .wait_timeout(state, limit)
            .unwrap_or_else(PoisonError::into_inner);
        state.model.now_ms = clock::now();
        state
    }

    /// One record of the log.
    pub(crate) fn log(&self, entity: &str, level: &str, logger: &str, text: &str) {
        self.logs.record(entity, level, logger, text);
    }
}
