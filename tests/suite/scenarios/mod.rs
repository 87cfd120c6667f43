//! Whole models with real Kafka and real workers, driven through the simulator's command line:
//! what goes wrong around the charm, what its status says, and how it recovers.

mod model;

mod bad_input;
mod config;
mod jre;
mod kafka;
mod ops;
mod rotation;
