//! Development only: a plugin server that misbehaves as told, archives of every kind, the hostile
//! ones included, and a reader of what workers log.
//!
//! Nothing here knows the crates under test, so a misreading cannot be made twice in the same code.
//! Start with [`MisbehavingServer`] and [`archive::plugin`].

#![expect(
    clippy::missing_panics_doc,
    reason = "for tests: what cannot be built ends the test, and the message says why"
)]

pub mod archive;
pub mod fuzz;
pub mod journal;
pub mod mutate;
mod server;
mod worker;

pub use server::{Behaviour, Body, MisbehavingServer, Request, Script};
pub use worker::StubWorker;
