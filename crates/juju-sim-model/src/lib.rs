//! The state of a simulated Juju model and the hook tools that read and write it, without IO.
//!
//! * [`state`]: what a controller and a unit agent remember, serialisable as JSON.
//! * [`context`]: one hook of one unit: its environment, its tool calls, its commit.
//! * [`tools`]: every hook tool, parsed and formatted as Juju's own.
//! * [`conformance`]: answers recorded cases, so that the model can be held to real tools.
//!
//! Nothing here starts a process, opens a socket or a file, reads a clock or draws randomness:
//! files go through [`context::Files`], the time is [`state::Model::now_ms`], and secret ids come
//! from a counter in the model.

pub mod conformance;
pub mod context;
mod go;
pub mod state;
mod time;
pub mod tools;
