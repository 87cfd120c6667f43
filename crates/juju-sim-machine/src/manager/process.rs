//! Processes of units: who belongs to whom, and signals.
//!
//! There are no cgroups here. A process belongs to an invocation of a unit when it is in a session that was opened for it, has the
//! invocation's id in its initial environment, or descends from such a process.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process.
struct Seen {
    parent: u32,
    session: u32,
    environ: Vec<u8>,
}

fn all() -> BTreeMap<u32, Seen> {
    let mut seen = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let fields = crate::sys::stat_fields(&stat);
        if matches!(fields.first(), Some(&("Z" | "X")) | None) {
            continue;
        }
        let number = |index: usize| {
            fields
                .get(index)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        seen.insert(
            pid,
            Seen {
                parent: number(1),
                session: number(3),
                environ,
            },
        );
    }
    seen
}

/// The living processes of an invocation.
pub(super) fn members(invocation: &str, sessions: &[u32]) -> BTreeSet<u32> {
    if invocation.is_empty() {
        return BTreeSet::new();
    }
    let all = all();
    let mark = format!("INVOCATION_ID={invocation}");
    let marked = |seen: &Seen| {
        seen.environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_bytes())
    };
    let mut members: BTreeSet<u32> = all
        .iter()
        .filter(|(pid, seen)| **pid > 1 && (sessions.contains(&seen.session) || marked(seen)))
        .map(|(pid, _)| *pid)
        .collect();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|(pid, seen)| members.contains(&seen.parent) && !members.contains(*pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return members;
        }
        members.extend(more);
    }
}

/// Sends a signal; a process that is gone already is no matter.
pub(super) fn signal(pid: u32, number: i32) {
    let (Ok(pid), Ok(signal)) = (i32::try_from(pid), Signal::try_from(number)) else {
        return;
    };
    let _ = kill(Pid::from_raw(pid), signal);
    if matches!(signal, Signal::SIGTERM | Signal::SIGHUP | Signal::SIGINT) {
        // A stopped process would not see it.
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
    }
}

/// Signals every process of the machine but this one.
pub(super) fn signal_everyone(signal: Signal) {
    let _ = kill(Pid::from_raw(-1), signal);
}

/// The name of a process, as `/proc` has it.
pub(super) fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|text| text.trim_end().to_owned())
        .unwrap_or_default()
}

/// Nothing but this process is left.
pub(super) fn is_alone() -> bool {
    all().keys().all(|pid| *pid == 1)
}
