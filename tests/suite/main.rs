//! What is shown through the shipped programs: one binary, one module per layer.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of tests cannot do fails the test"
)]

mod scenarios;
mod shell;
