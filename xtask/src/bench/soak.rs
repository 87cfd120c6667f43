//! A hundred clients of ten units, added in four equal parts: what one client costs all units
//! together, early and late.
//!
//! The workers, the broker and the clients are stubs, for ten workers and a hundred clients do not
//! fit on one machine; the charm, its gateways and everything between them and the model are what
//! is shipped. Each part is added at once and ends when every client has its user and nothing is
//! left to do. A cost is *linear* if a client of the last part costs what one of the first did: were
//! each hook to read every client again, the last one would cost seven times as much.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::archive::{TarBuilder, TarEntry, pack};

use super::model::Model;
use super::{OURS, Row, parts::Parts, stage};

const UNITS: usize = 10;
/// Parts, and clients in each.
const BATCHES: usize = 4;
const BATCH: usize = 25;
/// Longest time for one part.
const LIMIT: Duration = Duration::from_secs(240);
/// How many times as much a client of the last part may cost as one of the first. Calls are counted;
/// what is left are changes of two clients that reach a unit in one hook or in two.
const CALLS_GOAL: f64 = 1.3;
/// Likewise of the time, which also depends on what else the machine does.
const SECONDS_GOAL: f64 = 1.5;
/// Calls for one client more in a hook that reads everything, of the leader: both databags, and its
/// secret.
const HOOK_CALLS_GOAL: f64 = 3.0;

/// What one part cost, per client, all units together.
struct Cost {
    hooks: f64,
    calls: f64,
    seconds: f64,
}

/// Measures the growth with the number of clients.
///
/// # Errors
///
/// A part is missing, or a client is not served in time.
pub(super) fn growth(target: &Path) -> Result<Vec<Row>> {
    let clients = BATCHES * BATCH;
    println!(
        "\nA model with {UNITS} units on stub workers, and {clients} clients in {BATCHES} parts."
    );
    let model = deploy(&Parts::new(target))?;
    let empty = full_hook(&model)?;
    let mut costs = Vec::new();
    let mut full = Vec::new();
    for batch in 0..BATCHES {
        let cost = add(&model, batch * BATCH..(batch + 1) * BATCH)?;
        full.push(full_hook(&model)? - empty);
        println!(
            "clients {:>3} to {:>3}: each {:.1} hooks, {:.0} calls, {:.2} s",
            batch * BATCH + 1,
            (batch + 1) * BATCH,
            cost.hooks,
            cost.calls,
            cost.seconds
        );
        costs.push(cost);
    }
    let none = "nothing was measured";
    let (first, last) = costs.first().zip(costs.last()).context(none)?;
    let (least, most) = full.first().zip(full.last()).context(none)?;
    let (least, most) = (least / count(BATCH)?, most / count(clients)?);
    println!(
        "other: the same of the first {BATCH} clients. The last row: calls for each client in a hook of \
         the leader that reads everything, with {clients} clients and with {BATCH}."
    );
    Ok(vec![
        Row::new(
            "soak-calls-per-client",
            (last.calls, first.calls),
            "calls",
            None,
        ),
        Row::alone(
            "soak-calls-growth",
            last.calls / first.calls,
            "times",
            Some(CALLS_GOAL),
        ),
        Row::new(
            "soak-seconds-per-client",
            (last.seconds, first.seconds),
            "s",
            None,
        ),
        Row::alone(
            "soak-seconds-growth",
            last.seconds / first.seconds,
            "times",
            Some(SECONDS_GOAL),
        ),
        Row::new(
            "soak-full-hook-calls",
            (most, least),
            "calls",
            Some(HOOK_CALLS_GOAL),
        ),
    ])
}

fn deploy(parts: &Parts<'_>) -> Result<Model> {
    let model = Model::new(
        parts.get("tools/juju-sim")?.into(),
        parts.path("bench/soak")?,
    )?;
    let (jre, kafka) = stubs(parts)?;
    model.run(&["deploy", &parts.get("fixtures/stub-kafka")?, "kafka"])?;
    // A machine's own Java would be taken first.
    let hidden = ["--hide", "/usr/lib/jvm", "--hide", "/usr/bin/java"];
    let resources = ["--resource", &jre, "--resource", &kafka];
    stage::units(&model, parts, UNITS, &[hidden, resources].concat())?;
    let client = parts.get("fixtures/stub-client")?;
    for number in 0..BATCHES * BATCH {
        model.run(&["deploy", &client, &name(number)])?;
    }
    model.run(&["wait-for", OURS, "--status", "active", "--timeout", "240s"])?;
    model.settle()?;
    Ok(model)
}

/// A Java runtime that is a stub of the worker, and a workload for it, as `--resource` takes them.
fn stubs(parts: &Parts<'_>) -> Result<(String, String)> {
    let program = parts.get("tools/testkit-worker")?;
    let program = std::fs::read(&program).with_context(|| format!("cannot read {program}"))?;
    let java = TarEntry {
        mode: 0o755,
        ..TarEntry::file("jre/bin/java", program)
    };
    let jre = TarBuilder::new()
        .file("jre/release", "JAVA_VERSION=\"17.0.0\"\n")
        .entry(&java);
    let kafka = TarBuilder::new().file("kafka/libs/connect-runtime-4.1.2.jar", "stub");
    let folder = parts.path("bench/stubs")?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let write = |name: &str, archive: TarBuilder| -> Result<String> {
        let path = folder.join(format!("{name}.tgz"));
        std::fs::write(&path, pack::gzip(&archive.finish()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(format!("{name}={}", path.display()))
    };
    Ok((write("jre", jre)?, write("kafka", kafka)?))
}

fn name(number: usize) -> String {
    format!("client{number:03}")
}

/// Adds clients, and waits until all is done.
fn add(model: &Model, numbers: std::ops::Range<usize>) -> Result<Cost> {
    let before = model.log()?.len();
    let clients = count(numbers.len())?;
    let clock = Instant::now();
    for number in numbers.clone() {
        model.run(&["integrate", &name(number), OURS])?;
    }
    loop {
        let served = served(model)?;
        if served >= numbers.end {
            break;
        }
        if clock.elapsed() > LIMIT {
            bail!(
                "only {served} of {} clients have a user after {LIMIT:?}",
                numbers.end
            );
        }
        thread::sleep(Duration::from_millis(250));
    }
    model.settle()?;
    let seconds = clock.elapsed().as_secs_f64();
    let log = model.log()?;
    let ours = |entry: &&Value| {
        let unit = entry["unit"].as_str().unwrap_or_default();
        unit.split('/').next() == Some(OURS)
    };
    let entries: Vec<&Value> = log.iter().skip(before).filter(ours).collect();
    let calls: f64 = entries
        .iter()
        .filter_map(|entry| entry["tool_calls"].as_f64())
        .sum();
    Ok(Cost {
        hooks: count(entries.len())? / clients,
        calls: calls / clients,
        seconds: seconds / clients,
    })
}

/// How many clients say that they were given a user.
fn served(model: &Model) -> Result<usize> {
    let text = model.run(&["status", "--format", "json"])?;
    let status: Value = serde_json::from_str(&text).context("cannot read the model's status")?;
    let applications = status["applications"].as_object();
    let messages = applications
        .into_iter()
        .flatten()
        .filter_map(|(_, application)| application["application-status"]["message"].as_str());
    Ok(messages
        .filter(|message| message.starts_with("user relation-"))
        .count())
}

/// Calls of a hook of the leader that reads everything and finds nothing to do.
fn full_hook(model: &Model) -> Result<f64> {
    let unit = format!("{OURS}/0");
    model.exec(
        &unit,
        "JUJU_DISPATCH_PATH=hooks/update-status JUJU_HOOK_NAME=update-status ./dispatch",
    )?;
    model.calls_of_last(&unit)
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
