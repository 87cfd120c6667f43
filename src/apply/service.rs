//! Services: stopped for good, and waited for within the limits that the plan sets.

use std::path::Path;
use std::time::{Duration, Instant};

use connect_core::gateway::State;
use connect_core::layout::Layout;

use super::StepError;
use crate::host::{exec, fs, systemd};

/// How often a level that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `reached` says so, or the limit is over.
fn wait(
    wait_s: u64,
    what: &'static str,
    mut reached: impl FnMut() -> Result<bool, StepError>,
) -> Result<(), StepError> {
    let end = Instant::now() + Duration::from_secs(wait_s);
    loop {
        if reached()? {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(StepError::Late { what, wait_s });
        }
        std::thread::sleep(LOOK);
    }
}

/// Takes a unit off the boot and stops it. Not having stopped within the limit is no failure: the
/// planner looks again.
pub(super) fn stop(unit: &str, wait_s: u64) -> Result<(), StepError> {
    let facts = systemd::show(&[unit])?;
    if facts
        .get(unit)
        .is_some_and(|found| found.fact.enabled == "enabled")
    {
        systemd::disable(unit)?;
    }
    systemd::stop(unit)?;
    let stopped = || {
        let facts = systemd::show(&[unit])?;
        Ok(facts
            .get(unit)
            .is_none_or(|found| matches!(found.fact.active.as_str(), "inactive" | "failed")))
    };
    match wait(wait_s, "the unit did not stop", stopped) {
        Err(StepError::Late { .. }) => Ok(()),
        result => result,
    }
}

/// Waits until clients ask the other units; the gateway says when, and whether there are any.
pub(super) fn await_clients(layout: &Layout) -> Result<(), StepError> {
    let arguments = ["leave", "--settings", &layout.gateway_settings()];
    exec::run(&layout.gateway_program(), &arguments, &[])?;
    Ok(())
}

pub(super) fn await_users(generation: &str, wait_s: u64, layout: &Layout) -> Result<(), StepError> {
    let path = layout.gateway_state();
    wait(wait_s, "the gateway did not take the users", || {
        let state: Option<State> =
            fs::read(Path::new(&path))?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(state.is_some_and(|state| state.users_generation == generation))
    })
}
