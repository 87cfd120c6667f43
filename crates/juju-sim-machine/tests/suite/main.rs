//! Machines and their service manager, for real: as root, in namespaces of their own.
//!
//! Every test runs twice: on the host it starts a realm with itself as the program; in there it does its work. When the
//! realm has ended, the host side checks that nothing is left.

mod machines;
mod services;
mod triggers;
mod world;
