//! Chores of this repository, as a library so that tests can hold them: packing charms
//! ([`pack`]), holding their YAML files to Juju's rules ([`contract`]), and writing the reference
//! pages that come from those files ([`docs`]).
//!
//! Nothing here is shipped, and nothing shipped depends on it.

pub mod contract;
pub mod docs;
pub mod pack;
