//! Reads the model's own log of finished hooks (`commits.jsonl`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::checks::{Commit, Hook};

/// A line: what the demo needs of it.
#[derive(Deserialize)]
struct Entry {
    start: u64,
    end: u64,
    unit: String,
    name: String,
    exit: i64,
    tool_calls: u64,
    commit: Option<Changes>,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    bags: Vec<Bag>,
}

#[derive(Deserialize)]
struct Bag {
    relation: u32,
    kind: String,
    owner: String,
    changes: BTreeMap<String, Option<String>>,
}

/// The changes of application databags and the hooks so far, in order; none if nothing ran yet.
pub(crate) fn read(path: &Path) -> Result<(Vec<Commit>, Vec<Hook>)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    parse(&text).with_context(|| format!("cannot understand {}", path.display()))
}

fn parse(text: &str) -> Result<(Vec<Commit>, Vec<Hook>)> {
    let (mut commits, mut hooks) = (Vec::new(), Vec::new());
    // The last line may be half written: the model is running.
    for line in text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let entry: Entry = serde_json::from_str(line)?;
        for bag in entry.commit.map(|commit| commit.bags).unwrap_or_default() {
            if bag.kind == "application" {
                commits.push(Commit {
                    at: entry.end,
                    relation: bag.relation,
                    application: bag.owner,
                    changes: bag.changes,
                });
            }
        }
        hooks.push(Hook {
            unit: entry.unit,
            name: entry.name,
            exit: entry.exit,
            tool_calls: entry.tool_calls,
            millis: entry.end.saturating_sub(entry.start),
        });
    }
    Ok((commits, hooks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_hook_and_its_application_databags() {
        let line = r#"{"sequence":1,"start":10,"end":25,"unit":"kc/0","kind":"hook","name":"start","exit":0,"tool_calls":3,
            "commit":{"bags":[{"relation":3,"endpoint":"e","kind":"application","owner":"kc","version":2,"changes":{"a":"1","b":null}},
                              {"relation":3,"endpoint":"e","kind":"unit","owner":"kc/0","version":2,"changes":{"c":"1"}}]}}"#;
        let text = format!("{}\n{{\"half", line.replace('\n', ""));
        let (commits, hooks) = parse(&text).unwrap();
        assert_eq!(commits.len(), 1);
        assert_eq!((commits[0].at, commits[0].relation), (25, 3));
        assert_eq!(commits[0].changes["b"], None);
        assert_eq!((hooks[0].millis, hooks[0].tool_calls), (15, 3));
    }

    #[test]
    fn a_hook_that_committed_nothing_is_still_a_hook() {
        let line =
            r#"{"start":1,"end":2,"unit":"u/0","name":"x","exit":1,"tool_calls":0,"commit":null}"#;
        assert_eq!(parse(&format!("{line}\n")).unwrap().1[0].exit, 1);
    }
}
