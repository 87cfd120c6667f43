//! `journalctl`: prints the machine's journal.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::journal::{self, Entry};

#[derive(Default)]
struct Options {
    units: Vec<String>,
    identifiers: Vec<String>,
    lines: Option<usize>,
    follow: bool,
    reverse: bool,
    quiet: bool,
    format: String,
}

pub(crate) fn main(arguments: &[OsString]) -> i32 {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let options = match parse(&arguments) {
        Ok(Some(options)) => options,
        // Rotating, syncing and the like: there is nothing to do.
        Ok(None) => return 0,
        Err(problem) => {
            eprintln!("journalctl: {problem}");
            return 1;
        }
    };
    let file = journal::file(Path::new(crate::root::STATE));
    let mut printed = 0;
    loop {
        let entries = match journal::read(&file) {
            Ok(entries) => entries,
            Err(error) => {
                eprintln!("journalctl: cannot read the journal: {error}");
                return 1;
            }
        };
        let mut wanted: Vec<&Entry> = entries
            .iter()
            .skip(printed)
            .filter(|entry| options.wants(entry))
            .collect();
        if let Some(count) = options.lines.filter(|_| printed == 0) {
            wanted.drain(..wanted.len().saturating_sub(count));
        }
        if options.reverse {
            wanted.reverse();
        }
        if wanted.is_empty() && printed == 0 && !options.follow && !options.quiet {
            println!("-- No entries --");
        }
        let mut out = std::io::stdout().lock();
        for entry in wanted {
            if writeln!(out, "{}", options.show(entry)).is_err() {
                return 0;
            }
        }
        if out.flush().is_err() || !options.follow {
            return 0;
        }
        printed = entries.len();
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Options {
    fn wants(&self, entry: &Entry) -> bool {
        let by_unit = self.units.is_empty() || self.units.contains(&entry.unit);
        let by_identifier =
            self.identifiers.is_empty() || self.identifiers.contains(&entry.identifier);
        by_unit && by_identifier
    }

    fn show(&self, entry: &Entry) -> String {
        match self.format.as_str() {
            "cat" => entry.message.clone(),
            "json" => serde_json::json!({
                "__REALTIME_TIMESTAMP": entry.time_us.to_string(),
                "_SYSTEMD_UNIT": entry.unit,
                "SYSLOG_IDENTIFIER": entry.identifier,
                "_PID": entry.pid.to_string(),
                "MESSAGE": entry.message,
            })
            .to_string(),
            _ => journal::short(entry),
        }
    }
}

fn parse(arguments: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options {
        format: "short".to_owned(),
        ..Options::default()
    };
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let (name, mut attached) = match argument.split_once('=') {
            Some((name, value)) if argument.starts_with("--") => (name, Some(value.to_owned())),
            Some(_) | None => (argument.as_str(), None),
        };
        let mut names = vec![name.to_owned()];
        if !name.starts_with("--") && name.len() > 2 && name.starts_with('-') {
            // Short options come together (`-xeu unit`, `-n20`).
            let letters: Vec<char> = name.chars().skip(1).collect();
            let end = letters
                .iter()
                .position(|c| "unot".contains(*c))
                .map_or(letters.len(), |at| at + 1);
            names = letters.iter().take(end).map(|c| format!("-{c}")).collect();
            let tail: String = letters.iter().skip(end).collect();
            if !tail.is_empty() {
                attached = Some(tail);
            }
        }
        for name in names {
            let mut value = || {
                attached
                    .clone()
                    .or_else(|| rest.next().cloned())
                    .ok_or_else(|| format!("option '{name}' requires an argument"))
            };
            match name.as_str() {
                "-u" | "--unit" => {
                    let unit = value()?;
                    let typed = unit.contains('.');
                    options.units.push(if typed {
                        unit
                    } else {
                        format!("{unit}.service")
                    });
                }
                "-t" | "--identifier" => options.identifiers.push(value()?),
                "-n" | "--lines" => {
                    let number = attached.clone().or_else(|| {
                        rest.next_if(|next| *next == "all" || next.parse::<usize>().is_ok())
                            .cloned()
                    });
                    options.lines =
                        match number.as_deref() {
                            Some("all") => None,
                            Some(number) => Some(number.parse().map_err(|_| {
                                format!("cannot read '{number}' as a number of lines")
                            })?),
                            None => Some(10),
                        };
                }
                "-o" | "--output" => {
                    let format = value()?;
                    match format.as_str() {
                        "short" | "short-iso" | "short-precise" | "cat" | "json" => {
                            options.format = format;
                        }
                        other => {
                            return Err(format!("the stand-in does not know the output '{other}'"));
                        }
                    }
                }
                "-f" | "--follow" => options.follow = true,
                "-r" | "--reverse" => options.reverse = true,
                "-q" | "--quiet" => options.quiet = true,
                "-e" | "--pager-end" => options.lines = options.lines.or(Some(1000)),
                "--no-pager" | "-x" | "--catalog" | "-a" | "--all" | "-l" | "--full" | "-b"
                | "--boot" | "--no-hostname" | "--no-tail" | "--system" => {}
                "--flush" | "--sync" | "--rotate" | "--vacuum-size" | "--vacuum-time"
                | "--vacuum-files" => {
                    return Ok(None);
                }
                _ => return Err(format!("the stand-in does not know '{name}'")),
            }
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn short_options_come_together() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let options = parse(&words("-xeu foo -n 5 -o cat --no-pager"))
            .unwrap()
            .unwrap();
        assert_eq!(options.units, ["foo.service"]);
        assert_eq!(options.lines, Some(5));
        assert_eq!(options.format, "cat");
        assert_eq!(
            parse(&words("-n20 --unit=a.socket"))
                .unwrap()
                .unwrap()
                .lines,
            Some(20)
        );
        assert!(parse(&words("--since yesterday")).is_err());
    }
}
