//! Command line entry, from the root of the checkout:
//!
//! * `xtask pack [--charm NAME] [--target-dir DIR]` packs what is built in `DIR`/release;
//! * `xtask bench [--only GROUP,…] [--target-dir DIR]` measures, with what is built in `DIR`;
//! * `xtask measure --time|--watch COMMAND...` is what it runs in a unit's machine;
//! * `xtask docs` writes the reference pages that come from YAML files.
//!
//! Exit status: 0 when it is done, 1 when it could not be done or a goal was missed, 2 when it was not understood.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xtask::bench;
use xtask::contract::{self, Files};
use xtask::docs;
use xtask::pack::{self, recipes};

const USAGE: &str = "usage: xtask pack [--charm NAME] [--target-dir DIR] | xtask bench [--only GROUP,…] [--target-dir DIR] \
                     | xtask measure --time|--watch COMMAND... | xtask docs";

/// Largest packed charm in bytes: every refresh sends it to every unit.
const CHARM_LIMIT: u64 = 10 * 1024 * 1024;

enum Chore {
    Pack {
        charm: Option<String>,
        target: PathBuf,
    },
    Bench {
        only: Option<String>,
        target: PathBuf,
    },
    Measure {
        command: Vec<String>,
        watched: bool,
    },
    Docs,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match parse(&arguments) {
        Some(Chore::Pack { charm, target }) => pack_charms(charm.as_deref(), &target),
        Some(Chore::Bench { only, target }) => measure_all(only.as_deref(), &target),
        Some(Chore::Measure { command, watched }) => measure_one(&command, watched),
        Some(Chore::Docs) => write_docs(),
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<Chore> {
    let (command, options) = arguments.split_first()?;
    match (command.as_str(), options) {
        ("docs", []) => return Some(Chore::Docs),
        ("measure", [how, command @ ..]) if matches!(how.as_str(), "--time" | "--watch") => {
            return Some(Chore::Measure {
                command: command.to_vec(),
                watched: how == "--watch",
            });
        }
        ("pack" | "bench", _) => {}
        _ => return None,
    }
    let (mut charm, mut only) = (None, None);
    let mut target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.as_str() {
            "--charm" if command == "pack" => charm = Some(options.next()?.clone()),
            "--only" if command == "bench" => only = Some(options.next()?.clone()),
            "--target-dir" => target = options.next()?.into(),
            _ => return None,
        }
    }
    Some(if command == "pack" {
        Chore::Pack { charm, target }
    } else {
        Chore::Bench { only, target }
    })
}

fn measure_all(only: Option<&str>, target: &Path) -> Result<()> {
    if !bench::bench(only, target)? {
        bail!("a goal was missed");
    }
    Ok(())
}

fn measure_one(command: &[String], watched: bool) -> Result<()> {
    let run = bench::measure(command, watched)?;
    println!(
        "{}",
        serde_json::to_string(&run).context("cannot write the result")?
    );
    Ok(())
}

fn pack_charms(charm: Option<&str>, target: &Path) -> Result<()> {
    let mut recipes = recipes();
    recipes.retain(|recipe| charm.is_none_or(|charm| charm == recipe.name));
    if recipes.is_empty() {
        bail!("cannot pack `{}`: no such charm", charm.unwrap_or_default());
    }
    for recipe in recipes {
        // What Juju or its linters would refuse is not packed in the first place.
        let faults = contract::check(&Files::read(Path::new(recipe.source))?, recipe.programs);
        if !faults.is_empty() {
            let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            bail!(
                "cannot pack {}, Juju would refuse it:{}",
                recipe.name,
                lines.concat()
            );
        }
        let packed = pack::pack(Path::new("."), target, &recipe)?;
        println!("{packed}");
        if packed.bytes > CHARM_LIMIT {
            bail!(
                "{} is too large: at most {} MiB",
                packed.path.display(),
                CHARM_LIMIT >> 20
            );
        }
    }
    Ok(())
}

fn write_docs() -> Result<()> {
    for page in docs::pages(Path::new("."))? {
        fs::write(page.path, page.text).with_context(|| format!("cannot write {}", page.path))?;
        println!("wrote {}", page.path);
    }
    Ok(())
}
