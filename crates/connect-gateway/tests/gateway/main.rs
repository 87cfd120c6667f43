//! The gateway as its users meet it: real sockets, real files, and a worker that does as it is told.

mod client_door;
mod patience;
mod peer_door;
mod program;
mod raw;
mod reload;
mod support;
