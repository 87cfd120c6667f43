//! Runs the pipeline in a process of its own and looks at everything it leaves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::{Behaviour, MisbehavingServer};

use crate::corpus::{OUTSIDE, Verdict};
use crate::place::{children, listing};

/// What the issue grants, for the pipeline as a whole.
const PEAK_KIB: u64 = 64 << 10;

/// Serves `behaviour` once, fetches it, checks traces and memory, and tells of another verdict.
#[track_caller]
#[must_use]
pub(crate) fn check(
    server: &MisbehavingServer,
    name: &str,
    behaviour: Behaviour,
    options: &[String],
    verdict: &Verdict,
) -> Option<String> {
    server.on("/plugin", behaviour);
    check_url(&server.url("/plugin"), name, options, verdict)
}

/// Likewise, from a URL that is already served.
#[track_caller]
#[must_use]
pub(crate) fn check_url(
    url: &str,
    name: &str,
    options: &[String],
    verdict: &Verdict,
) -> Option<String> {
    // In memory where there is such a place: what is in the store is synced to disk.
    let memory = Path::new("/dev/shm");
    let top = if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    // Deep, so that what leaves by a few `..` is still seen.
    let home = top.path().join("a/b/c/d/e");
    std::fs::create_dir_all(&home).unwrap();
    let before: BTreeSet<String> = listing(top.path()).into_iter().collect();

    let run = run(&home, options, url);
    let lines: Vec<Value> = run
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: {run}")))
        .collect();
    let [outcome, peak] = &lines[..] else {
        panic!("{name}: {run}")
    };
    let found = seen(outcome);
    if &found != verdict {
        return Some(format!("{name}: {outcome}\n  expected {verdict:?}"));
    }

    assert_eq!(
        children(&home.join("staging")),
        BTreeSet::new(),
        "{name}: left in staging"
    );
    let mut in_store = children(&home.join("plugins"));
    in_store.remove(".references");
    match verdict {
        Verdict::Stored(_) => {
            let digest = outcome["digest"].as_str().unwrap_or_default().to_owned();
            assert_eq!(in_store, [digest].into(), "{name}: in the store");
        }
        Verdict::Empty | Verdict::Refused(_) => {
            assert_eq!(in_store, BTreeSet::new(), "{name}: in the store");
        }
    }
    let store = "a/b/c/d/e/plugins";
    let after = listing(top.path())
        .into_iter()
        .filter(|line| !line.starts_with(store) && !line.starts_with("a/b/c/d/e/staging"));
    assert_eq!(
        after.collect::<BTreeSet<_>>(),
        before,
        "{name}: beside the store"
    );
    assert!(!Path::new(OUTSIDE).exists(), "{name}: got out");

    for process in ["peak-kib", "peak-unpacking-kib"] {
        let peak = peak[process].as_u64().unwrap_or(u64::MAX);
        assert!(peak < PEAK_KIB, "{name}: {process} is {peak}");
    }
    None
}

fn run(home: &Path, options: &[String], url: &str) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_fetch-plugin"));
    let output = Command::new(program)
        .arg(home)
        .args(options)
        .arg(url)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn seen(outcome: &Value) -> Verdict {
    match outcome["verdict"].as_str().unwrap() {
        "stored" => {
            let jars = outcome["contract"]["jars"].as_array().unwrap();
            Verdict::Stored(
                jars.iter()
                    .map(|jar| jar.as_str().unwrap().to_owned())
                    .collect(),
            )
        }
        "empty" => Verdict::Empty,
        _ => Verdict::Refused(outcome["message"].as_str().unwrap().to_owned()),
    }
}
