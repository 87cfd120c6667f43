//! What the daemon's threads share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::daemon::state::State;
use crate::log::Logs;
use crate::machines::Machines;

/// How often the state is saved.
pub(crate) const SAVE_EVERY: Duration = Duration::from_millis(250);

/// The one shared value. Lock order: `saving`, then the state; never hold the state while writing to
/// a client or waiting for a process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) logs: Logs,
    pub(crate) machines: Machines,
    state: Mutex<State>,
    changed: Condvar,
    unsaved: AtomicBool,
    /// Held by whoever writes the file.
    saving: Mutex<()>,
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
            unsaved: AtomicBool::new(false),
            saving: Mutex::default(),
        }
    }

    /// The state, with the model's clock set. A panic in another thread does not end the model.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.model.now_ms = clock::now();
        state
    }

    /// Says that something may have become due for somebody, and that there is something to save.
    pub(crate) fn publish(&self, state: MutexGuard<'_, State>) {
        self.unsaved.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    /// Saves what is not saved yet. The whole state is written, so this costs more the larger the
    /// model is: it is done every [`SAVE_EVERY`] and before a command ends, not for each change. So a
    /// daemon that is killed forgets nothing that somebody was told of.
    pub(crate) fn save(&self) {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.unsaved.swap(false, Ordering::AcqRel) {
            return;
        }
        let bytes = self.state().to_bytes();
        let saved = bytes.and_then(|bytes| State::write(&bytes, &self.directory));
        if let Err(error) = saved {
            self.logs.record(
                "controller",
                "ERROR",
                "juju.sim",
                &format!("cannot save the model: {error}"),
            );
        }
    }

    /// Says so without saving: for what is visible at once in the middle of a hook.
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
