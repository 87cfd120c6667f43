//! `make bench`: figures of ours beside those of a named alternative, measured side by side in one
//! run.
//!
//! A hook with nothing to do is measured in a model with two clients, beside the same hook of a
//! small charm on the Python framework `ops` that reads the same relations: in turns, so that
//! whatever else the machine does meets both. Time spent in hook tools is taken off: it is the same
//! for each call, whoever calls, and is another in a real model.

mod client;
mod gaps;
mod gateway;
mod measure;
mod model;
mod parts;
mod plugins;
mod report;
mod server;
mod soak;
mod stage;
mod start;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub use measure::{Run, measure};
pub use report::{Row, table};

use model::Model;
use parts::Parts;

/// Rounds of one run of each; the median counts.
const ROUNDS: usize = 21;
/// Hook tools that both charms call, for the time of one call.
const TOOLS: &str =
    "is-leader; config-get --format=json; relation-ids workers; network-get workers";
/// How often they are called for it.
const TOOL_ROUNDS: usize = 10;
/// Charm code per hook beyond the hook tools, in milliseconds.
const WALL_GOAL_MS: f64 = 20.0;
/// Memory of the charm's process in a hook, in MiB.
const RSS_GOAL_MIB: f64 = 16.0;

/// Measures one group of figures with the parts in a folder.
type Group = fn(&Path) -> Result<Vec<Row>>;
/// The groups, in the order in which they run.
const GROUPS: [(&str, Group); 7] = [
    ("hook", hook_noop),
    ("client", client::lives),
    ("plugins", plugins::pipelines),
    ("gaps", gaps::gaps),
    ("soak", soak::growth),
    ("gateway", gateway::proxies),
    ("start", start::starts),
];

/// Runs the benchmark with the parts below `target`, prints the table and writes
/// `target/bench/report.json`. Of `only` some groups, separated by commas, the table is printed and
/// nothing written. True if every goal is met.
///
/// # Errors
/// A part is missing, or a model does not come to rest.
pub fn bench(only: Option<&str>, target: &Path) -> Result<bool> {
    let names = GROUPS.map(|(name, _)| name);
    let asked: Option<Vec<&str>> = only.map(|only| only.split(',').collect());
    let unknown = asked.iter().flatten().find(|name| !names.contains(name));
    if let Some(unknown) = unknown {
        bail!(
            "there is no group `{unknown}`; there are {}",
            names.join(", ")
        );
    }
    let chosen = |name: &str| asked.as_ref().is_none_or(|asked| asked.contains(&name));
    let mut rows = Vec::new();
    for (name, group) in GROUPS {
        if chosen(name) {
            rows.extend(group(target)?);
        }
    }
    println!("\n{}", table(&rows));
    if only.is_none() {
        write(&rows, &target.join("bench/report.json"))?;
    }
    Ok(rows.iter().all(|row| row.ok))
}

fn write(rows: &[Row], path: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(rows).context("cannot write the report as JSON")?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

/// The charms of the comparison: an application of each, with the same two clients.
const OURS: &str = "kafka-connect";
const OTHER: &str = "ops-noop";
/// Where this program is in their machines.
const XTASK: &str = "/run/xtask";

fn hook_noop(target: &Path) -> Result<Vec<Row>> {
    println!("A model with a real broker, {OURS} and {OTHER}, and two clients for each.");
    let model = deploy(target)?;
    println!(
        "Every client of {OURS} has its user. Measuring {ROUNDS} update-status hooks of each."
    );
    let (mut ours, mut other) = (Figures::default(), Figures::default());
    // The first of each warms caches and is not counted.
    for round in 0..=ROUNDS {
        for (application, figures) in [(OURS, &mut ours), (OTHER, &mut other)] {
            let one = hook(&model, &format!("{application}/0"))?;
            if round > 0 {
                figures.add(&one);
            }
        }
    }
    let beyond = |figures: &Figures| (median(&figures.wall) - median(&figures.tools)).max(0.0);
    let calls = (median(&ours.calls), median(&other.calls));
    for (name, figures) in [(OURS, &ours), (OTHER, &other)] {
        let (wall, tools, calls) = (
            median(&figures.wall),
            median(&figures.tools),
            median(&figures.calls),
        );
        println!("{name}: {wall:.1} ms in all, {tools:.1} ms of them in {calls} hook-tool calls.");
    }
    println!(
        "other: the same hook of a minimal charm on the Python framework ops, reading the same relations. \
         Medians; time, processor and memory are without the hook tools."
    );
    Ok(vec![
        Row::new(
            "hook-noop-ms",
            (beyond(&ours), beyond(&other)),
            "ms",
            Some(WALL_GOAL_MS),
        ),
        Row::new(
            "hook-noop-cpu-ms",
            (median(&ours.cpu), median(&other.cpu)),
            "ms",
            Some(WALL_GOAL_MS),
        ),
        Row::new(
            "hook-noop-rss-mib",
            (median(&ours.rss), median(&other.rss)),
            "MiB",
            Some(RSS_GOAL_MIB),
        ),
        Row::new("hook-noop-calls", calls, "calls", None),
    ])
}

/// A model at rest, with everything in place to be measured.
fn deploy(target: &Path) -> Result<Model> {
    let parts = Parts::new(target);
    let model = Model::new(
        parts.get("tools/juju-sim")?.into(),
        parts.path("bench/model")?,
    )?;
    stage::broker(&model, &parts)?;
    let kafka = format!("kafka={}", parts.get("kafka/kafka-connect-4.1.2.tgz")?);
    let charm = parts.charm("kafka-connect")?;
    model.run(&["deploy", &charm, OURS, "--resource", &kafka])?;
    model.run(&["deploy", &parts.get("fixtures/ops-noop")?, OTHER])?;
    for application in [OURS, OTHER] {
        model.run(&["integrate", application, "kafka"])?;
        for letter in ["a", "b"] {
            let client = format!("{application}-client-{letter}");
            model.run(&["deploy", &parts.get("fixtures/client")?, &client])?;
            model.run(&["integrate", &client, application])?;
        }
    }
    for letter in ["a", "b"] {
        let client = format!("{OURS}-client-{letter}");
        model.run(&[
            "wait-for",
            &client,
            "--message",
            "^user relation-",
            "--timeout",
            "180s",
        ])?;
    }
    for application in [OURS, OTHER] {
        model.install(
            &format!("{application}/0"),
            Path::new(&parts.get("tools/xtask")?),
            XTASK,
        )?;
    }
    model.settle()?;
    Ok(model)
}

/// What the runs of one charm took.
#[derive(Debug, Default)]
struct Figures {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    rss: Vec<f64>,
    calls: Vec<f64>,
    tools: Vec<f64>,
}

impl Figures {
    fn add(&mut self, one: &One) {
        self.wall.push(one.wall.wall_ms);
        self.cpu.push(one.watched.cpu_ms);
        self.rss.push(one.watched.rss_mib);
        self.calls.push(one.calls);
        self.tools.push(one.calls * one.tool_ms);
    }
}

struct One {
    wall: Run,
    watched: Run,
    calls: f64,
    tool_ms: f64,
}

/// One round on one unit: the hook alone, the hook watched, and the time of a hook tool.
fn hook(model: &Model, unit: &str) -> Result<One> {
    let environment = "JUJU_DISPATCH_PATH=hooks/update-status JUJU_HOOK_NAME=update-status";
    let run = |how: &str| -> Result<Run> {
        let text = model.exec(
            unit,
            &format!("{environment} {XTASK} measure {how} ./dispatch"),
        )?;
        serde_json::from_str(text.trim())
            .with_context(|| format!("{unit}: cannot read `{}`", text.trim()))
    };
    let wall = run("--time")?;
    let calls = model.calls_of_last(unit)?;
    let watched = run("--watch")?;
    let loops = format!("for i in $(seq {TOOL_ROUNDS}); do {TOOLS}; done >/dev/null");
    let text = model.exec(unit, &format!("{XTASK} measure --time sh -c '{loops}'"))?;
    let tools: Run =
        serde_json::from_str(text.trim()).context("cannot read the time of the hook tools")?;
    let called = TOOL_ROUNDS * TOOLS.split(';').count();
    Ok(One {
        wall,
        watched,
        calls,
        tool_ms: tools.wall_ms / f64::from(u32::try_from(called)?),
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_one_counts() {
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }
}
