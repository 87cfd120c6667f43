//! For how long a task does not run when a worker restarts in its turn, and when it is killed: with
//! our defaults, and with Kafka Connect's own in the same deployment.
//!
//! Three real workers run three sinks of ten tasks each. A gap goes from the line in which a worker
//! stops a task, or from the kill, to the line in which a worker has started it; the longest of all
//! tasks counts. With upstream's defaults each measurement is cut off: what is open then counts with
//! the time until then. The worker that leads the group is left alone, for its tasks move at once
//! whatever the delay.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::journal::{Gap, Journal, Moment, leader_url, moment};

use super::model::Model;
use super::{OURS, Row, parts::Parts, stage};

const UNITS: usize = 3;
const SINKS: [&str; 3] = ["one", "two", "three"];
const TASKS: usize = 30;
const LOG: &str = "/var/log/kafka-connect/worker.log";
/// Longest wait for anything but a gap: three workers start one after the other.
const LIMIT: Duration = Duration::from_secs(300);
/// Each measurement ends after this long.
const CUT: Duration = Duration::from_secs(120);
/// Longer than the session timeout, in which the group notices nothing of a member.
const CALM: Duration = Duration::from_secs(7);
/// What Kafka Connect does where nothing is set.
const UPSTREAM: [&str; 3] = [
    "rebalance-delay-ms=300000",
    "session-timeout-ms=10000",
    "heartbeat-interval-ms=3000",
];
/// Longest gap in a turn, in seconds.
const GAP_GOAL_S: f64 = 10.0;
/// How many times shorter than with upstream's defaults ours have to be.
const FACTOR: f64 = 10.0;

/// The longest gaps in seconds, of a restart and of a crash.
struct Gaps {
    restart: f64,
    crash: f64,
}

/// Measures the gaps of tasks.
///
/// # Errors
///
/// A part is missing, or the group does not come to rest.
pub(super) fn gaps(target: &Path) -> Result<Vec<Row>> {
    println!("\nA model with a real broker, {UNITS} workers and {TASKS} tasks.");
    let model = deploy(&Parts::new(target))?;
    let ours = measure(&model)?;
    let begun = stamp(&model, 0, "")?;
    model.run(&[&["config", OURS], &UPSTREAM[..]].concat())?;
    wait("every worker has the other defaults", &model, || {
        let starts = journal(&model)?.starts(UNITS, begun);
        Ok(starts.iter().all(|starts| *starts > 0))
    })?;
    let upstream = measure(&model)?;
    println!(
        "other: with the defaults of Kafka Connect ({}), cut off after {} s.",
        UPSTREAM.join(", "),
        CUT.as_secs()
    );
    let row = |name, ours: f64, other: f64, most: f64| {
        Row::new(name, (ours, other), "s", Some(most.min(other / FACTOR)))
    };
    Ok(vec![
        row("task-gap", ours.restart, upstream.restart, GAP_GOAL_S),
        row("task-gap-kill", ours.crash, upstream.crash, f64::MAX),
    ])
}

fn deploy(parts: &Parts<'_>) -> Result<Model> {
    let model = Model::new(
        parts.get("tools/juju-sim")?.into(),
        parts.path("bench/gaps")?,
    )?;
    stage::broker(&model, parts)?;
    stage::workers(&model, parts, UNITS)?;
    let plugin = format!(
        "connect-plugin={}",
        parts.get("kafka/connect-file-plugin.tar.gz")?
    );
    let integrator = parts.charm("connect-integrator")?;
    for sink in SINKS {
        let settings = format!(
            "settings=tasks.max={}\n\
             connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\n\
             file=/var/lib/kafka-connect/tmp/{sink}.out\n",
            TASKS / SINKS.len()
        );
        let options = ["role=sink", "topics=orders", &settings];
        let options = options.iter().flat_map(|option| ["--config", *option]);
        let deploy = ["deploy", &integrator, sink, "--resource", &plugin];
        model.run(&deploy.into_iter().chain(options).collect::<Vec<_>>())?;
        model.run(&["integrate", &format!("{sink}:connect-client"), OURS])?;
    }
    stage::archived(&model, UNITS)?;
    Ok(model)
}

/// One restart in its turn, then a kill, of the two workers that do not lead the group.
fn measure(model: &Model) -> Result<Gaps> {
    rest(model)?;
    let [first, second] = followers(model)?;
    let begun = stamp(model, first, "")?;
    model.run(&["run", &unit(first), "restart"])?;
    let restart = watch(model, begun, &[])?;
    let kill = "kill -9 $(systemctl show -p MainPID --value kafka-connect.service)";
    let killed = stamp(model, second, kill)?;
    let lost = journal(model)?.tasks_on(second, killed);
    ensure!(!lost.is_empty(), "no task ran on {}", unit(second));
    let crash = watch(model, killed, &lost)?;
    Ok(Gaps { restart, crash })
}

/// Waits until all tasks run and none has moved for a while.
fn rest(model: &Model) -> Result<()> {
    let mut seen = (0, Instant::now());
    wait("all tasks run and stay where they are", model, || {
        let journal = journal(model)?;
        let events = journal.task_events(0);
        if events != seen.0 {
            seen = (events, Instant::now());
        }
        let running: usize = (0..UNITS)
            .map(|unit| journal.tasks_on(unit, Moment::MAX).len())
            .sum();
        Ok(running == TASKS && seen.1.elapsed() >= CALM)
    })?;
    for number in 0..UNITS {
        model.run(&["wait-for", &unit(number), "--status", "active"])?;
    }
    model.settle()
}

/// Waits until what stopped since then runs again and stays where it is, for tasks may move once more
/// when a worker comes back, and returns the longest gap in seconds.
fn watch(model: &Model, since: Moment, lost: &[String]) -> Result<f64> {
    let mut seen = (0, Instant::now());
    loop {
        let now = stamp(model, 0, "")?;
        let journal = journal(model)?;
        let events = journal.task_events(0);
        if events != seen.0 {
            seen = (events, Instant::now());
        }
        let gaps = journal.gaps(since, now, lost);
        let over = now.saturating_sub(since) >= u64::try_from(CUT.as_millis())?;
        let done = !gaps.values().any(|gap| gap.open) && seen.1.elapsed() >= CALM;
        let longest = gaps.values().max_by_key(|gap| gap.milliseconds);
        match longest {
            Some(Gap { milliseconds, .. }) if over || done => {
                return Ok(Duration::from_millis(*milliseconds).as_secs_f64());
            }
            None if over => bail!("no task stopped within {CUT:?}"),
            Some(_) | None => thread::sleep(Duration::from_millis(500)),
        }
    }
}

/// Units whose worker does not lead the group, as the last log line about it tells.
fn followers(model: &Model) -> Result<[usize; 2]> {
    let log = ssh(model, 0, &format!("cat {LOG}"))?;
    let url = leader_url(&log).context("no worker leads the group")?;
    let mut others = Vec::new();
    for number in 0..UNITS {
        let own = "sed -n 's/^rest.advertised.host.name=//p' /etc/kafka-connect/worker.properties";
        let host = ssh(model, number, own)?;
        if !url.contains(&format!("//{}:", host.trim())) {
            others.push(number);
        }
    }
    let [first, second] = others[..] else {
        bail!("{url} is not the address of one of {UNITS} units");
    };
    Ok([first, second])
}

fn journal(model: &Model) -> Result<Journal> {
    let logs: Result<Vec<String>> = (0..UNITS)
        .map(|number| ssh(model, number, &format!("cat {LOG} 2>/dev/null || true")))
        .collect();
    Ok(Journal::of(&logs?))
}

/// Says what the machines' clock says, as the logs write it, right before it runs a command.
fn stamp(model: &Model, number: usize, command: &str) -> Result<Moment> {
    let said = ssh(model, number, &format!("date '+[%F %T,%3N]'; {command}"))?;
    moment(&said).with_context(|| format!("cannot take `{}` for a time", said.trim()))
}

fn ssh(model: &Model, number: usize, script: &str) -> Result<String> {
    model.run(&["ssh", &unit(number), "sh", "-c", script])
}

fn unit(number: usize) -> String {
    format!("{OURS}/{number}")
}

fn wait(what: &str, model: &Model, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > LIMIT {
            bail!("not within {LIMIT:?}: {what}\n{}", model.run(&["status"])?);
        }
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
