//! The planner against a small model of the world.

#![allow(
    clippy::pedantic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "tests read better plain"
)]

mod cases;
mod lives;
mod properties;
mod schemas;
mod statuses;
mod world;
