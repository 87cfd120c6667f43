//! The charm's own binary on a machine in a temporary directory, with scripts for Juju's hook
//! commands and for the programs of the host. Needs root, for the owners of files.

mod machine;

mod actions;
mod hooks;
mod leaving;
mod steps;
