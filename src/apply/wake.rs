//! The timer that brings a hook although no event may come.

use std::path::Path;

use connect_core::layout::{WAKE_SERVICE, WAKE_TIMER};

use super::StepError;
use crate::host::fs::{self, Access};
use crate::host::systemd;
use crate::world::World;

/// Has the wake-up service started in `after_s` seconds, counted from now; one timer, so that
/// however often it is armed it brings one hook.
///
/// # Errors
///
/// The timer's file cannot be written, or systemd does not take it.
pub fn arm(after_s: u64, world: &World) -> Result<(), StepError> {
    let path = format!("{}/{WAKE_TIMER}", world.layout.systemd());
    let path = Path::new(&path);
    let text = timer(after_s);
    if fs::read(path)?.as_deref() != Some(text.as_bytes()) {
        let access = Access {
            mode: 0o644,
            user: 0,
            group: 0,
        };
        fs::write(path, text.as_bytes(), access)?;
        systemd::reload()?;
    }
    Ok(systemd::restart(WAKE_TIMER)?)
}

fn timer(after_s: u64) -> String {
    format!(
        "[Unit]
Description=Wake the Kafka Connect charm to look again
# Every hook may set it anew: a burst of hooks must not use up systemd's budget of starts.
StartLimitIntervalSec=0

[Timer]
OnActiveSec={after_s}s
AccuracySec=1s
Unit={WAKE_SERVICE}
"
    )
}
