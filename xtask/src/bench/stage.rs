//! What several benchmarks deploy first: a broker, workers of the packed charm, and both integrated.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::model::Model;
use super::{OURS, parts::Parts};

/// A real broker, named `kafka`.
pub(super) fn broker(model: &Model, parts: &Parts<'_>) -> Result<()> {
    let archive = parts.get("kafka/kafka-broker-4.1.2.tgz")?;
    let resource = format!("kafka-broker={archive}");
    let fixture = parts.get("fixtures/kafka")?;
    model
        .run(&["deploy", &fixture, "kafka", "--resource", &resource])
        .map(drop)
}

/// So many units of the packed charm on real workers, integrated with `kafka`.
pub(super) fn workers(model: &Model, parts: &Parts<'_>, count: usize) -> Result<()> {
    let archive = parts.get("kafka/kafka-connect-4.1.2.tgz")?;
    units(
        model,
        parts,
        count,
        &["--resource", &format!("kafka={archive}")],
    )
}

/// So many units of the packed charm, integrated with `kafka`; `more` says what their workers are.
pub(super) fn units(model: &Model, parts: &Parts<'_>, count: usize, more: &[&str]) -> Result<()> {
    let charm = parts.charm("kafka-connect")?;
    let count = count.to_string();
    let testing = ["--config", "profile=testing"];
    let deploy = ["deploy", &charm, OURS, "-n", &count];
    model.run(&[&deploy[..], &testing, more].concat())?;
    model.run(&["integrate", OURS, "kafka"]).map(drop)
}

/// Longest wait for the archives of the workers' classes.
const ARCHIVED: Duration = Duration::from_secs(180);

/// Waits until the classes of so many workers are archived for their next starts: it happens behind
/// everything else, once for a Java and a Kafka.
pub(super) fn archived(model: &Model, count: usize) -> Result<()> {
    let clock = Instant::now();
    let is_made = |number: usize| {
        let unit = format!("{OURS}/{number}");
        model
            .run(&[
                "ssh",
                &unit,
                "test",
                "-e",
                "/var/cache/kafka-connect/worker.key",
            ])
            .is_ok()
    };
    while !(0..count).all(is_made) {
        ensure!(
            clock.elapsed() < ARCHIVED,
            "the workers' classes are not archived"
        );
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
