//! The time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Seconds since the Unix epoch; 0 on a machine whose clock is before it.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Time since this machine started, as systemd counts it (`CLOCK_MONOTONIC`).
#[must_use]
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// When something happened that a file's time tells, counted as [`since_boot`] does: the beginning
/// of that count for what is older, nothing for what is yet to come, as after the clock was set back.
#[must_use]
pub fn counted(time: SystemTime) -> Option<Duration> {
    let age = SystemTime::now().duration_since(time).ok()?;
    Some(since_boot().saturating_sub(age))
}
