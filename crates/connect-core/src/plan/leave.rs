//! Leaving a machine: nothing of ours stays.

use super::{Plan, Promise, Step};
use crate::layout::{GATEWAY_SERVICE, Layout, UNITS, WAKE_HOOK, WAKE_SERVICE, WORKER_SERVICE};
use crate::limits;
use crate::observation::{Hook, Observation};
use crate::status::{Finding, Id, choose, notes};

/// Whether this hook comes from a machine that was left meanwhile: a wake-up that had been queued
/// behind `stop` finds the script gone that it was sent by.
pub(super) fn is_over(seen: &Observation, layout: &Layout) -> bool {
    matches!(&seen.hook, Hook::Reconcile { name } if name == WAKE_HOOK)
        && seen.round == 0
        && !seen.host.files.contains_key(&layout.wake_script())
}

/// Nothing is done any more.
pub(super) fn nothing() -> Plan {
    let findings = [Finding::bare(Id::Leaving)];
    Plan {
        minted: Vec::new(),
        steps: Vec::new(),
        promises: Vec::new(),
        status: choose(&findings),
        wake_after_s: None,
        notes: notes(&findings),
    }
}

/// Stops what runs, the wake-ups first, and removes every trace. Databags and secrets are left to
/// Juju and to the units that stay: connectors and users of the application are not ours to end.
pub(super) fn plan(seen: &Observation) -> Plan {
    let mut steps = Vec::new();
    let runs = |unit| {
        let fact = seen.host.services.get(unit);
        fact.is_some_and(|fact| !matches!(fact.active.as_str(), "inactive" | "failed"))
    };
    // The gateway last: while the worker leaves its group it hands requests to the other units. Its
    // sockets just before it: a connection would start it again. Not what wakes us: it may be what
    // runs this hook.
    for unit in UNITS.into_iter().filter(|unit| *unit != WAKE_SERVICE) {
        // Not earlier: what wakes us would only wait behind this hook.
        if unit == WORKER_SERVICE && runs(GATEWAY_SERVICE) {
            steps.push(Step::AwaitClients);
        }
        if runs(unit) {
            steps.push(Step::StopUnit {
                unit: unit.to_owned(),
                wait_s: limits::STOP_WAIT_S,
            });
        }
    }
    let host = &seen.host;
    let traces = !(host.users.is_empty()
        && host.directories.is_empty()
        && host.files.is_empty()
        && host.services.is_empty());
    if traces {
        steps.push(Step::Leave);
    }
    steps.retain(|step| {
        let description = step.describe();
        !seen.done.contains(&description)
            && !seen
                .failures
                .iter()
                .any(|failure| failure.step == description)
    });
    let promises = seen
        .opened_ports
        .iter()
        .filter_map(|text| text.strip_suffix("/tcp")?.parse().ok())
        .map(|port| Promise::ClosePort { port })
        .collect();
    Plan {
        steps,
        promises,
        ..nothing()
    }
}
