//! A small world to plan for: machines, databags and secrets, changed only by what plans say.

mod commit;
mod invariants;
mod machine;
mod observe;
mod steps;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use connect_core::fingerprint;
use connect_core::gateway::{
    Certificate as Presented, Protocol, Settings, State as GatewayState, Users,
};
use connect_core::layout::{
    GATEWAY_SERVICE, GATEWAY_SOCKETS, Layout, WARM_SERVICE, WARM_USER, WORKER_SERVICE, WORKER_USER,
};
use connect_core::observation::*;
use connect_core::plan::{Entropy, MintedValue, Plan, Promise, Step};
use connect_core::secret::Secret;
use connect_core::wire::certificates::{REQUESTS, requests};
use connect_core::wire::x509::Certificate;
use connect_core::wire::{labels, pem};
use connect_core::{check, plan};

use crate::pki;

/// Where a client serves its plugin.
pub const URL: &str = "http://10.1.1.5:8080/plugin";
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
    /// Further addresses of both bindings, after the first ones.
    pub more: Vec<IpAddr>,
    /// Where its running worker is known at.
    pub advertised: Option<IpAddr>,
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
    /// Its systemd does not start the gateway any more.
    pub out_of_budget: bool,
    /// No archive of its worker's classes can be made.
    pub unarchivable: bool,
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
    /// It was lost, and has run no hook since.
    pub out_of_date: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub config: BTreeMap<String, ConfigValue>,
    pub resources: BTreeMap<String, Reading<Resource>>,
    pub units: BTreeMap<u32, Machine>,
    pub leader: u32,
    /// Units that Juju is about to remove.
    pub dying: BTreeSet<u32>,
    pub kafka: BTreeMap<RelationId, SimKafka>,
    pub kafka_up: bool,
    pub clients: BTreeMap<RelationId, SimClient>,
    /// The databag of a provider of certificates, while it is related.
    pub certificates: Option<Databag>,
    /// CA certificates that somebody sends.
    pub transfer: Option<SimTransfer>,
    /// What the last fetch trusted besides the machine's CAs.
    pub trusted: Vec<String>,
    /// The operator's secret that `system-users` names, while it names one.
    pub operators: Option<Reading<BTreeMap<String, Secret<String>>>>,
    pub secrets: BTreeMap<String, SimSecret>,
    pub peer_bag: Databag,
    pub plugins: BTreeMap<String, Served>,
    /// Faults of plugin servers are such that only a change helps.
    pub lasting: bool,
    /// How often somebody asked for a plugin.
    pub fetches: u32,
    pub connectors: BTreeMap<String, Connector>,
    /// Workers that are healthy cannot list them.
    pub unlisted: bool,
    pub group: Group,
    /// Who is in the group that options name, besides our workers.
    pub foreign: Reading<GroupFacts>,
    pub actions: u32,
    members: Vec<String>,
    pub now: u64,
    pub counter: u64,
    pub uris: u32,
    pub violations: Vec<String>,
    /// The secrets that clients were told of.
    pub told: BTreeMap<RelationId, String>,
    /// How often an address has changed.
    pub moves: u32,
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
            dying: BTreeSet::new(),
            kafka: BTreeMap::from([(3, answered_kafka())]),
            kafka_up: true,
            clients: BTreeMap::new(),
            certificates: None,
            transfer: None,
            trusted: Vec::new(),
            operators: None,
            secrets: BTreeMap::new(),
            peer_bag: Databag::new(),
            plugins: BTreeMap::new(),
            lasting: false,
            fetches: 0,
            connectors: BTreeMap::new(),
            unlisted: false,
            group: Group::default(),
            foreign: Reading::Known(GroupFacts::default()),
            actions: 0,
            members: Vec::new(),
            now: 1_800_000_000,
            counter: 0,
            uris: 0,
            violations: Vec::new(),
            told: BTreeMap::new(),
            moves: 0,
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

    /// Attaches a plugin of the operator's own.
    pub fn attach(&mut self, path: &str, bytes: u64) {
        let resource = Resource {
            path: path.to_owned(),
            bytes,
            identity: format!("{bytes} {path}"),
        };
        let reading = Reading::Known(resource);
        self.resources.insert("connect-plugin".to_owned(), reading);
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

    /// A worker as the status route names it.
    pub fn worker_id(&self, number: u32) -> String {
        let machine = &self.units[&number];
        let address = machine.advertised.or(machine.peer_address).unwrap();
        std::net::SocketAddr::new(address, 8084).to_string()
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

    /// Runs one hook; what it promises is committed at its end.
    pub fn hook(&mut self, number: u32, hook: Hook) -> Done {
        self.run(number, &hook, End::Good)
    }

    /// A hook that does everything and then fails: Juju drops what it wrote, the machine stays
    /// changed.
    pub fn failing_hook(&mut self, number: u32, hook: &Hook) {
        self.run(number, hook, End::Failed);
    }

    /// A hook whose process ends after so many steps; it fails as well if it has fewer.
    pub fn crashing_hook(&mut self, number: u32, hook: &Hook, after: usize) {
        self.run(number, hook, End::Crash { after });
    }

    /// A hook that ends well, and after so many of its steps, or at its end, something else happens.
    pub fn overtaken_hook(&mut self, number: u32, hook: &Hook, after: usize, what: Meanwhile) {
        self.run(number, hook, End::Overtaken { after, what });
    }

    fn meanwhile(&mut self, what: Meanwhile) {
        match what {
            Meanwhile::Hook(other) => {
                self.hook(other, reconcile());
            }
            Meanwhile::Leads(other) => {
                self.leader = other;
                self.hook(other, reconcile());
            }
        }
    }

    fn run(&mut self, number: u32, hook: &Hook, end: End) -> Done {
        let mut passing = Passing::default();
        let mut steps = Vec::new();
        let mut seen = self.observe(number, hook, &passing);
        let mut meanwhile = match end {
            End::Overtaken { after, what } => Some((after, what)),
            End::Good | End::Failed | End::Crash { .. } => None,
        };
        loop {
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
                if matches!(end, End::Crash { after } if after == steps.len()) {
                    return Done {
                        rounds: passing.round,
                        steps,
                        last: plan,
                    };
                }
                if let Some((_, what)) = meanwhile.take_if(|(after, _)| *after == steps.len()) {
                    self.meanwhile(what);
                }
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
                self.units.get_mut(&number).unwrap().out_of_date = false;
                if !idle {
                    self.violations
                        .push(format!("hook {hook:?} did not settle: {:?}", plan.steps));
                }
                if let Some((_, what)) = meanwhile.take() {
                    self.meanwhile(what);
                }
                if matches!(end, End::Good | End::Overtaken { .. }) {
                    self.commit(number, seen.leader, &plan, passing.minted);
                }
                return Done {
                    rounds: passing.round,
                    steps,
                    last: plan,
                };
            }
            self.look_again(number, hook, &passing, &mut seen);
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

/// How a hook ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Juju keeps what it wrote.
    Good,
    /// Everything was done, and Juju keeps nothing.
    Failed,
    /// The same in the middle.
    Crash {
        /// After so many steps.
        after: usize,
    },
    /// Something else happens in the middle, or at the end.
    Overtaken {
        /// After so many steps.
        after: usize,
        what: Meanwhile,
    },
}

/// What happens while a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// A whole hook of another unit.
    Hook(u32),
    /// The same, and the other unit leads from now on.
    Leads(u32),
}

/// What belongs to one hook.
#[derive(Default)]
struct Passing {
    minted: BTreeMap<String, SimSecret>,
    fetched: BTreeMap<RelationId, Fetched>,
    admitted: Option<Fetched>,
    failures: Vec<Failure>,
    done: BTreeSet<String>,
    round: u32,
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

/// How often each worker started.
pub fn starts(world: &World) -> Vec<u32> {
    world.units.values().map(|machine| machine.starts).collect()
}

pub fn published(world: &World, id: u32) -> bool {
    world.clients[&id].ours.contains_key("secret-user")
}

pub fn users_of(world: &World, number: u32) -> Vec<String> {
    let users = world.units[&number]
        .served
        .clone()
        .unwrap_or_default()
        .users;
    users.into_iter().map(|user| user.name).collect()
}
