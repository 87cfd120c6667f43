//! The demo: a story told through the simulated model, and the checks that judge it.
//!
//! `demo run [--keep]` deploys a real broker, two real workers and two clients with the packed
//! charms, moves records, removes a client, and judges what happened from evidence that did not
//! come from the charm (`checks.rs`). `demo down` ends a model that was kept.
//!
//! Exit status: 0 if every check is green, 1 if one is red, 2 if the story could not be told.

mod checks;
mod keep;
mod log;
mod memory;
mod report;
mod sampler;
mod sim;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use sim::{Parts, Sim};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let sim = Sim {
        program: target.join("tools/juju-sim"),
        directory: target.join("demo/model"),
    };
    let outcome = match arguments[..] {
        ["run"] => run(&sim, &Parts { target }, false),
        ["run", "--keep"] => run(&sim, &Parts { target }, true),
        ["down"] => down(&sim).map(|()| true),
        _ => {
            eprintln!("usage: demo run [--keep] | demo down");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(sim: &Sim, parts: &Parts, keep: bool) -> Result<bool> {
    // A model that was kept, or left by a run that was killed, would be in the way.
    down(sim)?;
    let told = story::tell(sim, parts);
    let outcome = told.and_then(|evidence| {
        let checks = checks::judge(&evidence);
        report::finish(&evidence, &checks, &parts.target.join("demo/report.json"))
    });
    if keep {
        keep::explain(sim)?;
    } else {
        down(sim)?;
    }
    outcome
}

fn down(sim: &Sim) -> Result<()> {
    if sim.directory.exists() {
        sim.run(&["destroy-model"])?;
    }
    Ok(())
}
