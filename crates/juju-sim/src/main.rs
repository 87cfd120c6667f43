//! Command line entry.

mod agent;
mod charm;
mod cli;
mod link;
mod script;

fn main() {}
