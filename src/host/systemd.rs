//! systemd, through `systemctl`. Nothing here waits for a unit to come up.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_core::observation::ServiceFact;

use super::exec::{self, ExecError};

fn systemctl(arguments: &[&str]) -> Result<String, ExecError> {
    exec::run("systemctl", arguments, &[])
}

const PROPERTIES: &str = "Id,LoadState,ActiveState,UnitFileState,MainPID,NRestarts,\
    NeedDaemonReload,InactiveExitTimestampMonotonic";

/// A unit as systemd describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// What it says of the unit. Whether it is outdated is not among it.
    pub fact: ServiceFact,
    /// When the unit last began to start, counted since the machine's start; 0 if never.
    pub began: Duration,
}

/// What systemd knows of units; those it does not know are left out.
///
/// # Errors
///
/// systemd does not answer.
pub fn show(units: &[&str]) -> Result<BTreeMap<String, Unit>, ExecError> {
    let mut arguments = vec!["show", "--property", PROPERTIES, "--"];
    arguments.extend(units);
    Ok(parse(&systemctl(&arguments)?))
}

/// `key=value` lines, a blank line between units.
fn parse(text: &str) -> BTreeMap<String, Unit> {
    text.split("\n\n")
        .filter_map(|block| {
            let values: BTreeMap<&str, &str> = block
                .lines()
                .filter_map(|line| line.split_once('='))
                .collect();
            let text = |key: &str| values.get(key).copied().unwrap_or_default();
            let number = |key: &str| text(key).parse().unwrap_or(0);
            if text("Id").is_empty() || text("LoadState") == "not-found" {
                return None;
            }
            let fact = ServiceFact {
                active: text("ActiveState").to_owned(),
                enabled: text("UnitFileState").to_owned(),
                main_pid: number("MainPID"),
                restarts: number("NRestarts"),
                stale: text("NeedDaemonReload") == "yes",
                outdated: false,
            };
            let began = text("InactiveExitTimestampMonotonic").parse();
            let began = Duration::from_micros(began.unwrap_or(0));
            Some((text("Id").to_owned(), Unit { fact, began }))
        })
        .collect()
}

/// Reads changed unit files.
///
/// # Errors
///
/// systemd does not answer.
pub fn reload() -> Result<(), ExecError> {
    systemctl(&["daemon-reload"]).map(drop)
}

/// Has a unit started at boot; does not start it.
///
/// # Errors
///
/// There is no such unit.
pub fn enable(unit: &str) -> Result<(), ExecError> {
    systemctl(&["enable", unit]).map(drop)
}

/// Has a unit no longer started at boot; does not stop it.
///
/// # Errors
///
/// systemd does not answer.
pub fn disable(unit: &str) -> Result<(), ExecError> {
    systemctl(&["disable", unit]).map(drop)
}

/// Queues a start.
///
/// # Errors
///
/// There is no such unit.
pub fn start(unit: &str) -> Result<(), ExecError> {
    systemctl(&["start", "--no-block", unit]).map(drop)
}

/// Queues a restart.
///
/// # Errors
///
/// There is no such unit.
pub fn restart(unit: &str) -> Result<(), ExecError> {
    systemctl(&["restart", "--no-block", unit]).map(drop)
}

/// Queues a stop.
///
/// # Errors
///
/// systemd does not answer.
pub fn stop(unit: &str) -> Result<(), ExecError> {
    systemctl(&["stop", "--no-block", unit]).map(drop)
}

/// Kills every process of a unit.
///
/// # Errors
///
/// systemd does not answer.
pub fn kill(unit: &str) -> Result<(), ExecError> {
    systemctl(&["kill", "--signal=SIGKILL", unit]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart_and_unknown_ones_left_out() {
        let text = "Id=a.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=12\nNRestarts=3\nNeedDaemonReload=yes\nInactiveExitTimestampMonotonic=2500000\n\nId=b.path\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nNeedDaemonReload=no\n\nId=c.timer\nLoadState=not-found\nActiveState=inactive\n";
        let facts = parse(text);
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["a.service", "b.path"]);
        let (service, path) = (&facts["a.service"].fact, &facts["b.path"].fact);
        assert_eq!((service.main_pid, service.restarts), (12, 3));
        assert!(service.stale && !path.stale);
        assert_eq!(path.active, "inactive");
        let began = |unit: &str| facts[unit].began.as_millis();
        assert_eq!((began("a.service"), began("b.path")), (2500, 0));
    }
}
