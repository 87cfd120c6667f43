//! Chores of this repository that deserve types and tests.
//!
//! * [`pack`] makes the `.charm` files, the same bytes each time.
//! * [`contract`] holds `metadata.yaml` and its siblings to the rules Juju applies at deploy time.
//!
//! Nothing here is shipped, and nothing here knows what the charms do.

pub mod contract;
pub mod pack;
