//! A small world to plan for: machines, databags and secrets, changed only by what plans say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use connect_core::fingerprint;
use connect_core::gateway::{
    Certificate as Presented, Protocol, Settings, State as GatewayState, Users,
};
use connect_core::layout::{GATEWAY_SERVICE, Layout, WORKER_SERVICE};
use connect_core::observation::*;
use connect_core::plan::{Entropy, MintedValue, Plan, Promise, Step};
use connect_core::secret::Secret;
use connect_core::wire::certificates::{REQUESTS, requests};
use connect_core::wire::x509::Certificate;
use connect_core::wire::{labels, pem};
use connect_core::{check, plan};

use crate::pki;

pub const MODEL: &str = "0a1b2c3d-0000-4000-8000-00000000000f";
pub const APP: &str = "kafka-connect";
pub const PEER_RELATION: RelationId = 900;
pub const ROUNDS: u32 = 6;
pub const CERTIFICATE: &str =
    "-----BEGIN CERTIFICATE-----\nQ0EgaW50ZXJuYWw=\n-----END CERTIFICATE-----\n";

/// Randomness that can be repeated.
pub struct Counter(pub u64);

impl Entropy for Counter {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            self.0 += 1;
            let digest = fingerprint::sha256(&self.0.to_be_bytes());
            for (index, byte) in chunk.iter_mut().enumerate() {
                let pair = digest.get(index * 2..index * 2 + 2).unwrap_or("00");
                *byte = u8::from_str_radix(pair, 16).unwrap();
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct SimFile {
    pub bytes: Vec<u8>,
    pub mode: u32,
    pub user: String,
    pub group: String,
}

#[derive(Clone, Debug)]
pub enum Served {
    Archive {
        digest: String,
        classes: Vec<String>,
        manifests: bool,
    },
    Empty,
    Fault(String),
}

#[derive(Clone, Debug, Default)]
pub struct SimSecret {
    pub uri: String,
    pub content: BTreeMap<String, String>,
    pub granted: BTreeSet<RelationId>,
    pub revision: u32,
}

#[derive(Clone, Debug, Default)]
pub struct SimClient {
    pub application: String,
    pub theirs: Databag,
    pub ours: Databag,
}

#[derive(Clone, Debug, Default)]
pub struct SimKafka {
    pub ours: Databag,
    pub theirs: Databag,
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
    pub withheld: bool,
}

/// What a gateway took from its settings that concerns peers.
#[derive(Clone, Debug)]
pub struct Inside {
    pub settings: String,
    /// Identity of the certificate of the peer door.
    pub presented: String,
    pub trusted: Vec<String>,
    /// Internal users: the one presented, then the one accepted besides.
    pub users: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default)]
pub struct SimTransfer {
    pub ours: Databag,
    pub theirs: Databag,
}

pub const CERTIFICATES_RELATION: RelationId = 5;
pub const TRANSFER_RELATION: RelationId = 6;

/// One unit's machine and unit databag.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub address: String,
    pub peer_address: Option<IpAddr>,
    pub bag: Databag,
    /// Its databag on `certificates`.
    pub requests: Databag,
    /// Its own secrets.
    pub secrets: BTreeMap<String, SimSecret>,
    pub host: Host,
    pub files: BTreeMap<String, SimFile>,
    pub classes: BTreeMap<String, Bundle>,
    pub healthy: bool,
    pub served: Option<Users>,
    /// What its client door speaks and presents.
    pub door: Option<(Protocol, Option<Presented>)>,
    /// What it does towards peers.
    pub inside: Option<Inside>,
    pub ports: BTreeSet<String>,
    pub starts: u32,
    /// Every restart is only queued, as systemd may do.
    pub slow_restart: bool,
    pub queued: bool,
    /// Its gateway does not look at new users.
    pub deaf: bool,
    /// Its worker exits at its start, for this reason.
    pub exits: Option<String>,
    /// Its worker does not become healthy, whatever happens.
    pub unfit: bool,
    /// Its healthy worker was restarted by a plan, and is not back.
    pub turning: bool,
    /// It cannot reach plugin servers.
    pub offline: bool,
    /// Nobody can reach it, and it runs no hooks.
    pub gone: bool,
    pub version_set: Option<String>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub config: BTreeMap<String, ConfigValue>,
    pub resources: BTreeMap<String, Reading<Resource>>,
    pub units: BTreeMap<u32, Machine>,
    pub leader: u32,
    pub kafka: BTreeMap<RelationId, SimKafka>,
    pub kafka_up: bool,
    pub clients: BTreeMap<RelationId, SimClient>,
    /// The databag of a provider of certificates, while it is related.
    pub certificates: Option<Databag>,
    /// CA certificates that somebody sends.
    pub transfer: Option<SimTransfer>,
    /// What the last fetch trusted besides the machine's CAs.
    pub trusted: Vec<String>,
    pub secrets: BTreeMap<String, SimSecret>,
    pub peer_bag: Databag,
    pub plugins: BTreeMap<String, Served>,
    pub connectors: BTreeMap<String, Connector>,
    pub group: Group,
    pub actions: u32,
    members: BTreeSet<u32>,
    pub now: u64,
    pub counter: u64,
    pub uris: u32,
    pub violations: Vec<String>,
    pub broken_steps: BTreeMap<String, String>,
    pub layout: Layout,
}

/// What a hook did.
#[derive(Debug)]
pub struct Done {
    pub rounds: u32,
    pub steps: Vec<String>,
    pub last: Plan,
}

impl Default for World {
    fn default() -> Self {
        Self::new(1)
    }
}

pub fn reconcile() -> Hook {
    Hook::Reconcile {
        name: "config-changed".to_owned(),
    }
}

pub fn bag(pairs: &[(&str, &str)]) -> Databag {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub const FIVE: &str = r#"["username", "password", "tls", "tls-ca", "uris"]"#;

impl World {
    pub fn new(units: u32) -> Self {
        let mut world = Self {
            config: BTreeMap::new(),
            resources: BTreeMap::from([(
                "kafka".to_owned(),
                Reading::Known(Resource {
                    path: "/res/kafka.tgz".to_owned(),
                    bytes: 10,
                    identity: "10-1".to_owned(),
                }),
            )]),
            units: BTreeMap::new(),
            leader: 0,
            kafka: BTreeMap::from([(3, answered_kafka())]),
            kafka_up: true,
            clients: BTreeMap::new(),
            certificates: None,
            transfer: None,
            trusted: Vec::new(),
            secrets: BTreeMap::new(),
            peer_bag: Databag::new(),
            plugins: BTreeMap::new(),
            connectors: BTreeMap::new(),
            group: Group::default(),
            actions: 0,
            members: BTreeSet::new(),
            now: 1_800_000_000,
            counter: 0,
            uris: 0,
            violations: Vec::new(),
            broken_steps: BTreeMap::new(),
            layout: Layout::new(""),
        };
        for number in 0..units {
            world.add_unit(number);
        }
        world
    }

    pub fn add_unit(&mut self, number: u32) {
        self.units.insert(
            number,
            Machine {
                address: format!("10.20.0.{}", number + 4),
                peer_address: format!("10.30.0.{}", number + 4).parse().ok(),
                host: Host {
                    memory_mib: 2048,
                    ..Host::default()
                },
                ..Machine::default()
            },
        );
    }

    pub fn add_client(&mut self, id: RelationId, application: &str, url: &str) {
        self.clients.insert(
            id,
            SimClient {
                application: application.to_owned(),
                theirs: bag(&[("plugin-url", url), ("requested-secrets", FIVE)]),
                ours: Databag::new(),
            },
        );
    }

    pub fn serve_plugin(&mut self, url: &str, digest: &str) {
        self.plugins.insert(
            url.to_owned(),
            Served::Archive {
                digest: digest.to_owned(),
                classes: vec![format!("com.example.{digest}")],
                manifests: true,
            },
        );
    }

    pub fn tag(&self, id: RelationId) -> String {
        format!("{MODEL}:{}:{id}", self.clients[&id].application)
    }

    /// Time passes: what was queued happens, what was starting is up.
    pub fn tick(&mut self) {
        self.now += 20;
        let kafka_up = self.kafka_up;
        for machine in self.units.values_mut() {
            if machine.queued {
                machine.queued = false;
                machine.start_worker();
            }
            machine.look_at_users();
            let cause = machine.reason_to_exit(&self.layout);
            if machine.worker_wanted() && cause.is_some() {
                machine.exit();
            } else if machine.worker_wanted() && !machine.worker_active() {
                // systemd's next attempt.
                machine.attempt();
            }
            let active = machine.worker_active();
            machine.exits.clone_from(&cause);
            machine.healthy = active && kafka_up && !machine.unfit && !machine.gone;
            if machine.healthy {
                machine.turning = false;
            }
            machine.host.worker_log_cause =
                (active && !kafka_up).then(|| "Timed out waiting for a node assignment".to_owned());
            if machine.exits.is_some() {
                machine.host.worker_log_cause.clone_from(&machine.exits);
            }
        }
        self.rebalance();
    }

    /// The group notices who is there, and tasks without a worker get another one.
    fn rebalance(&mut self) {
        let members = self.healthy();
        if members == self.members {
            return;
        }
        self.group.generation += 1;
        let leader = members
            .first()
            .and_then(|number| self.units[number].peer_address);
        self.group.leader = leader
            .map(|address| address.to_string())
            .unwrap_or_default();
        self.members.clone_from(&members);
        let ids: Vec<String> = members
            .iter()
            .map(|number| self.worker_id(*number))
            .collect();
        let mut next = 0;
        for task in self
            .connectors
            .values_mut()
            .flat_map(|one| one.tasks.values_mut())
        {
            if !ids.is_empty() && task.state == "RUNNING" && !ids.contains(&task.worker) {
                task.worker.clone_from(&ids[next % ids.len()]);
                next += 1;
            }
        }
    }

    fn healthy(&self) -> BTreeSet<u32> {
        let units = self.units.iter();
        units
            .filter(|(_, machine)| machine.healthy)
            .map(|(number, _)| *number)
            .collect()
    }

    /// A worker as the status route names it.
    pub fn worker_id(&self, number: u32) -> String {
        format!("{}:8084", self.units[&number].peer_address.unwrap())
    }

    /// A connector whose tasks run on the workers that there are.
    pub fn run_connector(&mut self, name: &str, owner: Option<String>, tasks: u32) {
        let members: Vec<u32> = self.healthy().into_iter().collect();
        let tasks = (0..tasks).map(|task| {
            let worker = match members.get(task as usize % members.len().max(1)) {
                Some(number) => self.worker_id(*number),
                None => "10.30.0.99:8084".to_owned(),
            };
            let state = "RUNNING".to_owned();
            (task, Task { state, worker })
        });
        let tasks = tasks.collect();
        let connector = Connector {
            owner,
            state: "RUNNING".to_owned(),
            tasks,
            trace: None,
        };
        self.connectors.insert(name.to_owned(), connector);
    }

    fn observe(&self, number: u32, hook: &Hook, passing: &Passing) -> Observation {
        let machine = &self.units[&number];
        let leader = self.leader == number;
        let breaking = match hook {
            Hook::RelationBroken { endpoint, id } => Some((endpoint.as_str(), *id)),
            _ => None,
        };
        let life = |endpoint: &str, id: RelationId| {
            if breaking == Some((endpoint, id)) {
                Life::Leaving
            } else {
                Life::Live
            }
        };
        let clients: BTreeMap<RelationId, ClientRelation> = self
            .clients
            .iter()
            .map(|(id, client)| {
                let relation = ClientRelation {
                    life: life("connect-client", *id),
                    application: client.application.clone(),
                    ours: leader.then(|| client.ours.clone()),
                    theirs: client.theirs.clone(),
                };
                (*id, relation)
            })
            .collect();
        let peers = PeerRelation {
            id: PEER_RELATION,
            application: self.peer_bag.clone(),
            ours: machine.bag.clone(),
            others: self
                .units
                .iter()
                .filter(|(other, _)| **other != number)
                .map(|(other, machine)| (format!("{APP}/{other}"), machine.bag.clone()))
                .collect(),
        };
        let wanted = labels::wanted(leader, &clients, Some(&peers), self.certificates.is_some());
        let secrets = wanted
            .into_iter()
            .map(|label| {
                let found = passing
                    .minted
                    .get(&label)
                    .or_else(|| self.secrets.get(&label))
                    .or_else(|| machine.secrets.get(&label));
                let reading = found.map_or(Reading::Absent, |secret| {
                    Reading::Known(OwnSecret {
                        uri: leader.then(|| secret.uri.clone()),
                        content: hidden(&secret.content),
                    })
                });
                (label, reading)
            })
            .chain(passing.minted.iter().map(|(label, secret)| {
                let own = OwnSecret {
                    uri: Some(secret.uri.clone()),
                    content: hidden(&secret.content),
                };
                (label.clone(), Reading::Known(own))
            }))
            .collect();
        let mut host = machine.host.clone();
        host.files = machine
            .files
            .iter()
            .map(|(path, file)| {
                let fact = FileFact {
                    sha256: fingerprint::sha256(&file.bytes),
                    mode: file.mode,
                    user: file.user.clone(),
                    group: file.group.clone(),
                };
                (path.clone(), fact)
            })
            .collect();
        host.peer_certificate = host
            .files
            .contains_key(&self.layout.peer_certificate())
            .then(|| {
                let file = &machine.files[&self.layout.peer_certificate()];
                let text = String::from_utf8_lossy(&file.bytes).into_owned();
                fingerprint::sha256(&pem::certificates(&text)[0])
            });
        if !machine.worker_active() {
            host.started = None;
        }
        host.group = machine.worker_active().then(|| self.group.clone());
        host.gateway = machine.gateway_state();
        let worker = if machine.worker_active() {
            Reading::Known(self.worker(machine))
        } else {
            Reading::Absent
        };
        Observation {
            hook: hook.clone(),
            now: self.now,
            identity: Identity {
                model_uuid: MODEL.to_owned(),
                application: APP.to_owned(),
                unit_number: number,
                charm_version: "1".to_owned(),
            },
            leader,
            config: self.config.clone(),
            peers: Some(peers),
            kafka: self
                .kafka
                .iter()
                .map(|(id, kafka)| {
                    let relation = KafkaRelation {
                        life: life("kafka-client", *id),
                        application: "kafka".to_owned(),
                        ours: leader.then(|| kafka.ours.clone()),
                        theirs: kafka.theirs.clone(),
                        secrets: kafka
                            .secrets
                            .iter()
                            .map(|(key, content)| {
                                let reading = if kafka.withheld {
                                    Reading::Unreadable("is not granted".to_owned())
                                } else {
                                    Reading::Known(hidden(content))
                                };
                                (key.clone(), reading)
                            })
                            .collect(),
                    };
                    (*id, relation)
                })
                .collect(),
            clients,
            certificates: self
                .certificates
                .iter()
                .map(|theirs| {
                    let relation = CertificatesRelation {
                        life: life("certificates", CERTIFICATES_RELATION),
                        ours: machine.requests.clone(),
                        theirs: theirs.clone(),
                    };
                    (CERTIFICATES_RELATION, relation)
                })
                .collect(),
            transfers: self
                .transfer
                .iter()
                .map(|transfer| {
                    let relation = TransferRelation {
                        life: life("receive-ca-cert", TRANSFER_RELATION),
                        ours: leader.then(|| transfer.ours.clone()),
                        theirs: transfer.theirs.clone(),
                        units: BTreeMap::new(),
                    };
                    (TRANSFER_RELATION, relation)
                })
                .collect(),
            secrets,
            minted: passing.minted.keys().cloned().collect(),
            network: Network {
                client_ingress: Some(machine.address.clone()),
                client_bind: machine.address.parse().into_iter().collect(),
                peer_bind: machine.peer_address.into_iter().collect(),
            },
            resources: self.resources.clone(),
            opened_ports: machine.ports.clone(),
            host,
            worker,
            unreachable: self
                .units
                .iter()
                .filter(|(other, machine)| leader && **other != number && machine.gone)
                .map(|(other, _)| format!("{APP}/{other}"))
                .collect(),
            fetched: passing.fetched.clone(),
            failures: passing.failures.clone(),
            done: passing.done.clone(),
            round: passing.round,
        }
    }

    fn worker(&self, machine: &Machine) -> Worker {
        if !machine.healthy {
            return Worker::default();
        }
        let started = machine.host.started.clone().unwrap_or_default();
        Worker {
            healthy: true,
            version: Some("4.1.2".to_owned()),
            plugin_classes: started
                .plugins
                .iter()
                .filter_map(|digest| machine.classes.get(digest))
                .flat_map(|bundle| bundle.classes.clone())
                .collect(),
            connectors: Some(self.connectors.clone()),
        }
    }

    /// Runs one hook; what it promises is committed at its end.
    pub fn hook(&mut self, number: u32, hook: Hook) -> Done {
        self.run(number, &hook, true)
    }

    /// A hook that does everything and then fails: Juju drops what it wrote, the machine stays
    /// changed.
    pub fn failing_hook(&mut self, number: u32, hook: &Hook) {
        self.run(number, hook, false);
    }

    fn run(&mut self, number: u32, hook: &Hook, commits: bool) -> Done {
        let mut passing = Passing::default();
        let mut steps = Vec::new();
        loop {
            let seen = self.observe(number, hook, &passing);
            let plan = self.plan(&seen);
            passing.round += 1;
            for mint in &plan.minted {
                self.uris += 1;
                let pair = if mint.label == labels::TLS_KEY {
                    pki::new_key()
                } else {
                    (String::new(), String::new())
                };
                let content = mint
                    .content
                    .iter()
                    .map(|(key, value)| {
                        let text = match value {
                            MintedValue::Text(text) => text.expose().clone(),
                            MintedValue::CaCertificate if mint.label == labels::INTERNAL => {
                                CERTIFICATE.to_owned()
                            }
                            MintedValue::CaCertificate => {
                                pem::block("CERTIFICATE", &self.uris.to_be_bytes())
                            }
                            MintedValue::CaKey => "private-key-of-the-internal-ca".to_owned(),
                            MintedValue::TlsKey => pair.0.clone(),
                            MintedValue::TlsPublicKey => pair.1.clone(),
                        };
                        (key.clone(), text)
                    })
                    .collect();
                let uri = format!("secret:uri{}", self.uris);
                passing.minted.insert(
                    mint.label.clone(),
                    SimSecret {
                        uri,
                        content,
                        granted: BTreeSet::new(),
                        revision: 1,
                    },
                );
            }
            for step in &plan.steps {
                steps.push(step.describe());
                let deaf = self.units[&number].deaf && matches!(step, Step::AwaitUsers { .. });
                let broken = self.broken_steps.get(&step.describe()).cloned();
                if let Some(reason) = broken.or_else(|| deaf.then(|| "timed out".to_owned())) {
                    let client = match step {
                        Step::FetchBundle { client, .. } | Step::DeleteConnector { client, .. } => {
                            Some(*client)
                        }
                        _ => None,
                    };
                    passing.failures.push(Failure {
                        step: step.describe(),
                        reason,
                        client,
                    });
                    if client.is_none() {
                        break;
                    }
                    continue;
                }
                self.check_restart(number, step);
                self.apply(number, step, &mut passing);
                passing.done.insert(step.describe());
            }
            let idle = plan.steps.is_empty() && plan.minted.is_empty();
            if idle || passing.round == ROUNDS {
                if !idle {
                    self.violations
                        .push(format!("hook {hook:?} did not settle: {:?}", plan.steps));
                }
                if commits {
                    self.commit(number, &plan, passing.minted);
                }
                return Done {
                    rounds: passing.round,
                    steps,
                    last: plan,
                };
            }
        }
    }

    fn plan(&mut self, seen: &Observation) -> Plan {
        let before = self.counter;
        let mut entropy = Counter(before);
        let one = plan(seen, &self.layout, &mut entropy);
        self.counter = entropy.0;
        let two = plan(seen, &self.layout, &mut Counter(before));
        if one != two {
            self.violations
                .push("two plans for one observation differ".to_owned());
        }
        self.violations.extend(check::violations(seen, &one));
        one
    }

    /// No healthy worker is restarted while another one that was is not back, or while a task is
    /// with a worker that is not there.
    fn check_restart(&mut self, number: u32, step: &Step) {
        let is_restart = matches!(step, Step::RestartUnit { unit, .. } if unit == WORKER_SERVICE);
        if !is_restart || !self.units[&number].healthy || self.connectors.is_empty() {
            return;
        }
        let others = self.units.iter().filter(|(other, _)| **other != number);
        let turning: Vec<u32> = others
            .filter(|(_, other)| other.turning && !other.gone && !other.unfit)
            .map(|(other, _)| *other)
            .collect();
        if !turning.is_empty() {
            self.violations.push(format!(
                "unit {number} restarts while {turning:?} are not back"
            ));
        }
        self.units.get_mut(&number).unwrap().turning = true;
    }

    fn apply(&mut self, number: u32, step: &Step, passing: &mut Passing) {
        let layout = self.layout.clone();
        let machine = self.units.get_mut(&number).unwrap();
        let active = machine.worker_active();
        let host = &mut machine.host;
        match step {
            Step::InstallPackages { .. } | Step::InstallJre { .. } => {
                host.java = Some(("/usr/bin/java".to_owned(), 17));
            }
            Step::CreateUser { name } => {
                host.users.insert(name.clone());
            }
            Step::CreateDirectory { path, mode, owner } => {
                host.directories.insert(
                    path.clone(),
                    FileFact {
                        sha256: String::new(),
                        mode: *mode,
                        user: owner.user.clone(),
                        group: owner.group.clone(),
                    },
                );
            }
            Step::InstallWorkload { directory, .. } => {
                let name = directory.rsplit('/').next().unwrap();
                host.workloads.insert(name.to_owned(), "4.1.2".to_owned());
            }
            Step::InstallGateway { .. } => host.gateway_installed = true,
            Step::FetchBundle {
                client,
                url,
                authorities,
                ..
            } => {
                self.trusted.clone_from(authorities);
                let served = self.plugins.get(url.expose()).filter(|_| !machine.offline);
                let outcome = match served {
                    Some(Served::Archive {
                        digest,
                        classes,
                        manifests,
                    }) => {
                        let bundle = Bundle {
                            classes: classes.iter().cloned().collect(),
                            has_manifests: *manifests,
                        };
                        machine.classes.insert(digest.clone(), bundle.clone());
                        host.bundles.insert(digest.clone(), bundle);
                        Fetched::Stored {
                            digest: digest.clone(),
                        }
                    }
                    Some(Served::Empty) => Fetched::Empty,
                    Some(Served::Fault(reason)) => Fetched::Failed {
                        reason: reason.clone(),
                    },
                    None => Fetched::Failed {
                        reason: "connection refused".to_owned(),
                    },
                };
                let (now, source) = (self.now, fingerprint::short(url.expose().as_bytes()));
                match &outcome {
                    Fetched::Failed { reason } => {
                        let before = host.failed_fetches.get(&source);
                        let again = FailedFetch::after(before, now, reason);
                        host.failed_fetches.insert(source, again);
                    }
                    Fetched::Stored { .. } | Fetched::Empty => {
                        host.failed_fetches.remove(&source);
                    }
                }
                passing.fetched.insert(*client, outcome);
            }
            Step::IssueCertificate {
                certificate_path,
                key_path,
                owner,
                ca_certificate,
                name,
                ..
            } => {
                let of = fingerprint::sha256(format!("{name} {ca_certificate}").as_bytes());
                let bytes = pem::block("CERTIFICATE", of.as_bytes()).into_bytes();
                for path in [certificate_path, key_path] {
                    machine.files.insert(
                        path.clone(),
                        SimFile {
                            bytes: bytes.clone(),
                            mode: 0o640,
                            user: owner.user.clone(),
                            group: owner.group.clone(),
                        },
                    );
                }
            }
            Step::WriteFile {
                path,
                mode,
                owner,
                content,
            } => {
                if let Some(unit) = path.strip_prefix(&format!("{}/", layout.systemd())) {
                    host.services.entry(unit.to_owned()).or_default().stale = true;
                }
                machine.files.insert(
                    path.clone(),
                    SimFile {
                        bytes: content.expose().clone(),
                        mode: *mode,
                        user: owner.user.clone(),
                        group: owner.group.clone(),
                    },
                );
            }
            Step::RemoveFile { path } => {
                machine.files.remove(path);
            }
            Step::RetireBundle { digest } => {
                host.bundles
                    .remove(digest)
                    .expect("a retired bundle was in the store");
                host.retired.insert(digest.clone());
            }
            Step::RestoreBundle { digest } => {
                assert!(host.retired.remove(digest), "a restored bundle was retired");
                host.bundles
                    .insert(digest.clone(), machine.classes[digest].clone());
            }
            Step::RemoveBundle { digest } => {
                host.bundles.remove(digest);
                host.retired.remove(digest);
            }
            Step::ReloadUnits => {
                for service in host.services.values_mut() {
                    service.stale = false;
                }
            }
            Step::EnableUnit { unit } => {
                host.services.entry(unit.clone()).or_default().enabled = "enabled".to_owned();
            }
            Step::StartUnit { unit } | Step::RestartUnit { unit, .. } => {
                if unit == WORKER_SERVICE && machine.slow_restart && active {
                    machine.queued = true;
                } else if unit == WORKER_SERVICE {
                    machine.start_worker();
                } else {
                    host.services.entry(unit.clone()).or_default().active = "active".to_owned();
                    if unit == GATEWAY_SERVICE {
                        machine.look_at_users();
                    }
                }
            }
            Step::StopUnit { unit, .. } => {
                host.services.entry(unit.clone()).or_default().active = "inactive".to_owned();
                if unit == WORKER_SERVICE {
                    machine.healthy = false;
                    host.started = None;
                }
            }
            Step::AwaitUsers { generation, .. } => {
                machine.look_at_users();
                let served = machine
                    .served
                    .as_ref()
                    .map(|users| users.generation.clone());
                assert_eq!(
                    served.as_ref(),
                    Some(generation),
                    "awaited users are on disk"
                );
            }
            Step::DeleteConnector { name, .. } => {
                self.connectors.remove(name);
            }
            Step::Leave => {
                machine.files.clear();
                machine.host = Host {
                    memory_mib: 2048,
                    ..Host::default()
                };
                machine.served = None;
                machine.door = None;
                machine.inside = None;
            }
        }
    }

    fn commit(&mut self, number: u32, plan: &Plan, minted: BTreeMap<String, SimSecret>) {
        let leader = self.leader == number;
        let mut published = Vec::new();
        for (label, secret) in minted {
            if label == labels::TLS_KEY {
                let machine = self.units.get_mut(&number).unwrap();
                machine.secrets.insert(label, secret);
            } else {
                self.secrets.insert(label, secret);
            }
        }
        for promise in &plan.promises {
            let leaders_only = match promise {
                Promise::SetUnitData { .. }
                | Promise::RequestCertificate { .. }
                | Promise::OpenPort { .. }
                | Promise::ClosePort { .. }
                | Promise::SetWorkloadVersion { .. } => false,
                Promise::RemoveSecret { label } => label != labels::TLS_KEY,
                _ => true,
            };
            assert!(
                leader || !leaders_only,
                "{promise:?} of a unit that does not lead"
            );
            match promise {
                Promise::SetApplicationData { relation, changes } => {
                    let bag = match relation.endpoint.as_str() {
                        "workers" => &mut self.peer_bag,
                        "kafka-client" => &mut self.kafka.get_mut(&relation.id).unwrap().ours,
                        "receive-ca-cert" => &mut self.transfer.as_mut().unwrap().ours,
                        "connect-client" => &mut self.clients.get_mut(&relation.id).unwrap().ours,
                        other => panic!("endpoint {other}"),
                    };
                    let was_published = bag.contains_key("secret-user");
                    change(bag, changes);
                    if bag.contains_key("secret-user") && !was_published {
                        published.push(relation.id);
                    }
                }
                Promise::RequestCertificate {
                    key, subject, id, ..
                } => {
                    let request = pki::request(key.expose(), subject, id);
                    let machine = self.units.get_mut(&number).unwrap();
                    machine.requests = bag(&[(REQUESTS, &requests(&request))]);
                }
                Promise::SetUnitData { changes, .. } => {
                    change(&mut self.units.get_mut(&number).unwrap().bag, changes);
                }
                Promise::SetSecret { label, content } => {
                    let secret = self.secrets.get_mut(label).expect("a secret that exists");
                    secret.revision += 1;
                    secret.content = content
                        .iter()
                        .map(|(key, value)| (key.clone(), value.expose().clone()))
                        .collect();
                }
                Promise::GrantSecret { label, relation } => {
                    self.secrets
                        .get_mut(label)
                        .unwrap()
                        .granted
                        .insert(relation.id);
                }
                Promise::RemoveSecret { label } => {
                    let machine = self.units.get_mut(&number).unwrap();
                    let own = machine.secrets.remove(label);
                    own.or_else(|| self.secrets.remove(label))
                        .expect("a secret that exists");
                }
                Promise::OpenPort { port } => {
                    self.units
                        .get_mut(&number)
                        .unwrap()
                        .ports
                        .insert(format!("{port}/tcp"));
                }
                Promise::ClosePort { port } => {
                    self.units
                        .get_mut(&number)
                        .unwrap()
                        .ports
                        .remove(&format!("{port}/tcp"));
                }
                Promise::SetWorkloadVersion { version } => {
                    self.units.get_mut(&number).unwrap().version_set = Some(version.clone());
                }
            }
        }
        for id in published {
            self.check_publication(id);
        }
    }

    /// The moment a client gets its answer: everything it says has to be true on every machine.
    fn check_publication(&mut self, id: RelationId) {
        let name = format!("relation-{id}");
        let password =
            &self.secrets[&format!("connect-client.{id}.user.secret")].content["password"];
        let hash = fingerprint::sha256(password.as_bytes());
        let wanted = match self.plugins.get(&self.clients[&id].theirs["plugin-url"]) {
            Some(Served::Archive { digest, .. }) => Some(digest.clone()),
            _ => None,
        };
        let told = connect_core::wire::peer::read_application(&self.peer_bag);
        let late = told
            .clients
            .get(&id)
            .map(|client| client.late.clone())
            .unwrap_or_default();
        for (number, machine) in &self.units {
            if late.contains(number) {
                if self.clients[&id].ours["endpoints"].contains(&machine.address) {
                    self.violations
                        .push(format!("{name} is sent to unit {number}, which is late"));
                }
                continue;
            }
            let served = machine.served.as_ref().is_some_and(|users| {
                users
                    .users
                    .iter()
                    .any(|user| user.name == name && user.passwords_sha256.contains(&hash))
            });
            if !served {
                self.violations
                    .push(format!("{name} published, unit {number} refuses it"));
            }
            let loaded = machine.host.started.clone().unwrap_or_default().plugins;
            if wanted
                .as_ref()
                .is_some_and(|digest| !loaded.contains(digest))
            {
                self.violations
                    .push(format!("{name} published, unit {number} lacks its plugin"));
            }
        }
        if !self.secrets[&format!("connect-client.{id}.user.secret")]
            .granted
            .contains(&id)
        {
            self.violations
                .push(format!("{name} published without a grant"));
        }
    }

    /// The relation goes away: broken on every unit, then gone.
    pub fn remove_client(&mut self, id: RelationId) {
        let units = self.units.iter().filter(|(_, machine)| !machine.gone);
        for number in units.map(|(number, _)| *number).collect::<Vec<_>>() {
            let hook = Hook::RelationBroken {
                endpoint: "connect-client".to_owned(),
                id,
            };
            self.hook(number, hook);
        }
        self.clients.remove(&id);
    }

    /// Hooks on all units and time in between, until nothing changes any more.
    pub fn settle(&mut self) -> u32 {
        let mut still = 0;
        for turn in 0..60 {
            let before = self.picture();
            let units = self.units.iter().filter(|(_, machine)| !machine.gone);
            for number in units.map(|(number, _)| *number).collect::<Vec<_>>() {
                self.hook(number, reconcile());
            }
            self.tick();
            // Twice: some things happen because time passed.
            still = if self.picture() == before {
                still + 1
            } else {
                0
            };
            if still == 2 {
                return turn - 1;
            }
        }
        self.violations.push("the world does not settle".to_owned());
        60
    }

    /// All that hooks can change, for comparison.
    pub fn picture(&self) -> String {
        let units: Vec<String> = self
            .units
            .iter()
            .map(|(number, m)| {
                format!(
                    "{number} {:?} {:?} {:?} {:?} {} {} {:?} {:?} {:?}",
                    m.bag,
                    m.requests,
                    m.files,
                    m.host,
                    m.healthy,
                    m.starts,
                    m.served,
                    m.door,
                    m.inside
                )
            })
            .collect();
        format!(
            "{units:?} {:?} {:?} {:?} {:?}",
            self.peer_bag, self.clients, self.secrets, self.connectors
        )
    }

    pub fn assert_sound(&self) {
        assert_eq!(self.violations, Vec::<String>::new());
    }
}

/// What belongs to one hook.
#[derive(Default)]
struct Passing {
    minted: BTreeMap<String, SimSecret>,
    fetched: BTreeMap<RelationId, Fetched>,
    failures: Vec<Failure>,
    done: BTreeSet<String>,
    round: u32,
}

impl Machine {
    pub fn worker_active(&self) -> bool {
        self.host
            .services
            .get(WORKER_SERVICE)
            .is_some_and(|fact| fact.active == "active")
    }

    fn start_worker(&mut self) {
        let layout = Layout::new("");
        self.host
            .services
            .entry(WORKER_SERVICE.to_owned())
            .or_default()
            .active = "active".to_owned();
        self.host.services.get_mut(WORKER_SERVICE).unwrap().restarts = 0;
        let facts = &self.files[&layout.start_facts()].bytes;
        self.host.started = Some(serde_json::from_slice(facts).unwrap());
        self.healthy = false;
        self.starts += 1;
    }

    /// Whether systemd keeps the worker running, or keeps trying to.
    fn worker_wanted(&self) -> bool {
        let fact = self.host.services.get(WORKER_SERVICE);
        fact.is_some_and(|fact| matches!(fact.active.as_str(), "active" | "activating"))
    }

    /// What is on disk for the next start makes a worker exit: an option's value, or a plugin.
    fn reason_to_exit(&self, layout: &Layout) -> Option<String> {
        let properties = self.files.get(&layout.worker_properties())?;
        let properties = String::from_utf8_lossy(&properties.bytes).into_owned();
        if properties.contains("offset.flush.interval.ms=never") {
            return Some(
                "ConfigException: Invalid value never for configuration offset.flush.interval.ms"
                    .to_owned(),
            );
        }
        properties
            .contains("/bad0/")
            .then(|| "NoClassDefFoundError: com/example/Missing".to_owned())
    }

    fn exit(&mut self) {
        let fact = self.host.services.get_mut(WORKER_SERVICE).unwrap();
        fact.active = "activating".to_owned();
        fact.restarts += 1;
        self.host.started = None;
        self.healthy = false;
    }

    fn attempt(&mut self) {
        let fact = self.host.services.get_mut(WORKER_SERVICE).unwrap();
        fact.active = "active".to_owned();
        let facts = &self.files[&Layout::new("").start_facts()].bytes;
        self.host.started = Some(serde_json::from_slice(facts).unwrap());
        self.healthy = false;
    }

    fn gateway_runs(&self) -> bool {
        self.host
            .services
            .get(GATEWAY_SERVICE)
            .is_some_and(|fact| fact.active == "active")
    }

    fn look_at_users(&mut self) {
        if !self.gateway_runs() || self.deaf {
            return;
        }
        if let Some(file) = self.files.get(&Layout::new("").gateway_users()) {
            self.served = Some(serde_json::from_slice(&file.bytes).unwrap());
        }
        self.look_at_door();
    }

    fn look_at_door(&mut self) {
        let layout = Layout::new("");
        let Some(settings) = self.files.get(&layout.gateway_settings()) else {
            return;
        };
        let generation = fingerprint::sha256(&settings.bytes);
        let settings: Settings = serde_json::from_slice(&settings.bytes).unwrap();
        let presented = settings.client_door.tls.map(|tls| {
            assert_eq!(tls.certificate_file, layout.client_pem());
            let file = &self.files[&tls.certificate_file];
            assert_eq!(
                (file.mode, file.group.as_str()),
                (0o640, "kafka-connect-gateway")
            );
            let text = std::str::from_utf8(&file.bytes).unwrap();
            assert!(text.contains("PRIVATE KEY"));
            let leaf = Certificate::all(text).remove(0);
            Presented {
                sha256: fingerprint::sha256(&leaf.der),
                serial: String::new(),
                not_after: 0,
            }
        });
        assert_eq!(
            settings.client_door.protocol == Protocol::Http,
            presented.is_none()
        );
        self.door = Some((settings.client_door.protocol, presented));
        let identities = |path: &str| -> Vec<String> {
            let text = String::from_utf8_lossy(&self.files[path].bytes).into_owned();
            let ders = pem::certificates(&text);
            ders.iter().map(|der| fingerprint::sha256(der)).collect()
        };
        let peer_door = settings.peer_door.unwrap();
        let worker = settings.worker;
        self.inside = Some(Inside {
            settings: generation,
            presented: identities(&peer_door.certificate_file).remove(0),
            trusted: identities(&peer_door.ca_file),
            users: std::iter::once(worker.internal)
                .chain(worker.internal_other)
                .map(|user| (user.username, user.password))
                .collect(),
        });
    }

    fn gateway_state(&self) -> Option<GatewayState> {
        self.gateway_runs().then(|| GatewayState {
            users_generation: self
                .served
                .as_ref()
                .map(|users| users.generation.clone())
                .unwrap_or_default(),
            settings_generation: self
                .inside
                .as_ref()
                .map(|inside| inside.settings.clone())
                .unwrap_or_default(),
            peer_certificate: self.inside.as_ref().map(|inside| Presented {
                sha256: inside.presented.clone(),
                serial: String::new(),
                not_after: 0,
            }),
            trusted_cas: self
                .inside
                .as_ref()
                .map(|inside| inside.trusted.clone())
                .unwrap_or_default(),
            client_door: true,
            peer_door: true,
            worker_healthy: self.healthy,
            client_protocol: self.door.as_ref().map(|door| door.0),
            client_certificate: self.door.as_ref().and_then(|door| door.1.clone()),
            fault: None,
            ..GatewayState::default()
        })
    }
}

fn change(bag: &mut Databag, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => bag.insert(key.clone(), value.clone()),
            None => bag.remove(key),
        };
    }
}

pub fn hidden(content: &BTreeMap<String, String>) -> BTreeMap<String, Secret<String>> {
    content
        .iter()
        .map(|(key, value)| (key.clone(), Secret::new(value.clone())))
        .collect()
}

pub fn answered_kafka() -> SimKafka {
    SimKafka {
        ours: Databag::new(),
        theirs: bag(&[
            ("endpoints", "10.0.0.9:9092"),
            ("topic", "connect-offset"),
            ("tls", "disabled"),
            ("secret-user", "secret:kafka"),
        ]),
        secrets: BTreeMap::from([(
            "secret-user".to_owned(),
            BTreeMap::from([
                ("username".to_owned(), "relation-3".to_owned()),
                (
                    "password".to_owned(),
                    "kafkaPassw0rd-kafkaPassw0rd".to_owned(),
                ),
            ]),
        )]),
        withheld: false,
    }
}
