//! `debug-log`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::world::Shared;
use crate::cli::args::Command;
use crate::link::Client;

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

fn rank(level: &str) -> usize {
    LEVELS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(level))
        .unwrap_or(2)
}

/// Prints records, the date taken off as `juju debug-log` does. Records below INFO are there, but
/// shown only when asked for: a real model would not keep them.
pub(crate) fn debug_log(world: &Shared, client: &mut Client, command: &Command) -> Result<i32> {
    let Command::DebugLog {
        include,
        level,
        lines,
        tail,
        ..
    } = command
    else {
        return Ok(2);
    };
    let least = rank(level.as_deref().unwrap_or("INFO"));
    let wanted: Vec<String> = include
        .iter()
        .map(|name| match name.strip_prefix("unit-") {
            Some(_) => name.clone(),
            None => format!("unit-{}", name.replace('/', "-")),
        })
        .collect();
    let mut reader = BufReader::new(
        File::open(world.directory.join("debug.log")).context("cannot open debug.log")?,
    );
    let mut shown = Vec::new();
    let mut going = true;
    let mut first = true;
    let mut line = String::new();
    loop {
        line.clear();
        if reader
            .read_line(&mut line)
            .context("cannot read debug.log")?
            == 0
        {
            let from = match lines {
                Some(lines) if first => shown.len().saturating_sub(*lines),
                _ => 0,
            };
            let text: String = shown.drain(..).skip(from).collect();
            first = false;
            client
                .stdout
                .write_all(text.as_bytes())
                .context("cannot write")?;
            if !*tail || client.gone_within(Duration::from_millis(200)) {
                return Ok(0);
            }
            continue;
        }
        let mut words = line.splitn(4, ' ');
        let (Some(tag), Some(time), Some(level)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let is_record = LEVELS.contains(&level);
        if is_record {
            let tag = tag.trim_end_matches(':');
            let named = |name: &String| {
                tag == name
                    || tag.strip_prefix(name.as_str()).is_some_and(|rest| {
                        rest.strip_prefix('-')
                            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
                    })
            };
            going = rank(level) >= least && (wanted.is_empty() || wanted.iter().any(named));
        }
        if going {
            let time = time
                .split_once('T')
                .map_or(time, |(_, time)| time)
                .trim_end_matches('Z');
            shown.push(if is_record {
                format!("{tag} {time} {level} {}", words.next().unwrap_or_default())
            } else {
                line.clone()
            });
        }
    }
}
