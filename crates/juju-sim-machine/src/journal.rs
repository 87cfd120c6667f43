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

/// A line as `journalctl` shows it: time (UTC), host, identifier, process, message.
pub(crate) fn short(entry: &Entry) -> String {
    let moment = UNIX_EPOCH + std::time::Duration::from_micros(entry.time_us);
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!(
        "{} {host} {}[{}]: {}",
        month_day(moment),
        entry.identifier,
        entry.pid,
        entry.message
    )
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

struct Date {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    clock: String,
}

/// The civil date of a moment in UTC, by the usual arithmetic over eras of 400 years that start in March.
fn date(moment: SystemTime) -> Date {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date {
        year,
        month: usize::try_from(month - 1).unwrap_or(0),
        day,
        weekday: usize::try_from(days % 7).unwrap_or(0),
        clock: format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60),
    }
}

fn month_day(moment: SystemTime) -> String {
    let date = date(moment);
    format!(
        "{} {:02} {}",
        MONTHS.get(date.month).unwrap_or(&""),
        date.day,
        date.clock
    )
}

/// As `systemctl` shows a moment: `Thu 1970-01-01 00:00:00 UTC`.
pub(crate) fn calendar(moment: SystemTime) -> String {
    let date = date(moment);
    format!(
        "{} {:04}-{:02}-{:02} {} UTC",
        DAYS.get(date.weekday).unwrap_or(&""),
        date.year,
        date.month + 1,
        date.day,
        date.clock
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::calendar;

    #[test]
    fn moments_are_shown_in_utc() {
        for (seconds, text) in [
            (0, "Thu 1970-01-01 00:00:00 UTC"),
            (951_782_400, "Tue 2000-02-29 00:00:00 UTC"),
            (1_795_545_804, "Tue 2026-11-24 18:43:24 UTC"),
        ] {
            assert_eq!(calendar(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
