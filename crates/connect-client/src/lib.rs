//! The requirer half of the `connect_client` relation, for any Rust charm.
//!
//! A requirer does three things, and this crate has a module for each:
//!
//! * it asks: [`Request`] becomes the keys of the requirer's application databag;
//! * it reads the answer: [`Answer::read`] takes the provider's databag and the content of the
//!   secrets it names, validates both, and says either what is still missing or who may connect
//!   where;
//! * it drives Kafka Connect: [`Api`] registers, lists, pauses, resumes, restarts and unregisters
//!   connectors over the REST API, trying the next endpoint where that is safe.
//!
//! The crate knows neither Juju's hook commands nor any particular charm: databags and secrets
//! come in and go out as maps.
//!
//! **Contract:** `connect_client` v0, `schemas/provider.json` and `schemas/requirer.json`; Kafka
//! Connect's REST API, 3.8 and newer.

mod answer;
mod api;
mod request;

pub use answer::{Access, Answer, AnswerError, Password};
pub use api::{Api, ApiError, NoAnswer, Reply};
pub use request::{Plugin, REQUESTED_SECRETS, Request};

/// Makes ring the process's TLS provider; call it first in `main` (an HTTP client cannot be built
/// without one). Calling it again changes nothing.
pub fn install_tls_provider() {
    // The only error is that a provider is installed already, which is what we want.
    drop(rustls::crypto::ring::default_provider().install_default());
}
