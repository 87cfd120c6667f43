//! The gateway as its users meet it: real sockets, real files, and a worker that does as it is told.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod access;
mod client_door;
mod closed;
mod fuzz;
mod handover;
mod lifecycle;
mod logins;
mod metrics;
mod patience;
mod peer_door;
mod program;
mod raw;
mod reload;
mod rotation;
mod slow;
mod support;
mod tls;
