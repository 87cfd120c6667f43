//! Command line entry: `xtask pack [--charm NAME] [--target-dir DIR]`, from the root of the checkout.
//!
//! Exit status: 0 when it is done, 1 when it could not be done, 2 when it was not understood.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::pack::{self, recipes};

const USAGE: &str = "usage: xtask pack [--charm NAME] [--target-dir DIR]";

struct PackArguments {
    charm: Option<String>,
    target: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(parsed) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<PackArguments> {
    let (command, options) = arguments.split_first()?;
    if command != "pack" {
        return None;
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let mut parsed = PackArguments {
        charm: None,
        target,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.as_str() {
            "--charm" => parsed.charm = Some(options.next()?.clone()),
            "--target-dir" => parsed.target = options.next()?.into(),
            _ => return None,
        }
    }
    Some(parsed)
}

fn run(arguments: &PackArguments) -> Result<()> {
    let wanted = |name: &str| arguments.charm.as_deref().is_none_or(|charm| charm == name);
    let recipes: Vec<_> = recipes()
        .into_iter()
        .filter(|recipe| wanted(recipe.name))
        .collect();
    if recipes.is_empty() {
        bail!(
            "cannot pack `{}`: no such charm",
            arguments.charm.as_deref().unwrap_or_default()
        );
    }
    for recipe in recipes {
        let packed = pack::pack(Path::new("."), &arguments.target, &recipe)?;
        println!("{packed}");
    }
    Ok(())
}
