//! Every script in `tests/scripts` against its golden transcript beside it. Needs root.
//!
//! `UPDATE=1` rewrites the transcripts: read the difference as prose before you commit it.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn play(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let file = |ending: &str| -> PathBuf { directory.join(format!("{name}.{ending}")) };
    let mut command = Command::new(env!("CARGO_BIN_EXE_juju-sim"));
    command
        .arg("script")
        .arg(file("txt"))
        .arg("--golden")
        .arg(file("golden"));
    if std::env::var_os("UPDATE").is_some() {
        command.arg("--update");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
}

#[test]
fn first_deployment() {
    play("first-deployment");
}

#[test]
fn relate_and_remove() {
    play("relate-and-remove");
}

#[test]
fn failing_hook() {
    play("failing-hook");
}

#[test]
fn secrets() {
    play("secrets");
}

#[test]
fn scale() {
    play("scale");
}
