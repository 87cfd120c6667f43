//! A model in a temporary directory, destroyed at the end whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One model.
pub(crate) struct Model {
    directory: tempfile::TempDir,
}

impl Model {
    /// An empty one; its daemon starts with the first command.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A command, whatever its status.
    pub(crate) fn try_run(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_juju-sim"))
            .args(words)
            .env("JUJU_SIM_DIR", self.directory.path())
            .output()
            .unwrap()
    }

    /// A command that must succeed; what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "juju-sim {words:?}: {text}{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        text
    }

    /// The finished runs.
    pub(crate) fn commits(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.directory.path().join("commits.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The model's directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("debug.log")).unwrap_or_default()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let output = self.try_run(&["destroy-model"]);
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// A fixture charm.
pub(crate) fn charm(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/charms")
        .join(name)
}
