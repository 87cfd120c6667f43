//! The simulated model's command line, as a library of the few calls the demo makes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// One model and the program that drives it.
#[derive(Clone, Debug)]
pub(crate) struct Sim {
    pub(crate) program: PathBuf,
    pub(crate) directory: PathBuf,
}

/// Now, in milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

impl Sim {
    /// A command of the simulated model, ready to get its arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("JUJU_SIM_DIR", &self.directory);
        command
    }

    /// Runs a command and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_run(arguments, "")?;
        if !output.status.success() {
            bail!(
                "cannot run `juju-sim {}`: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command with something on its standard input, whatever its exit status.
    pub(crate) fn try_run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input is not wrong.
            drop(stdin.write_all(input.as_bytes()));
        }
        child.wait_with_output().context("cannot wait for juju-sim")
    }

    /// Runs a shell command in a unit's machine and returns what it printed.
    pub(crate) fn shell(&self, unit: &str, script: &str) -> Result<String> {
        self.run(&["ssh", unit, "sh", "-c", script])
    }

    /// The HTTP status of a GET from inside the model's network; 0 if nobody answered. The
    /// credential goes in by standard input.
    pub(crate) fn http_status(&self, url: &str, user: &str, password: &str) -> Result<u16> {
        let config = format!("user = \"{user}:{password}\"\n");
        let arguments = [
            "network",
            "--",
            "curl",
            "-s",
            "-m",
            "40",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-K",
            "-",
            url,
        ];
        let output = self.try_run(&arguments, &config)?;
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap_or(0))
    }

    /// The file of the model in which every finished hook is logged.
    pub(crate) fn commit_log(&self) -> PathBuf {
        self.directory.join("commits.jsonl")
    }

    /// Waits until `condition` gives a value, asking again every quarter of a second.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(value) = condition()? {
                return Ok(value);
            }
            if start.elapsed() > limit {
                let status = self.run(&["status"]).unwrap_or_default();
                bail!("waited {} s for {what}, in vain\n{status}", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

/// Where the build and the set-up put what the demo needs.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) target: PathBuf,
}

impl Parts {
    pub(crate) fn path(&self, relative: &str) -> Result<String> {
        let path = self.target.join(relative);
        if !path.exists() {
            bail!(
                "`{}` is missing: run `make demo`, which makes it",
                path.display()
            );
        }
        Ok(absolute(&path))
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
