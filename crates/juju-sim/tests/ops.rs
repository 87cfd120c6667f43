//! A charm on the Python framework `ops` runs unchanged. Needs root, and pip with its index the
//! first time; without them it says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "helpers of a test"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Model, charm};

/// The charm with `ops` beside it, as charmcraft would pack it.
fn packed(into: &Path) -> Result<(), String> {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(charm("ops-sink"))
        .arg(into)
        .status();
    assert!(copied.unwrap().success());
    let python = "/usr/bin/python3";
    let version = Command::new(python)
        .arg("--version")
        .output()
        .map_err(|e| format!("{python}: {e}"))?;
    // Another interpreter's pip serves as well, told which one the charm will use.
    let version = String::from_utf8_lossy(&version.stdout)
        .trim()
        .replace("Python ", "");
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
        ])
        .args(["--python-version", &version, "--target"])
        .arg(into.join("venv"))
        .arg("ops==3.9.0")
        .output()
        .map_err(|error| format!("pip: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn an_ops_charm_gets_what_it_is_given() {
    let place = tempfile::tempdir().unwrap();
    let packed_charm = place.path().join("ops-sink");
    if let Err(reason) = packed(&packed_charm) {
        println!("skipped: cannot install ops: {reason}");
        return;
    }
    let model = Model::new();
    model.run(&["deploy", charm("source").to_str().unwrap()]);
    model.run(&["deploy", packed_charm.to_str().unwrap()]);
    model.run(&["integrate", "ops-sink", "source"]);
    let shown = [
        "wait-for",
        "ops-sink",
        "--status",
        "active",
        "--message",
        "^hello first$",
        "--timeout",
        "60s",
    ];
    model.run(&shown);
    model.run(&["config", "source", "text=changed", "password=second"]);
    model.run(&[
        "wait-for",
        "ops-sink",
        "--message",
        "^changed second$",
        "--timeout",
        "60s",
    ]);
    model.run(&["wait-for", "--idle", "--timeout", "60s"]);
    // What it wrote to its own databag arrived on the other side.
    let unit = model.run(&["show-unit", "source/0", "--format", "json"]);
    assert!(unit.contains(r#""seen":"changed""#), "{unit}");
    model.run(&["remove-relation", "ops-sink", "source"]);
    model.run(&[
        "wait-for",
        "ops-sink",
        "--status",
        "waiting",
        "--timeout",
        "60s",
    ]);
    let failed: Vec<_> = model
        .commits()
        .into_iter()
        .filter(|run| run["outcome"] != "committed")
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(model.directory().join("debug.log").exists());
}
