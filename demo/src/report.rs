//! What the demo prints and writes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::checks::{Check, Evidence};

/// Prints the verdict and writes `report.json`; true if every check is green.
pub(crate) fn finish(evidence: &Evidence, checks: &[Check], path: &Path) -> Result<bool> {
    let pass = !checks.is_empty() && checks.iter().all(|check| check.ok);
    println!("\nChecks");
    for check in checks {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        println!("  {mark} {:52} {}", check.name, check.detail);
    }
    let timings: BTreeMap<&str, f64> = evidence
        .spans
        .iter()
        .map(|(name, (from, to))| (name.as_str(), seconds(to.saturating_sub(*from))))
        .collect();
    println!("\nTimings");
    for (name, took) in &timings {
        println!("  {name:28} {took:6.1} s");
    }
    let report = json!({
        "verdict": if pass { "pass" } else { "fail" },
        "checks": checks,
        "timings_s": timings,
        "hooks": hooks(evidence),
        "worker_starts": starts(evidence),
    });
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    std::fs::write(path, format!("{report:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nreport: {}", path.display());
    println!("verdict: {}", if pass { "PASS" } else { "FAIL" });
    Ok(pass)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of one demo are far below 2^52"
)]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Hooks, hook-tool calls and the mean duration, per unit.
fn hooks(evidence: &Evidence) -> BTreeMap<&str, serde_json::Value> {
    let mut units: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for hook in &evidence.hooks {
        let unit = units.entry(&hook.unit).or_default();
        unit.0 += 1;
        unit.1 += hook.tool_calls;
        unit.2 += hook.millis;
    }
    let row = |(hooks, calls, millis): (u64, u64, u64)| json!({"hooks": hooks, "hook_tool_calls": calls, "mean_ms": millis / hooks.max(1)});
    units
        .into_iter()
        .map(|(unit, numbers)| (unit, row(numbers)))
        .collect()
}

/// How often each unit's worker started.
fn starts(evidence: &Evidence) -> BTreeMap<&str, usize> {
    let mut units: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
    for sample in &evidence.samples {
        if let Some(process) = &sample.process {
            units.entry(&sample.unit).or_default().insert(process);
        }
    }
    units
        .into_iter()
        .map(|(unit, processes)| (unit, processes.len()))
        .collect()
}
