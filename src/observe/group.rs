//! Who is in the group that options name; asked of Kafka only while no worker of ours may join it.

use connect_core::observation::{GroupFacts, Observation, Reading};
use connect_core::plan::adoption;

use crate::host::kafka;
use crate::report;

/// Asks, if that is to be known.
#[must_use]
pub fn observe(seen: &Observation) -> Reading<GroupFacts> {
    let Some(question) = adoption::question(seen) else {
        return Reading::Absent;
    };
    match kafka::ask(&question) {
        Ok(facts) => Reading::Known(facts),
        Err(error) => Reading::Unreadable(report::chain(&error)),
    }
}
