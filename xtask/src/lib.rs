//! Chores of this repository, as a library so that tests can hold them: packing charms
//! ([`pack`]), holding their YAML files to Juju's rules ([`contract`]), writing the reference pages
//! that come from those files ([`docs`]), and measuring ([`mod@bench`]).
//!
//! Nothing here is shipped, and nothing shipped depends on it.

pub mod bench;
pub mod contract;
pub mod docs;
pub mod pack;
