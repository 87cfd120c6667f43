//! What should be on this machine.

use std::net::IpAddr;

use super::bundles::Bundles;
use super::users::Users;
use super::{Owner, Step, WorkloadSource};
use crate::fingerprint;
use crate::layout::{
    GATEWAY_SERVICE, GATEWAY_USER, Layout, WAKE_PATH, WAKE_SERVICE, WORKER_SERVICE, WORKER_USER,
};
use crate::limits;
use crate::model::Model;
use crate::model::config::Profile;
use crate::model::kafka::{Kafka, KafkaAccess};
use crate::observation::{Observation, Reading, Resource, StartFacts};
use crate::render::gateway::GatewayInput;
use crate::render::units::WorkerUnit;
use crate::render::worker::WorkerInput;
use crate::render::{gateway, jks, logging, units, worker};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::pem;

/// A file as it should be.
#[derive(Debug)]
pub struct FileGoal {
    /// Path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
    /// Content.
    pub content: Secret<Vec<u8>>,
}

/// A directory as it should be.
#[derive(Debug)]
pub struct DirectoryGoal {
    /// Path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
}

/// What to do with the worker.
#[derive(Debug)]
pub enum WorkerGoal {
    /// It should run, started with these facts.
    Run {
        /// What it reads at its start; the facts' own file last.
        files: Vec<FileGoal>,
        /// What it is to be started with.
        facts: StartFacts,
    },
    /// It should not run, and Kafka's credentials should not be here.
    Stop,
    /// Something it needs cannot be judged now: it stays as it is.
    Keep,
}

/// What to do with the gateway.
#[derive(Debug)]
pub struct GatewayGoal {
    /// Its files and those of its certificate.
    pub files: Vec<FileGoal>,
    /// The certificate to issue, and the note of it to write afterwards.
    pub certificate: Option<(Step, FileGoal)>,
}

/// Everything that should be on this machine.
#[derive(Debug)]
pub struct Goal {
    /// Directories.
    pub directories: Vec<DirectoryGoal>,
    /// Programs to install.
    pub install: Vec<Step>,
    /// The users file.
    pub users_file: Option<FileGoal>,
    /// systemd units that do not depend on anything.
    pub wake_files: Vec<FileGoal>,
    /// The gateway; absent while it has to stay as it is.
    pub gateway: Option<GatewayGoal>,
    /// The worker.
    pub worker: WorkerGoal,
    /// Kafka version of the workload, once installed.
    pub version: Option<String>,
}

fn owner(user: &str, group: &str) -> Owner {
    Owner {
        user: user.to_owned(),
        group: group.to_owned(),
    }
}

fn file(path: String, mode: u32, group: &str, content: impl Into<Vec<u8>>) -> FileGoal {
    FileGoal {
        path,
        mode,
        owner: owner("root", group),
        content: Secret::new(content.into()),
    }
}

/// Derives the goal; what stands in its way goes to `findings`.
pub fn machine(
    model: &Model<'_>,
    bundles: &Bundles,
    users: Option<&Users>,
    request: Option<String>,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> Goal {
    let mut install = Vec::new();
    if !model.seen.host.gateway_installed {
        install.push(Step::InstallGateway {
            path: layout.gateway_program(),
        });
    }
    let java = java(model.seen, layout, &mut install, findings);
    let workload = workload(model, layout, &mut install, findings);
    Goal {
        directories: directories(layout),
        install,
        users_file: users.map(|users| {
            file(
                layout.gateway_users(),
                0o640,
                GATEWAY_USER,
                users.bytes.clone(),
            )
        }),
        wake_files: vec![
            file(
                unit(layout, WAKE_PATH),
                0o644,
                "root",
                units::wake_path(layout),
            ),
            file(
                unit(layout, WAKE_SERVICE),
                0o644,
                "root",
                units::wake_service(&model.seen.identity.unit()),
            ),
        ],
        gateway: gateway_goal(model, layout, findings),
        worker: worker_goal(
            model,
            bundles,
            java,
            workload.as_ref(),
            request,
            layout,
            findings,
        ),
        version: workload.map(|(_, version)| version),
    }
}

fn unit(layout: &Layout, name: &str) -> String {
    format!("{}/{name}", layout.systemd())
}

fn directories(layout: &Layout) -> Vec<DirectoryGoal> {
    [
        (layout.etc(), 0o750, "root", WORKER_USER),
        (layout.gateway_etc(), 0o750, "root", GATEWAY_USER),
        (layout.workloads(), 0o755, "root", "root"),
        (layout.jres(), 0o755, "root", "root"),
        (layout.lib(), 0o755, "root", "root"),
        (layout.plugins(), 0o755, "root", "root"),
        (layout.staging(), 0o700, "root", "root"),
        (layout.retired(), 0o755, "root", "root"),
        (layout.tmp(), 0o700, WORKER_USER, WORKER_USER),
        (layout.log(), 0o750, WORKER_USER, WORKER_USER),
    ]
    .into_iter()
    .map(|(path, mode, user, group)| DirectoryGoal {
        path,
        mode,
        owner: owner(user, group),
    })
    .collect()
}

fn attached<'a>(seen: &'a Observation, name: &str) -> Option<&'a Resource> {
    seen.resources
        .get(name)
        .and_then(Reading::known)
        .filter(|resource| resource.bytes > 0)
}

fn installed_as(resource: &Resource) -> String {
    format!(
        "resource-{}",
        fingerprint::short(resource.identity.as_bytes())
    )
}

/// Java: the machine's, else of the resource, else of the distribution.
fn java<'a>(
    seen: &'a Observation,
    layout: &Layout,
    install: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) -> Option<&'a str> {
    if let Some((path, _)) = &seen.host.java {
        return Some(path);
    }
    if let Some(Reading::Unreadable(fault)) = seen.resources.get("jre") {
        findings.push(Finding::new(
            Id::ResourceUnreadable,
            [("resource", "jre"), ("fault", fault)],
        ));
        return None;
    }
    if let Some(resource) = attached(seen, "jre") {
        let name = installed_as(resource);
        if seen.host.jres.contains(&name) {
            findings.push(Finding::bare(Id::JreUnusable));
            return None;
        }
        install.push(Step::InstallJre {
            archive: resource.path.clone(),
            directory: format!("{}/{name}", layout.jres()),
        });
    } else {
        install.push(Step::InstallPackages {
            packages: vec!["openjdk-17-jre-headless".to_owned()],
        });
    }
    findings.push(Finding::new(Id::Installing, [("what", "Java")]));
    None
}

/// The workload's directory and version: of the resource, else the pinned release.
fn workload(
    model: &Model<'_>,
    layout: &Layout,
    install: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) -> Option<(String, String)> {
    let seen = model.seen;
    if let Some(Reading::Unreadable(fault)) = seen.resources.get("kafka") {
        findings.push(Finding::new(
            Id::ResourceUnreadable,
            [("resource", "kafka"), ("fault", fault)],
        ));
        return None;
    }
    let (name, source) = if let Some(resource) = attached(seen, "kafka") {
        (
            installed_as(resource),
            WorkloadSource::Resource {
                path: resource.path.clone(),
            },
        )
    } else {
        if !model.config_is_good() {
            return None;
        }
        let release = model.config.release;
        let name = format!("kafka_2.13-{}", release.version);
        let url = format!(
            "{}/{}/{name}.tgz",
            model.config.kafka_mirror, release.version
        );
        (
            name,
            WorkloadSource::Release {
                url,
                sha512: release.sha512.to_owned(),
            },
        )
    };
    let directory = format!("{}/{name}", layout.workloads());
    if let Some(version) = seen.host.workloads.get(&name) {
        return Some((directory, version.clone()));
    }
    findings.push(Finding::new(Id::Installing, [("what", "Kafka")]));
    install.push(Step::InstallWorkload { source, directory });
    None
}

fn gateway_goal(
    model: &Model<'_>,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> Option<GatewayGoal> {
    let seen = model.seen;
    let peers = model.peers.as_ref()?;
    let internal = model.internal.as_ref()?;
    let network = &seen.network;
    for (binding, addresses) in [
        ("connect-client", &network.client_bind),
        ("workers", &network.peer_bind),
    ] {
        if addresses.is_empty() {
            findings.push(Finding::new(Id::NetworkWaiting, [("binding", binding)]));
            return None;
        }
    }
    if !model.config_is_good() {
        return None;
    }
    let certificate = certificate(model, layout);
    let ca = file(
        layout.internal_ca(),
        0o640,
        GATEWAY_USER,
        internal.ca_certificate.clone(),
    );
    let input = GatewayInput {
        config: &model.config,
        internal,
        client_bind: &network.client_bind,
        peer_bind: &network.peer_bind,
        peers: peers
            .others
            .iter()
            .filter_map(|(number, unit)| {
                Some((
                    format!("{}/{number}", seen.identity.application),
                    unit.peer_address?,
                ))
            })
            .collect(),
        // Written before the settings, in the same round.
        has_certificate: true,
    };
    Some(GatewayGoal {
        files: vec![
            ca,
            file(
                unit(layout, GATEWAY_SERVICE),
                0o644,
                "root",
                units::gateway(layout),
            ),
            file(
                layout.gateway_settings(),
                0o640,
                GATEWAY_USER,
                gateway::settings(&input, layout),
            ),
        ],
        certificate,
    })
}

/// The certificate of the peer door, if the one that is here is not for these addresses and CA.
fn certificate(model: &Model<'_>, layout: &Layout) -> Option<(Step, FileGoal)> {
    let internal = model.internal.as_ref()?;
    let name = model.seen.identity.unit();
    let mut addresses: Vec<IpAddr> = model.seen.network.peer_bind.clone();
    addresses.sort();
    addresses.dedup();
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let identity = fingerprint::sha256(
        format!("{name}\n{}\n{}", listed.join(" "), internal.ca_certificate).as_bytes(),
    );
    let note = file(
        layout.peer_identity(),
        0o644,
        "root",
        format!("{identity}\n"),
    );
    let files = &model.seen.host.files;
    let noted = files
        .get(&note.path)
        .is_some_and(|fact| fact.sha256 == fingerprint::sha256(note.content.expose()));
    let there = [layout.peer_certificate(), layout.peer_key()]
        .iter()
        .all(|path| files.contains_key(path));
    if noted && there {
        return None;
    }
    let step = Step::IssueCertificate {
        ca_certificate: internal.ca_certificate.clone(),
        ca_key: internal.ca_key.clone(),
        addresses,
        name,
        certificate_path: layout.peer_certificate(),
        key_path: layout.peer_key(),
        owner: owner("root", GATEWAY_USER),
    };
    Some((step, note))
}

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

fn worker_goal(
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
    let (Some(java), Some((directory, version)), Some(peer_address), true) = (
        java,
        workload,
        model.seen.network.peer_bind.first().copied(),
        model.config_is_good(),
    ) else {
        return WorkerGoal::Keep;
    };

    let host = &model.seen.host;
    let log4j2 = !version.starts_with("3.");
    let small = model.config.profile != Profile::Production;
    let service = units::worker(
        &WorkerUnit {
            java,
            workload: directory,
            log4j2,
            heap_mib: heap(model, host.memory_mib),
            small,
        },
        layout,
    );
    // A bundle that is only now coming back has no facts yet, hence the safe choice.
    let manifests = bundles.wanted.iter().all(|digest| {
        host.bundles
            .get(digest)
            .is_some_and(|bundle| bundle.has_manifests)
    });
    let input = WorkerInput {
        config: &model.config,
        kafka,
        peer_address,
        plugins: &bundles.wanted,
        manifests,
    };
    let (properties, steady) = worker::properties(&input, layout);
    let level = &model.config.log_level;
    let mut files = vec![
        file(unit(layout, WORKER_SERVICE), 0o644, "root", service),
        if log4j2 {
            file(
                layout.log4j2(),
                0o640,
                WORKER_USER,
                logging::log4j2(level, layout),
            )
        } else {
            file(
                layout.log4j(),
                0o640,
                WORKER_USER,
                logging::log4j(level, layout),
            )
        },
        file(layout.jaas(), 0o640, WORKER_USER, worker::jaas(layout)),
        file(
            layout.internal_users(),
            0o640,
            WORKER_USER,
            worker::internal_users(internal),
        ),
    ];
    if let Some(store) = kafka_trust(kafka, layout) {
        files.push(store);
    }
    let mut read_at_start: Vec<String> = files
        .iter()
        .map(|file| fingerprint::sha256(file.content.expose()))
        .collect();
    read_at_start.push(fingerprint::sha256(steady.as_bytes()));
    let facts = StartFacts {
        configuration: fingerprint::sha256(read_at_start.join("\n").as_bytes()),
        plugins: bundles.wanted.clone(),
        request,
    };
    // Read afresh for each forwarded request, so no reason to restart.
    files.push(file(
        layout.peer_trust_store(),
        0o640,
        WORKER_USER,
        jks::trust_store(&pem::certificates(&internal.ca_certificate)),
    ));
    files.push(file(
        layout.worker_properties(),
        0o640,
        WORKER_USER,
        properties,
    ));
    // Last: a worker that systemd restarts in between must not claim more than it read.
    let mut text = serde_json::to_vec_pretty(&facts).expect("texts and sets always serialise");
    text.push(b'\n');
    files.push(file(layout.start_facts(), 0o640, WORKER_USER, text));
    WorkerGoal::Run { files, facts }
}

fn kafka_trust(kafka: &KafkaAccess, layout: &Layout) -> Option<FileGoal> {
    let authorities = kafka.tls.as_ref()?;
    Some(file(
        layout.kafka_trust_store(),
        0o640,
        WORKER_USER,
        jks::trust_store(authorities),
    ))
}

fn heap(model: &Model<'_>, memory_mib: u64) -> u64 {
    let (least, most) = limits::HEAP_MIB;
    model.config.heap_mib.unwrap_or(match model.config.profile {
        Profile::Production => (memory_mib / 2).clamp(least, most),
        Profile::Staging | Profile::Testing => limits::SMALL_HEAP_MIB,
    })
}
