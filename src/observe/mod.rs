//! What is true: one file per place that is looked at. Nothing here decides anything.

pub mod event;
pub mod group;
pub mod host;
pub mod juju;
pub mod log;
pub mod memory;
pub mod peers;
pub mod resources;
pub mod worker;
