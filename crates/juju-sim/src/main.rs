//! Command line entry.

mod charm;

fn main() {}
