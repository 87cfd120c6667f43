//! How to talk to a model that was kept running.

use anyhow::{Context, Result};

use crate::sim::Sim;

/// Prints commands that work as they stand.
pub(crate) fn explain(sim: &Sim) -> Result<()> {
    let program = absolute(&sim.program)?;
    let directory = absolute(&sim.directory)?;
    let get = sim
        .run(&["run", "mirror/0", "get-credentials", "--format", "json"])
        .unwrap_or_default();
    let shown: serde_json::Value = serde_json::from_str(&get).unwrap_or_default();
    let credentials = &shown["mirror/0"]["results"]["connect-client"];
    let text = |key: &str| credentials[key].as_str().unwrap_or("?").to_owned();
    let endpoints = text("endpoints");
    let endpoint = endpoints.split(',').next().unwrap_or_default();
    println!("\nThe model is still running. Talk to it:\n");
    println!("  export JUJU_SIM_DIR={directory}");
    println!("  alias juju={program}");
    println!("  juju status");
    println!("\nKafka Connect: {endpoint}, user {}", text("username"));
    println!(
        "  juju network -- curl -su {}:{} {endpoint}/connectors",
        text("username"),
        text("password")
    );
    println!("\nThe topic, with Kafka's own tools:");
    println!("  juju run kafka/0 consume topic=orders");
    println!("\nEnd it with `make demo-down`.");
    Ok(())
}

fn absolute(path: &std::path::Path) -> Result<String> {
    let path = std::path::absolute(path).context("cannot tell the current directory")?;
    Ok(path.display().to_string())
}
