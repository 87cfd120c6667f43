//! The worker: what it is started with.

use std::net::IpAddr;

use super::{FileGoal, WorkerGoal, file, unit};
use crate::fingerprint;
use crate::layout::{Layout, WORKER_SERVICE, WORKER_USER};
use crate::limits;
use crate::model::config::Profile;
use crate::model::kafka::{Kafka, KafkaAccess};
use crate::model::{Internal, Model};
use crate::observation::StartFacts;
use crate::plan::bundles::Bundles;
use crate::plan::{adoption, internal};
use crate::render::units::WorkerUnit;
use crate::render::worker::WorkerInput;
use crate::render::{jks, logging, units, worker};
use crate::status::{Finding, Id};
use crate::wire::pem;

fn kafka_finding(model: &Model<'_>) -> Option<Finding> {
    let finding = match &model.kafka {
        Kafka::Ready(_) => return None,
        Kafka::Missing => Finding::new(
            Id::KafkaMissing,
            [("application", &model.seen.identity.application)],
        ),
        Kafka::Several => Finding::bare(Id::KafkaSeveral),
        Kafka::Waiting { id, what } => Finding::new(
            Id::KafkaWaiting,
            [("relation", &id.to_string()), ("what", what)],
        ),
        Kafka::Faulty { id, field, text } => Finding::new(
            Id::KafkaFaulty,
            [
                ("relation", &id.to_string()),
                ("field", field),
                ("fault", text),
            ],
        ),
        Kafka::NoCa { id } => Finding::new(Id::KafkaNoCa, [("relation", &id.to_string())]),
    };
    Some(finding)
}

/// Everything a worker needs.
struct Ready<'a> {
    kafka: &'a KafkaAccess,
    internal: &'a Internal,
    java: &'a str,
    workload: &'a str,
    log4j2: bool,
    peer_address: IpAddr,
}

/// Whether the worker should run, and with what.
pub(super) fn goal(
    model: &Model<'_>,
    bundles: &Bundles,
    java: Option<&str>,
    workload: Option<&(String, String)>,
    request: Option<String>,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> WorkerGoal {
    findings.extend(kafka_finding(model));
    let kafka = match &model.kafka {
        Kafka::Missing => return WorkerGoal::Stop,
        Kafka::Ready(kafka) => kafka,
        Kafka::Several | Kafka::Waiting { .. } | Kafka::Faulty { .. } | Kafka::NoCa { .. } => {
            return WorkerGoal::Keep;
        }
    };
    if model.peers.is_none() {
        findings.push(Finding::bare(Id::PeersMissing));
        return WorkerGoal::Keep;
    }
    let Some(internal) = &model.internal else {
        findings.push(Finding::bare(Id::InternalWaiting));
        return WorkerGoal::Keep;
    };
    let (Some(java), Some((workload, version)), Some(peer_address), true) =
        (java, workload, model.addresses.told, model.config_is_good())
    else {
        return WorkerGoal::Keep;
    };
    if let Some(finding) = adoption::hold(model) {
        findings.push(finding);
        return WorkerGoal::Keep;
    }
    let log4j2 = !version.starts_with("3.");
    let ready = Ready {
        kafka,
        internal,
        java,
        workload,
        log4j2,
        peer_address,
    };
    run(model, bundles, &ready, request, layout)
}

fn run(
    model: &Model<'_>,
    bundles: &Bundles,
    ready: &Ready<'_>,
    request: Option<String>,
    layout: &Layout,
) -> WorkerGoal {
    let (properties, steady) = properties(model, bundles, ready, layout);
    let mut files = read_at_start(model, ready, layout);
    let mut fingerprints: Vec<String> = files
        .iter()
        .map(|file| fingerprint::sha256(file.content.expose()))
        .collect();
    fingerprints.push(fingerprint::sha256(steady.as_bytes()));
    let facts = StartFacts {
        configuration: fingerprint::sha256(fingerprints.join("\n").as_bytes()),
        plugins: bundles.wanted.clone(),
        request,
    };
    // Read afresh for each forwarded request, so no reason to restart.
    let authorities = pem::certificates(&internal::authorities(model));
    let live = vec![own(
        layout.peer_trust_store(),
        jks::trust_store(&authorities),
    )];
    files.push(own(layout.worker_properties(), properties));
    // Last: a worker that systemd restarts in between must not claim more than it read.
    let mut text = serde_json::to_vec_pretty(&facts).expect("texts and sets always serialise");
    text.push(b'\n');
    files.push(own(layout.start_facts(), text));
    WorkerGoal::Run { files, live, facts }
}

fn own(path: String, content: impl Into<Vec<u8>>) -> FileGoal {
    file(path, 0o640, WORKER_USER, content)
}

fn properties(
    model: &Model<'_>,
    bundles: &Bundles,
    ready: &Ready<'_>,
    layout: &Layout,
) -> (String, String) {
    // A bundle that is only now coming back has no facts yet, hence the safe choice.
    let store = &model.seen.host.bundles;
    let has_manifests =
        |digest: &String| store.get(digest).is_some_and(|bundle| bundle.has_manifests);
    let input = WorkerInput {
        config: &model.config,
        kafka: ready.kafka,
        peer_address: ready.peer_address,
        plugins: &bundles.wanted,
        manifests: bundles.wanted.iter().all(has_manifests),
    };
    worker::properties(&input, layout)
}

/// Files whose change needs a restart, `worker.properties` apart.
fn read_at_start(model: &Model<'_>, ready: &Ready<'_>, layout: &Layout) -> Vec<FileGoal> {
    let service = WorkerUnit {
        java: ready.java,
        workload: ready.workload,
        log4j2: ready.log4j2,
        heap_mib: heap(model),
        small: model.config.profile != Profile::Production,
    };
    let level = &model.config.log_level;
    let mut files = vec![
        file(
            unit(layout, WORKER_SERVICE),
            0o644,
            "root",
            units::worker(&service, layout),
        ),
        if ready.log4j2 {
            own(layout.log4j2(), logging::log4j2(level, layout))
        } else {
            own(layout.log4j(), logging::log4j(level, layout))
        },
        own(layout.jaas(), worker::jaas(layout)),
        own(
            layout.internal_users(),
            worker::internal_users(ready.internal),
        ),
    ];
    if let Some(authorities) = &ready.kafka.tls {
        files.push(own(
            layout.kafka_trust_store(),
            jks::trust_store(authorities),
        ));
    }
    files
}

/// The worker's heap in MiB.
pub(super) fn heap(model: &Model<'_>) -> u64 {
    let (least, most) = limits::HEAP_MIB;
    let automatic = match model.config.profile {
        Profile::Production => (model.seen.host.memory_mib / 2).clamp(least, most),
        Profile::Staging | Profile::Testing => limits::SMALL_HEAP_MIB,
    };
    model.config.heap_mib.unwrap_or(automatic)
}
