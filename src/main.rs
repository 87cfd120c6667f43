//! What `dispatch` executes: one hook or action of one unit.

use std::path::PathBuf;
use std::process::ExitCode;

use hook_tools::{Context, Level, Tools};
use kafka_connect_charm::world::World;
use kafka_connect_charm::{dispatch, report};

/// Names another root than `/`: for tests in a temporary directory. Juju's environment has no such
/// variable.
const ROOT: &str = "KAFKA_CONNECT_CHARM_ROOT";

fn main() -> ExitCode {
    // This program again, for one job: unpacking a plugin without any privilege.
    if let Some(code) = connect_plugins::unpack_if_asked() {
        return code;
    }
    let context = match Context::from_env() {
        Ok(context) => context,
        Err(error) => return fail(&error),
    };
    let root = std::env::var_os(ROOT).map_or_else(|| PathBuf::from("/"), PathBuf::from);
    match dispatch::run(&mut World::new(context, root)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Juju logs standard error as a warning, and a hook command's log may be what is broken.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let text = report::chain(error);
    eprintln!("{text}");
    Tools::new().log(Level::Error, &text);
    ExitCode::FAILURE
}
