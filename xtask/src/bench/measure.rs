//! Measures one run of a command from beside it. Runs inside a unit's machine, as `xtask measure`.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// How often a running process is looked at. Its last moments may be missed by as much.
const LOOK: Duration = Duration::from_micros(300);

/// What one run took. The numbers are those of the process itself: of the commands it starts, only
/// the waiting for them is in `wall_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From start to exit, in milliseconds.
    pub wall_ms: f64,
    /// Time on a processor, of all threads, in milliseconds; 0 unless it was watched.
    pub cpu_ms: f64,
    /// Most memory at once, in MiB; 0 unless it was watched.
    pub rss_mib: f64,
}

/// Runs `command` and measures it. To be `watched` costs a little time: take wall time from runs
/// that were not.
///
/// # Errors
/// The command cannot be started, or does not exit with 0.
pub fn measure(command: &[String], watched: bool) -> Result<Run> {
    let (program, arguments) = command.split_first().context("no command to measure")?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        // Standard output is for the result.
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut run = Run::default();
    let status = loop {
        if !watched {
            break child.wait().context("cannot wait")?;
        }
        if let Some(status) = child.try_wait().context("cannot wait")? {
            break status;
        }
        // Both only grow, so the last look counts; a process that just ended has neither.
        run.cpu_ms = run.cpu_ms.max(cpu_ms(child.id()).unwrap_or_default());
        run.rss_mib = run.rss_mib.max(rss_mib(child.id()).unwrap_or_default());
        thread::sleep(LOOK);
    };
    run.wall_ms = start.elapsed().as_secs_f64() * 1000.0;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(run)
}

/// Time on a processor of the threads that a process has now.
pub(super) fn cpu_ms(process: u32) -> Option<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))
        .ok()?
        .flatten()
    {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e6)
}

/// The high-water mark of a process's resident memory.
pub(super) fn rss_mib(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::measure;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_run_is_measured_and_a_failure_is_one() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done";
        let run = measure(&words(&["sh", "-c", busy]), true).unwrap();
        assert!(
            run.wall_ms > 1.0 && run.cpu_ms > 1.0 && run.rss_mib > 0.1,
            "{run:?}"
        );
        let waiting = measure(&words(&["sh", "-c", "sleep 0.2; true"]), true).unwrap();
        assert!(
            waiting.wall_ms > 200.0 && waiting.cpu_ms < 100.0,
            "{waiting:?}"
        );
        assert!(measure(&words(&["false"]), false).is_err());
        assert!(measure(&words(&["/no/such/program"]), false).is_err());
    }
}
