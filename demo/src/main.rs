//! The demo.

mod checks;

fn main() {}
