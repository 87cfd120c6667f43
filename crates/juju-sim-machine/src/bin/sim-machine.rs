//! A helper binary with nothing but the roles of this crate, for its tests and for trying things out by hand.
//!
//! `sim-machine` is what a machine calls back into (see [`juju_sim_machine::multicall`]). Started without a role
//! it says so and fails.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = juju_sim_machine::multicall(&argv) {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    eprintln!("sim-machine is started by machines; it has no commands of its own");
    ExitCode::from(2)
}
