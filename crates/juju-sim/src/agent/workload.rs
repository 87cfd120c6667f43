//! The workload statuses that the agent sets by itself.

use juju_sim_model::state::Status;

use super::failure;
use super::resolver::Hook;
use crate::daemon::state::State;
use crate::daemon::status;

const INSTALLING: &str = "installing charm software";

/// Before a hook runs.
pub(super) fn before(state: &mut State, unit: &str, hook: &Hook) {
    let Some(row) = state.model.units.get_mut(unit) else {
        return;
    };
    let waiting = row
        .status
        .as_ref()
        .is_none_or(|row| row.status == Status::Waiting);
    let message = if *hook == Hook::Install && waiting {
        INSTALLING
    } else if *hook == Hook::Stop {
        "stopping charm software"
    } else if *hook == Hook::Remove {
        "cleaning up prior to charm deletion"
    } else {
        return;
    };
    row.status = Some(status(Status::Maintenance, message));
}

/// After a hook is done.
pub(super) fn after(state: &mut State, unit: &str, hook: &Hook, was_failed: bool) {
    if was_failed {
        failure::settled(state, unit);
    }
    let Some(row) = state.model.units.get_mut(unit) else {
        return;
    };
    let untouched = row
        .status
        .as_ref()
        .is_none_or(|row| row.message == INSTALLING);
    if *hook == Hook::Start && untouched {
        row.status = Some(status(Status::Unknown, ""));
    } else if *hook == Hook::Remove {
        row.status = Some(status(Status::Terminated, ""));
    }
}
