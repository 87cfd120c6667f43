//! Whole models with real Kafka and real workers, driven through the simulator's command line:
//! what goes wrong around the charm, what its status says, and how it recovers.

mod log;
mod model;
mod servers;

mod addresses;
mod adopt;
mod bad_input;
mod cluster;
mod gateway_service;
mod group;
mod jre;
mod ops;
mod plugins;
mod rotation;
mod tls;
