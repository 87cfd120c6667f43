//! systemd units.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::layout::{
    GATEWAY_CLIENT_SOCKET, GATEWAY_PEER_SOCKET, GATEWAY_SERVICE, GATEWAY_USER, Layout, WAKE_HOOK,
    WAKE_SERVICE, WARM_SERVICE, WARM_USER, WORKER_SERVICE, WORKER_USER,
};
use crate::limits;

/// What keeps our services from the rest of the machine. systemd 249 knows all of it.
///
/// A worker gets no more than this: a JVM makes code executable as it runs
/// (`MemoryDenyWriteExecute=`), and reads `/proc/meminfo` for its heap (`ProcSubset=`).
const WALLS: &str = "NoNewPrivileges=true
CapabilityBoundingSet=
LockPersonality=true
PrivateDevices=true
PrivateTmp=true
ProtectClock=true
ProtectControlGroups=true
ProtectHome=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
ProtectSystem=strict
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
";

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

/// The worker's unit. Before it stops, the writes of the whole group are held: one that comes in
/// between makes the stop ten times as long. It has no `[Install]`: the charm's `start` hook starts
/// it after a reboot, with the plugins that were proven.
///
/// However its process ends, systemd starts it again: code of a plugin may end it as if all were
/// well (`System.exit(0)`), which only repeated starts tell from a worker that was stopped.
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
    // Without an archive, or with one for another Java or Kafka, Java goes without its own, too: its
    // first start is a little slower than it would be without this.
    let archive = if heap > limits::ARCHIVED_HEAP_MIB {
        String::new()
    } else {
        let (archive, list) = (layout.class_archive(), layout.class_list());
        format!("-XX:SharedArchiveFile={archive} -XX:DumpLoadedClassList={list} ")
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
        format!("{archive}-cp"),
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
# With the gateway's files, which are not the worker's to read. A worker stops without them too.
ExecStop=-+{gateway} hold --settings {settings}
ExecStopPost=-+{gateway} release --settings {settings}
Restart=always
RestartSec=5
SuccessExitStatus=143
TimeoutStopSec={stop}
LimitNOFILE=100000
ReadWritePaths={tmp} {log}
{WALLS}RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallFilter=@system-service
",
        tmp = layout.tmp(),
        log = layout.log(),
        gateway = layout.gateway_program(),
        settings = layout.gateway_settings(),
        facts = layout.start_facts(),
        started = layout.started(),
        stop = limits::WORKER_STOP_S,
    )
}

/// Archives the classes that the running worker has loaded (JEP 310), so that its next start maps
/// them instead of reading and verifying thousands: a third of its time and of its processor time.
///
/// It runs as a user of its own: whoever writes the archive decides what the worker runs, and a
/// plugin, whose processes are the worker's user's, is to leave nothing to a later start. Of the
/// worker's files it reads those of its group.
#[must_use]
pub fn warm_service(java: &str, workload: &str, key: &str, layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Archive of the classes of the Kafka Connect worker
StartLimitIntervalSec=0

[Service]
Type=oneshot
User={WARM_USER}
Group={WORKER_USER}
UMask=0027
WorkingDirectory={cache}
Environment=JAVA={java} LIBS={workload}/libs/* KEY={key}
ExecStart=/bin/sh {script}
# Behind everybody else, and the first to go where memory is short.
CPUWeight=1
Nice=19
OOMScoreAdjust=1000
TimeoutStartSec=infinity
ReadWritePaths={cache}
{WALLS}RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
",
        cache = layout.cache(),
        script = layout.warm_script(),
    )
}

/// What [`warm_service`] runs. Only names of classes are taken from the list: they are looked up in
/// Kafka's own jars, while other lines could name archives of somebody else. Where the list is
/// short, nothing is noted, and the next hook tries again.
#[must_use]
pub fn warm_script(layout: &Layout) -> String {
    format!(
        "#!/bin/sh
# Archives the classes that the worker has loaded; run by {WARM_SERVICE}.
set -eu
rm -f worker.key new.jsa
LC_ALL=C sed -nE 's|^([[:alnum:]_$/]+)( id: [0-9]+)?$|\\1|p' {list} >classes.lst || true
[ \"$(wc -l <classes.lst)\" -ge {least} ] || exit 0
trap 'printf %s \"{failed}\" >worker.key' EXIT
\"$JAVA\" -Xshare:dump -XX:+UseG1GC -Xmx256m -Xlog:disable -Xlog:all=error:stderr \\
    -XX:SharedClassListFile=classes.lst -XX:SharedArchiveFile=new.jsa -cp \"$LIBS\"
sync new.jsa
mv -f new.jsa worker.jsa
trap - EXIT
printf %s \"$KEY\" >worker.key
",
        list = layout.class_list(),
        least = limits::ARCHIVED_CLASSES,
        failed = not_archived("$KEY"),
    )
}

/// What is noted in place of the key where an archive could not be made.
#[must_use]
pub fn not_archived(key: &str) -> String {
    format!("{key} failed")
}

/// The gateway's unit.
///
/// It takes its sockets from [`socket`] units that are there before it and outlive it, so that what
/// connects while it restarts waits. It wants them and does not require them: where one cannot
/// listen, the gateway still starts, serves its other door, and says why in its state.
///
/// Contract: systemd 249 and later (no `Type=notify-reload`, no `RestartSteps=`).
#[must_use]
pub fn gateway(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Gateway in front of Kafka Connect
After=network-online.target
Wants=network-online.target
# A socket cannot start beside a running service: who restarts a socket restarts the gateway.
PartOf={GATEWAY_CLIENT_SOCKET} {GATEWAY_PEER_SOCKET}
# Out of budget, the sockets close with it; the charm tries again when the budget is there again.
StartLimitIntervalSec={interval}
StartLimitBurst={burst}
OnFailure={WAKE_SERVICE}

[Service]
Type=notify
Sockets={GATEWAY_CLIENT_SOCKET} {GATEWAY_PEER_SOCKET}
User={GATEWAY_USER}
Group={GATEWAY_USER}
UMask=0027
RuntimeDirectory=kafka-connect-gateway
RuntimeDirectoryMode=0750
ExecStart={program} run --settings {settings}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec={pause}ms
TimeoutStopSec={stop}
LimitNOFILE=65536
{WALLS}ProcSubset=pid
MemoryDenyWriteExecute=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
",
        program = layout.gateway_program(),
        settings = layout.gateway_settings(),
        interval = limits::GATEWAY_START_INTERVAL_S,
        burst = limits::GATEWAY_STARTS,
        pause = limits::GATEWAY_RESTART_PAUSE_MS,
        stop = limits::GATEWAY_STOP_S,
    )
}

/// A door of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Clients and operators.
    Client,
    /// The other units.
    Peer,
}

/// The socket unit of a door.
#[must_use]
pub fn socket(door: Door, listen: &[SocketAddr]) -> String {
    let (whom, name) = match door {
        Door::Client => ("clients", "client"),
        Door::Peer => ("other units", "peer"),
    };
    let mut streams = String::new();
    for address in listen {
        writeln!(streams, "ListenStream={address}").expect("a text takes every text");
    }
    format!(
        "[Unit]
Description=The door of the Kafka Connect gateway for {whom}
# Starts are the charm's, for a new address; a budget would only close the door.
StartLimitIntervalSec=0

[Socket]
{streams}FileDescriptorName={name}
Service={GATEWAY_SERVICE}
Backlog={backlog}
# An address that comes a moment later, as at boot, is listened on already.
FreeBind=true

[Install]
WantedBy=sockets.target
",
        backlog = limits::GATEWAY_BACKLOG,
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
    /usr/bin/juju-exec {unit} 'JUJU_DISPATCH_PATH=hooks/{WAKE_HOOK} ./dispatch' || exit 1
    [ \"$seen\" = \"$(stat -c %y {state} 2>/dev/null)\" ] && exit 0
done
exit 0
",
        state = layout.gateway_state(),
    )
}
