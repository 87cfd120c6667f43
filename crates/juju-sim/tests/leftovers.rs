//! A destroyed model leaves no process and no file; one that was killed goes on where it was.
//! Needs root.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::{Model, charm};

/// Processes that name the model's directory or were started in its realm.
fn processes(directory: &Path) -> Vec<String> {
    let wanted = directory.to_str().unwrap().as_bytes();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line.windows(wanted.len()).any(|part| part == wanted))
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

fn mounts(directory: &Path) -> usize {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap();
    text.lines()
        .filter(|line| line.contains(directory.to_str().unwrap()))
        .count()
}

#[test]
fn nothing_is_left_of_a_destroyed_model() {
    let model = Model::new();
    model.run(&[
        "deploy",
        charm("sink").to_str().unwrap(),
        "--storage",
        "data=1",
    ]);
    model.run(&["wait-for", "--idle", "--timeout", "60s"]);
    model.run(&["ssh", "sink/0", "sleep 600 >/dev/null 2>&1 &"]);
    assert!(!processes(model.directory()).is_empty());
    model.run(&["destroy-model", "--keep-files"]);
    assert_eq!(processes(model.directory()), Vec::<String>::new());
    assert_eq!(mounts(model.directory()), 0);
    assert!(model.directory().join("commits.jsonl").exists());
}

#[test]
fn a_killed_model_goes_on_where_it_was() {
    let model = Model::new();
    model.run(&["deploy", charm("source").to_str().unwrap()]);
    model.run(&["deploy", charm("sink").to_str().unwrap()]);
    model.run(&["integrate", "sink", "source"]);
    model.run(&["wait-for", "--idle", "--timeout", "60s"]);
    let before = model.commits().len();
    let pid = std::fs::read_to_string(model.directory().join("realm.pid")).unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-9", pid.trim()])
            .status()
            .unwrap()
            .success()
    );
    let limit = Instant::now() + Duration::from_secs(10);
    while !processes(model.directory()).is_empty() {
        assert!(
            Instant::now() < limit,
            "the realm outlives its first process"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    model.run(&["wait-for", "--idle", "--timeout", "60s"]);
    assert_eq!(model.commits().len(), before, "nothing is run again");
    model.run(&["config", "source", "text=later"]);
    model.run(&[
        "wait-for",
        "sink",
        "--message",
        "^later first$",
        "--timeout",
        "60s",
    ]);
}
