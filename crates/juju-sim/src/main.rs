//! A simulated Juju model that runs real charms, unchanged, in light machines.
//!
//! One program, three roles, chosen by its name and first argument:
//!
//! * the command line ([`cli`]), which feels like `juju`;
//! * the daemon ([`daemon`]) that the command line starts for each model: it holds the model's
//!   state, runs an agent ([`agent`]) per unit, and lives in a realm of namespaces;
//! * inside a machine, every hook tool ([`tool`]) and `juju-exec`.
//!
//! What Juju answers to hook tools is not here but in `juju-sim-model`; machines are
//! `juju-sim-machine`'s. Start reading at `agent/resolver.rs` (what runs next) and `agent/run.rs`
//! (how it runs). The log that a model can be judged by is described in [`log`].

mod agent;
mod charm;
mod cli;
mod clock;
mod daemon;
mod link;
mod log;
mod machines;
mod random;
mod script;
mod show;
mod tool;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let status = juju_sim_machine::multicall(&words).unwrap_or_else(|| own_role(words));
    ExitCode::from(u8::try_from(status & 0xff).unwrap_or(1))
}

fn own_role(words: Vec<OsString>) -> i32 {
    let name = words
        .first()
        .and_then(|program| Path::new(program).file_name());
    let name = name
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if name.starts_with("juju-sim") || name == "juju" {
        cli::main()
    } else {
        tool::main(&name, words.into_iter().skip(1).collect())
    }
}
