//! The planner against a small model of the world.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    clippy::assigning_clones,
    clippy::struct_excessive_bools,
    clippy::needless_pass_by_value,
    unreachable_pub,
    reason = "tests may stop at the first surprise, read their cases from files, name one arm, and say one thing after the other"
)]

mod adoption;
mod barrier;
mod bundles;
mod cases;
mod certificates;
mod encryption;
mod farewells;
mod files;
mod gateway;
mod histories;
mod internal;
mod lives;
mod network;
mod operators;
mod pki;
mod properties;
mod rolls;
mod schemas;
mod statuses;
mod trials;
mod warm;
mod world;
