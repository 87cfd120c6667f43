//! The whole life of one client on three real workers: without a plugin, with a new one, and with
//! one that the workers have already.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::model::Model;
use super::server::PluginServer;
use super::{OURS, Row, parts::Parts, stage};

const UNITS: usize = 3;
/// Longest life of a client here.
const LIMIT: Duration = Duration::from_secs(120);
/// From integrate to published, in seconds.
const PUBLISHED_GOAL_S: f64 = 20.0;
/// What a worker says first of all, once per start.
const STARTS: &str =
    "grep -c 'Kafka Connect worker initializing' /var/log/kafka-connect/worker.log";

/// The figures of one client.
struct Kind {
    name: &'static str,
    rows: [&'static str; 5],
    /// The most that any worker may start for it.
    restarts: f64,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "none",
        rows: [
            "client-none-published-s",
            "client-none-usable-s",
            "client-none-restarts",
            "client-none-hooks",
            "client-none-calls",
        ],
        restarts: 0.0,
    },
    Kind {
        name: "new",
        rows: [
            "client-new-published-s",
            "client-new-usable-s",
            "client-new-restarts",
            "client-new-hooks",
            "client-new-calls",
        ],
        restarts: 1.0,
    },
    Kind {
        name: "known",
        rows: [
            "client-known-published-s",
            "client-known-usable-s",
            "client-known-restarts",
            "client-known-hooks",
            "client-known-calls",
        ],
        restarts: 0.0,
    },
];

/// Measures the three lives, one after the other in one model.
///
/// # Errors
///
/// A part is missing, or a client is not served in time.
pub(super) fn lives(target: &Path) -> Result<Vec<Row>> {
    let parts = Parts::new(target);
    println!("\nA model with a real broker, {UNITS} workers, and a client of each kind.");
    let model = Model::new(
        parts.get("tools/juju-sim")?.into(),
        parts.path("bench/clients")?,
    )?;
    stage::broker(&model, &parts)?;
    stage::workers(&model, &parts, UNITS)?;
    let server = PluginServer::start(&model, &parts, "kafka/connect-file-plugin.tar.gz")?;
    for kind in &KINDS {
        let url = match kind.name {
            "none" => "NOT-REQUIRED".to_owned(),
            _ => server.url.clone(),
        };
        let databag =
            json!({"plugin-url": url, "requested-secrets": r#"["username", "password"]"#});
        let option = format!("databag={databag}");
        let client = parts.get("fixtures/client")?;
        model.run(&["deploy", &client, kind.name, "--config", &option])?;
    }
    model.run(&["wait-for", OURS, "--status", "active", "--timeout", "120s"])?;
    stage::archived(&model, UNITS)?;
    let mut rows = Vec::new();
    for kind in &KINDS {
        rows.extend(life(&model, kind)?);
    }
    Ok(rows)
}

fn life(model: &Model, kind: &Kind) -> Result<Vec<Row>> {
    model.settle()?;
    let before = starts(model)?;
    let began = SystemTime::now();
    let clock = Instant::now();
    model.run(&["integrate", kind.name, OURS])?;
    let began = u64::try_from(began.duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?;
    let wait = |what: &str, is_there: &dyn Fn() -> Result<bool>| -> Result<()> {
        while !is_there()? {
            if clock.elapsed() > LIMIT {
                let status = model.run(&["status"])?;
                bail!("client {} {what}:\n{status}", kind.name);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    // It has nothing to call with before, and its calls would take the processor from the workers
    // that start.
    wait("is given no credentials", &|| {
        Ok(published(&model.log()?, began).is_some())
    })?;
    let all = ["200"; UNITS].join(" ");
    wait("cannot use every endpoint", &|| {
        Ok(codes(model, kind.name)? == all)
    })?;
    let usable = clock.elapsed().as_secs_f64();
    model.settle()?;
    let log = model.log()?;
    let entries: Vec<&Value> = ours(&log, began).collect();
    let published = published(&log, began)
        .with_context(|| format!("the model's log holds no credentials of {}", kind.name))?;
    let published = Duration::from_millis(published.saturating_sub(began)).as_secs_f64();
    let most = starts(model)?
        .into_iter()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before))
        .max();
    let restarts = f64::from(u32::try_from(most.unwrap_or_default())?);
    let hooks = f64::from(u32::try_from(entries.len())?);
    let calls = entries
        .iter()
        .filter_map(|entry| entry["tool_calls"].as_f64())
        .sum();
    let figures = [
        (published, "s", Some(PUBLISHED_GOAL_S)),
        (usable, "s", Some(PUBLISHED_GOAL_S)),
        (restarts, "each", Some(kind.restarts)),
        (hooks, "hooks", None),
        (calls, "calls", None),
    ];
    let rows = kind.rows.iter().zip(figures);
    Ok(rows
        .map(|(name, (ours, unit, goal))| Row::alone(name, ours, unit, goal))
        .collect())
}

/// What our units ran since then, in milliseconds since the epoch.
fn ours(log: &[Value], since: u64) -> impl Iterator<Item = &Value> {
    let unit = |entry: &&Value| {
        let name = entry["unit"].as_str().unwrap_or_default();
        name.split('/').next() == Some(OURS)
    };
    log.iter()
        .filter(move |entry| entry["end"].as_u64().is_some_and(|end| end >= since))
        .filter(unit)
}

/// When a client got its credentials since then.
fn published(log: &[Value], since: u64) -> Option<u64> {
    ours(log, since).find(|entry| publishes(entry))?["end"].as_u64()
}

/// Whether a hook gave a client its credentials.
fn publishes(entry: &Value) -> bool {
    let bags = entry["commit"]["bags"].as_array();
    bags.into_iter().flatten().any(|bag| {
        bag["endpoint"] == "connect-client"
            && bag["kind"] == "application"
            && bag["changes"]["secret-user"].is_string()
    })
}

/// How often each worker started so far.
fn starts(model: &Model) -> Result<Vec<u64>> {
    (0..UNITS)
        .map(|number| {
            let unit = format!("{OURS}/{number}");
            let text = model.run(&["ssh", &unit, "sh", "-c", STARTS])?;
            text.trim()
                .parse()
                .with_context(|| format!("{unit} says `{}`", text.trim()))
        })
        .collect()
}

/// What the client gets from each endpoint with what it was given.
fn codes(model: &Model, client: &str) -> Result<String> {
    let unit = format!("{client}/0");
    let text = model.run(&["run", &unit, "call", "--format", "json"])?;
    let answer: Value = serde_json::from_str(&text).context("cannot read an action's answer")?;
    Ok(answer[&unit]["results"]["codes"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}
