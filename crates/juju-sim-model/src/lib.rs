//! The state of a simulated Juju model and the hook tools that read and write it, without IO.
