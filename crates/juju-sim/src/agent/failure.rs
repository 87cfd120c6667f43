//! What becomes of a unit when a hook fails, and when it is over.

use juju_sim_model::state::Status;
use serde_json::json;

use super::resolver::Hook;
use crate::clock::Millis;
use crate::daemon::state::State;
use crate::daemon::status;

/// The first retry comes after this long, each next one after twice as long.
const FIRST_RETRY_MS: Millis = 5_000;
const LAST_RETRY_MS: Millis = 300_000;

/// Puts the unit into error; the same hook is to be run again.
pub(super) fn failed(state: &mut State, unit: &str, hook: &Hook, now: Millis) {
    let retries = state
        .model
        .config
        .get("automatically-retry-hooks")
        .is_none_or(|value| value != "false");
    if let Some(extra) = state.units.get_mut(unit) {
        extra.memory.failed = Some(hook.clone());
        let pause = FIRST_RETRY_MS
            .saturating_mul(1 << extra.failures.min(16))
            .min(LAST_RETRY_MS);
        extra.failures += 1;
        extra.retry_at = retries.then_some(now + pause);
        extra.last_hook = now;
    }
    let name = hook.name();
    let mut row = status(Status::Error, &format!("hook failed: \"{name}\""));
    row.data.insert("hook".into(), json!(name));
    match hook {
        Hook::Relation(hook) => {
            row.data.insert("relation-id".into(), json!(hook.relation));
            if let Some(remote) = &hook.remote_unit {
                row.data.insert("remote-unit".into(), json!(remote));
            }
        }
        Hook::Secret { id, .. } => {
            row.data
                .insert("secret-uri".into(), json!(format!("secret:{id}")));
        }
        Hook::Install
        | Hook::LeaderElected
        | Hook::ConfigChanged
        | Hook::Start
        | Hook::UpgradeCharm
        | Hook::UpdateStatus
        | Hook::Stop
        | Hook::Remove
        | Hook::Storage { .. } => {}
    }
    if let Some(unit) = state.model.units.get_mut(unit) {
        unit.agent_status = row;
    }
}

/// The unit leaves its error state.
pub(crate) fn settled(state: &mut State, unit: &str) {
    if let Some(unit) = state.model.units.get_mut(unit) {
        unit.agent_status = status(Status::Idle, "");
    }
}
