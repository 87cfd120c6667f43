//! The unit agent: decides what to run, runs it, and takes the result over into the model.

pub(crate) mod resolver;
