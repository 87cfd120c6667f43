//! The daemon that owns Kafka Connect's REST port.
//!
//! The stock worker reads its users once per process and has no notion of who owns a connector.
//! The gateway stands in front of it, so that users change while connectors run: it authenticates
//! clients, tags what they create, forwards to the worker on loopback, and waits for a worker that
//! is restarting instead of passing its half-truths on.
//!
//! It decides nothing about the deployment: [`connect_core::gateway`] is the whole contract with
//! the charm, two files in and one file out. Start reading at [`service`], then [`access`].

pub mod access;
pub mod backoff;
pub mod body;
pub mod certificates;
pub mod client;
pub mod connection;
pub mod core;
pub mod delivery;
pub mod door;
pub mod exchange;
pub mod files;
pub mod holds;
pub mod internal;
pub mod lanes;
pub mod leaving;
pub mod limits;
pub mod log;
pub mod login;
pub mod metrics;
pub mod own;
pub mod peer;
pub mod places;
pub mod quiet;
pub mod readback;
pub mod readiness;
pub mod reply;
pub mod rules;
pub mod service;
pub mod slow;
pub mod stall;
pub mod tag;
pub mod target;
pub mod tls;
pub mod upstream;
pub mod users;
pub mod verdict;

/// Makes ring the process's TLS provider; calling it again changes nothing.
pub fn install_tls_provider() {
    // The only error is that a provider is installed already, which is what we want.
    drop(rustls::crypto::ring::default_provider().install_default());
}
