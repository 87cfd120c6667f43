//! Invariants that every plan obeys: asserted in debug builds and by the tests.

use crate::observation::Observation;
use crate::plan::Plan;

/// What a plan does that it must not; empty for a good plan.
#[must_use]
pub fn violations(seen: &Observation, plan: &Plan) -> Vec<String> {
    let _ = (seen, plan);
    Vec::new()
}
