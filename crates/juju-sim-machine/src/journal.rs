//! The journal of a machine: what its services printed and its manager noted, as lines of JSON in one file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since 1970.
    pub time_us: u64,
    /// The unit it belongs to, for example `kafka-connect.service`.
    pub unit: String,
    /// `SyslogIdentifier`, or the name of the program; `systemd` for the manager's own lines.
    pub identifier: String,
    /// The process that was started with this output, 1 for the manager.
    pub pid: u32,
    /// The line, without its end; bytes that are not UTF-8 are replaced.
    pub message: String,
}

/// The journal file in a machine's state directory.
pub(crate) fn file(state: &Path) -> PathBuf {
    state.join("journal.jsonl")
}

/// Reads a journal file. Lines that do not parse (a crash cut one short) are skipped; an absent file is empty.
///
/// # Errors
/// When the file exists and cannot be read.
pub fn read(file: &Path) -> std::io::Result<Vec<Entry>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}

/// Appends one entry with one write, so that readers never see half of it for long.
pub(crate) fn append(mut out: impl std::io::Write, entry: &Entry) {
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    let _ = out.write_all(&line);
}
