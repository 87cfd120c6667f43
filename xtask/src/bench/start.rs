//! A worker's start and its memory with the manifests that the charm adds to a plugin, and with its
//! classes archived, beside the same worker with the same plugin that scans for what it has.
//!
//! The plugin is a published one of 22 jars without its manifests. Each start is that of a second
//! worker on a unit's machine, with the command and the properties of the first but for its group,
//! topics, port and log, so that the charm takes no part in it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::model::Model;
use super::plugins::goal;
use super::server::PluginServer;
use super::{OURS, Row, median, parts::Parts, stage};

/// Rounds of each; the median counts.
const ROUNDS: usize = 5;
/// How a worker looks for plugins, and whether it has an archive of its classes: as the charm has
/// both, without the archive, as Kafka has it where nobody says, and as it was before there were
/// manifests.
const WAYS: [(&str, &str); 4] = [
    ("service_load", "warm"),
    ("service_load", "cold"),
    ("hybrid_warn", "cold"),
    ("only_scan", "cold"),
];
/// Ours is to be so many times as fast, and as small, as Kafka's default.
const TIME_RATIO: f64 = 1.5;
const MEMORY_RATIO: f64 = 1.3;
/// As fast as without the archive.
const WARM_RATIO: f64 = 1.2;
/// Starts a worker in one of these ways, and prints the milliseconds until it was healthy
/// and the KiB of memory that it had then. One that has not found the plugin has started for nothing.
const START: &str = r#"
# -f: the star at the end of the class path is for Java.
set -euf
place=/run/bench-start
mkdir -p $place
first=$(systemctl show -p MainPID --value kafka-connect.service)
sed -e 's/^group\.id=.*/&-start/' -e 's/^[a-z]*\.storage\.topic=.*/&-start/' \
    -e 's#^listeners=.*#listeners=http://127.0.0.1:18099#' \
    -e "s/^plugin\.discovery=.*/plugin.discovery=$1/" \
    /etc/kafka-connect/worker.properties >$place/worker.properties
sed "s#/var/log/kafka-connect/#$place/#" /etc/kafka-connect/log4j2.properties >$place/log4j2.properties
case $2 in warm) cold= ;; *) cold='s#-XX:SharedArchiveFile=[^ ]*##' ;; esac
command=$(tr '\0' ' ' </proc/$first/cmdline | sed -e "$cold" -e "s#-XX:DumpLoadedClassList=[^ ]*#-XX:DumpLoadedClassList=$place/classes.lst#" | sed -e "s#/etc/kafka-connect/worker\.properties#$place/worker.properties#" \
    -e "s#/etc/kafka-connect/log4j2\.properties#$place/log4j2.properties#")
user=$(tr = : </etc/kafka-connect/users.properties)
now() { date +%s%3N; }
began=$(now)
$command >$place/output 2>&1 &
worker=$!
trap 'kill -9 $worker 2>/dev/null || true' EXIT
ask() {
    printf 'user = "%s"\n' "$user" | curl -s -K - -m 5 "$@" || true
}
health() {
    ask -o /dev/null -w '%{http_code}' http://127.0.0.1:18099/health
}
until [ "$(health)" = 200 ]; do
    kill -0 $worker || { tail -n 5 $place/output >&2; exit 1; }
    [ $(($(now) - began)) -lt 180000 ] || { echo 'not healthy within 180 s' >&2; exit 1; }
    sleep 0.1
done
took=$(($(now) - began))
echo $took $(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' /proc/$worker/status)
ask http://127.0.0.1:18099/connector-plugins | grep -q '"io.debezium.connector.mysql.MySqlConnector"' \
    || { echo 'the plugin is not listed' >&2; exit 1; }
kill $worker
wait $worker || true
"#;

/// Measures the starts in all ways, in turns.
///
/// # Errors
///
/// A part is missing, or a worker does not become healthy.
pub(super) fn starts(target: &Path) -> Result<Vec<Row>> {
    let parts = Parts::new(target);
    println!("\nA model with a real broker and a worker; a plugin of 22 jars without manifests.");
    let (model, _server) = deploy(&parts)?;
    let unit = format!("{OURS}/0");
    let mut seconds = WAYS.map(|_| Vec::new());
    let mut mib = WAYS.map(|_| Vec::new());
    // The first of each makes topics and warms caches, and is not counted.
    for round in 0..=ROUNDS {
        for (index, (way, warmth)) in WAYS.into_iter().enumerate() {
            let text = model.run(&["ssh", &unit, "sh", "-c", START, "start", way, warmth])?;
            let figures: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
            let [ms, kib] = figures[..] else {
                anyhow::bail!("{way}: the start says `{}`", text.trim());
            };
            if round > 0 {
                seconds[index].push(ms / 1000.0);
                mib[index].push(kib / 1024.0);
            }
        }
    }
    let [ours, cold, default, scan] = seconds.map(|values| median(&values));
    let [our_mib, _, default_mib, scan_mib] = mib.map(|values| median(&values));
    println!(
        "other: hybrid_warn, Kafka's default; in the rows with -scan, only_scan; with -warm, ours \
         without its archive of classes."
    );
    let time = Some(goal(default, TIME_RATIO));
    let memory = Some(goal(default_mib, MEMORY_RATIO));
    Ok(vec![
        Row::new("worker-start-s", (ours, default), "s", time),
        Row::new("worker-start-scan-s", (ours, scan), "s", None),
        Row::new(
            "worker-start-warm-s",
            (ours, cold),
            "s",
            Some(goal(cold, WARM_RATIO)),
        ),
        Row::new(
            "worker-start-rss-mib",
            (our_mib, default_mib),
            "MiB",
            memory,
        ),
        Row::new(
            "worker-start-scan-rss-mib",
            (our_mib, scan_mib),
            "MiB",
            None,
        ),
    ])
}

/// A model with one worker that has loaded the plugin without scanning.
fn deploy(parts: &Parts<'_>) -> Result<(Model, PluginServer)> {
    let model = Model::new(
        parts.get("tools/juju-sim")?.into(),
        parts.path("bench/start")?,
    )?;
    stage::broker(&model, parts)?;
    stage::workers(&model, parts, 1)?;
    let server = PluginServer::start(&model, parts, "kafka/debezium-mysql-bare.tar")?;
    let databag =
        json!({"plugin-url": server.url, "requested-secrets": r#"["username", "password"]"#});
    let option = format!("databag={databag}");
    let client = parts.get("fixtures/client")?;
    model.run(&["deploy", &client, "client", "--config", &option])?;
    model.run(&["integrate", "client", OURS])?;
    model.run(&[
        "wait-for",
        "client",
        "--message",
        "^user relation-",
        "--timeout",
        "300s",
    ])?;
    model.settle()?;
    stage::archived(&model, 1)?;
    let discovery =
        "grep -c '^plugin.discovery=service_load$' /etc/kafka-connect/worker.properties";
    let unit = format!("{OURS}/0");
    model
        .run(&["ssh", &unit, "sh", "-c", discovery])
        .context("the charm's own worker scans, so its plugin has no manifests")?;
    Ok((model, server))
}
