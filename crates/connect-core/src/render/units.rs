//! systemd units.

use crate::layout::{
    GATEWAY_SERVICE, GATEWAY_USER, Layout, WAKE_SERVICE, WORKER_SERVICE, WORKER_USER,
};
use crate::limits;

/// What the worker's unit is made of.
#[derive(Debug)]
pub struct WorkerUnit<'a> {
    /// Path of `java`.
    pub java: &'a str,
    /// Directory of the workload, with `libs/`.
    pub workload: &'a str,
    /// The workload logs through log4j2 (Kafka 4 and later).
    pub log4j2: bool,
    /// Heap in MiB.
    pub heap_mib: u64,
    /// Prefer a small footprint to throughput.
    pub small: bool,
}

/// The worker's unit. It has no `[Install]`: the charm's `start` hook starts it after a reboot,
/// with the plugins that were proven.
#[must_use]
pub fn worker(unit: &WorkerUnit<'_>, layout: &Layout) -> String {
    let logging = if unit.log4j2 {
        format!("-Dlog4j2.configurationFile={}", layout.log4j2())
    } else {
        format!("-Dlog4j.configuration=file:{}", layout.log4j())
    };
    let heap = unit.heap_mib;
    let least = heap.min(256);
    let collector = if unit.small {
        "-XX:+UseSerialGC"
    } else {
        "-XX:+UseG1GC"
    };
    let command = [
        unit.java.to_owned(),
        format!("-Xms{least}m"),
        format!("-Xmx{heap}m"),
        collector.to_owned(),
        "-XX:+ExitOnOutOfMemoryError".to_owned(),
        "-Djava.awt.headless=true".to_owned(),
        format!("-Djava.io.tmpdir={}", layout.tmp()),
        logging,
        format!("-Djava.security.auth.login.config={}", layout.jaas()),
        "-cp".to_owned(),
        format!("{}/libs/*", unit.workload),
        "org.apache.kafka.connect.cli.ConnectDistributed".to_owned(),
        layout.worker_properties(),
    ]
    .join(" ");
    format!(
        "[Unit]
Description=Kafka Connect worker
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=simple
User={WORKER_USER}
Group={WORKER_USER}
UMask=0027
WorkingDirectory={tmp}
RuntimeDirectory=kafka-connect
RuntimeDirectoryMode=0755
ExecStartPre=/bin/cp {facts} {started}
ExecStart={command}
Restart=on-failure
RestartSec=5
SuccessExitStatus=143
TimeoutStopSec={stop}
LimitNOFILE=100000
NoNewPrivileges=true
PrivateTmp=true
ProtectSystem=strict
ProtectHome=true
ReadWritePaths={tmp} {log}
CapabilityBoundingSet=
",
        tmp = layout.tmp(),
        log = layout.log(),
        facts = layout.start_facts(),
        started = layout.started(),
        stop = limits::WORKER_STOP_S,
    )
}

/// The gateway's unit.
#[must_use]
pub fn gateway(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Gateway in front of Kafka Connect
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User={GATEWAY_USER}
Group={GATEWAY_USER}
UMask=0022
RuntimeDirectory=kafka-connect-gateway
RuntimeDirectoryMode=0755
ExecStart={program} run --settings {settings}
Restart=always
RestartSec=1
TimeoutStopSec=30
LimitNOFILE=65536
NoNewPrivileges=true
PrivateTmp=true
ProtectSystem=strict
ProtectHome=true

[Install]
WantedBy=multi-user.target
",
        program = layout.gateway_program(),
        settings = layout.gateway_settings(),
    )
}

/// Watches the gateway's state file.
#[must_use]
pub fn wake_path(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Wake the Kafka Connect charm when the gateway has news

[Path]
PathChanged={state}
Unit={WAKE_SERVICE}

[Install]
WantedBy=multi-user.target
",
        state = layout.gateway_state(),
    )
}

/// Runs [`wake_script`].
#[must_use]
pub fn wake_service(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Wake the Kafka Connect charm
After={WORKER_SERVICE} {GATEWAY_SERVICE}
# Out of budget, it would take the units that start it down with it, and nothing would wake us.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {script}
",
        script = layout.wake_script(),
    )
}

/// Runs a hook of ours, queued behind any other of this unit, and another one if the gateway had
/// more news meanwhile: a path unit does not notice what happens while its service runs.
#[must_use]
pub fn wake_script(unit: &str, layout: &Layout) -> String {
    format!(
        "#!/bin/sh
# Wakes the charm; run by {WAKE_SERVICE}.
for turn in 1 2 3 4 5; do
    seen=$(stat -c %y {state} 2>/dev/null)
    /usr/bin/juju-exec {unit} 'JUJU_DISPATCH_PATH=hooks/kafka-connect-wake ./dispatch' || exit 1
    [ \"$seen\" = \"$(stat -c %y {state} 2>/dev/null)\" ] && exit 0
done
exit 0
",
        state = layout.gateway_state(),
    )
}
