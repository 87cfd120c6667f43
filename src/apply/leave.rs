//! Leaving a machine: nothing of ours stays.

use std::path::{Path, PathBuf};

use connect_core::layout::{UNITS, USERS};

use super::StepError;
use crate::host::accounts::{self, Accounts};
use crate::host::{fs, systemd};
use crate::world::World;

/// Ends what still runs, then removes units, files and users. Goes on after a failure and reports
/// the first one: what can go goes.
pub(super) fn leave(world: &World) -> Result<(), StepError> {
    let layout = &world.layout;
    let mut first: Result<(), StepError> = Ok(());
    let mut note = |result: Result<(), StepError>| {
        if first.is_ok() {
            first = result;
        }
    };
    note(units(&layout.systemd()));
    for directory in [
        layout.etc(),
        layout.gateway_etc(),
        layout.workloads(),
        layout.jres(),
        above(&layout.gateway_program()),
        layout.lib(),
        layout.log(),
        layout.cache(),
        above(&layout.started()),
        above(&layout.gateway_state()),
        above(&layout.client_memory()),
    ] {
        note(fs::remove_tree(Path::new(&directory)).map_err(StepError::from));
    }
    note(users(&world.root));
    first
}

fn above(path: &str) -> String {
    let path = PathBuf::from(path);
    path.parent()
        .map(|directory| directory.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn units(directory: &str) -> Result<(), StepError> {
    let found = systemd::show(&UNITS)?;
    for (unit, found) in UNITS.iter().filter_map(|unit| found.get_key_value(*unit)) {
        let fact = &found.fact;
        if fact.enabled == "enabled" {
            systemd::disable(unit)?;
        }
        if !matches!(fact.active.as_str(), "inactive" | "failed") {
            // It had its time to stop; a user cannot be deleted while a process of theirs runs.
            if unit.ends_with(".service") {
                systemd::kill(unit)?;
            }
            systemd::stop(unit)?;
        }
    }
    for unit in UNITS {
        fs::remove_file(&Path::new(directory).join(unit))?;
    }
    Ok(systemd::reload()?)
}

fn users(root: &Path) -> Result<(), StepError> {
    for name in USERS {
        if Accounts::read(root)?.user(name).is_some() {
            accounts::delete(name)?;
        }
    }
    Ok(())
}
