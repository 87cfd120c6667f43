//! What several benchmarks deploy first: a broker, workers of the packed charm, and both integrated.

use anyhow::Result;

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
