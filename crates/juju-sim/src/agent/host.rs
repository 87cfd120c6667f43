//! stub
use juju_sim_machine::Machine;
#[derive(Debug)]
pub(super) struct Host { pub(super) machine: Machine }
