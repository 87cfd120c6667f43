//! Juju hook environment and hook commands, typed one to one.
