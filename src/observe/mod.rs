//! What is true: one file per place that is looked at. Nothing here decides anything.

pub mod host;
pub mod juju;
pub mod log;
pub mod worker;
