//! The simulated model's command line, as far as a benchmark needs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One model; it is destroyed when this is dropped.
#[derive(Debug)]
pub(super) struct Model {
    program: PathBuf,
    directory: PathBuf,
}

impl Model {
    /// An empty model. One that an earlier run left there is destroyed.
    pub(super) fn new(program: PathBuf, directory: PathBuf) -> Result<Self> {
        let model = Self { program, directory };
        if model.directory.exists() {
            model.run(&["destroy-model"])?;
        }
        Ok(model)
    }

    /// The command line with these words, not run yet.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("JUJU_SIM_DIR", &self.directory);
        command
    }

    /// Runs a command and returns what it printed.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!(
                "cannot run `juju-sim {}`: {}",
                arguments.join(" "),
                error.trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until nothing is left to do.
    pub(super) fn settle(&self) -> Result<()> {
        self.run(&["wait-for", "--idle", "--timeout", "120s"])
            .map(drop)
    }

    /// Runs a command with the hook tools at hand in a unit's machine and returns what it printed.
    pub(super) fn exec(&self, unit: &str, command: &str) -> Result<String> {
        self.run(&["exec", "--unit", unit, command])
    }

    /// Puts a program into a unit's machine. The machine sees most of this host's files, but not
    /// those below /tmp.
    pub(super) fn install(&self, unit: &str, program: &Path, to: &str) -> Result<()> {
        let file =
            File::open(program).with_context(|| format!("cannot open {}", program.display()))?;
        let done = self
            .command(&[
                "ssh",
                unit,
                "sh",
                "-c",
                &format!("cat > {to} && chmod 755 {to}"),
            ])
            .stdin(file)
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if !done.success() {
            bail!(
                "cannot put {} into the machine of {unit}",
                program.display()
            );
        }
        Ok(())
    }

    /// The model's own log of what its units ran, in order.
    pub(super) fn log(&self) -> Result<Vec<Value>> {
        let path = self.directory.join("commits.jsonl");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The last line may be half written.
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// How many hook tools the last command of a unit called.
    pub(super) fn calls_of_last(&self, unit: &str) -> Result<f64> {
        let log = self.log()?;
        let mut entries = log.iter().rev();
        let last = entries.find(|entry| entry["unit"] == unit && entry["kind"] == "exec");
        let calls = last.and_then(|entry| entry["tool_calls"].as_f64());
        calls.with_context(|| format!("the model's log has no command of {unit}"))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Err(error) = self.run(&["destroy-model"]) {
            eprintln!(
                "warning: {} is still there: {error:#}",
                self.directory.display()
            );
        }
    }
}
