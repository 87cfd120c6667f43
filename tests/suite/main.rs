//! What is shown through the shipped programs: one binary, one module per layer.

mod shell;
