//! Every decision of the Kafka Connect charm, without any IO.
//!
//! The charm observes the world into an [`observation::Observation`], asks [`plan()`] what
//! should change, and applies the steps it gets back. This crate knows neither Juju's hook
//! commands nor the file system, the clock, randomness or the network; its `clippy.toml` keeps it
//! so. Start reading at [`mod@plan`], then [`observation`].

pub mod check;
pub mod fingerprint;
pub mod gateway;
pub mod layout;
pub mod limits;
pub mod model;
pub mod observation;
pub mod plan;
pub mod render;
pub mod secret;
pub mod status;
pub mod wire;

pub use plan::plan;
