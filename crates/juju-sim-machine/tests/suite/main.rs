//! Machines and their service manager, for real: as root, in namespaces of their own.
//!
//! Every test runs twice: on the host it starts a realm with itself as the program; in there it does its work. When the
//! realm has ended, the host side checks that nothing is left.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::too_many_lines, reason = "one machine is asked many things")]

mod machines;
mod services;
mod triggers;
mod world;
