//! What holds for any observation and any history.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::layout::{Layout, WORKER_SERVICE};
use connect_core::observation::*;
use connect_core::secret::Secret;
use connect_core::{check, plan};
use proptest::prelude::*;

use crate::world::*;

/// `PROPTEST_CASES` asks for more than a quick run needs.
fn cases(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

const PASSWORD: &str = "aaaaBBBBccccDDDD0000111122223333";

/// Draws small decisions from a list that proptest can shrink.
struct Draw<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl Draw<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0)) % limit
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 1
    }

    fn word(&mut self) -> String {
        const WORDS: [&str; 23] = [
            "",
            "NOT-REQUIRED",
            "http://10.1.1.5:8080/p",
            "http://:80/",
            "ftp://x",
            FIVE,
            "[\"username\"]",
            "{}",
            "[[[",
            "{\"7\":\"aaaa\"}",
            "{\"7\":{\"application\":\"a\",\"user\":\"u\",\"digest\":\"\"}}",
            "{\"9\":{\"application\":\"a\"}}",
            "{\"number\":3,\"units\":[\"kafka-connect/0\",\"kafka-connect/1\"]}",
            "18446744073709551615",
            "true",
            "enabled",
            "10.0.0.9:9092",
            "relation-7",
            "pass word\n",
            "secret:abc",
            "v1",
            "request-5",
            "Ünïcode\u{0}\u{1b}[31m",
        ];
        WORDS[self.below(WORDS.len())].to_owned()
    }

    fn bag(&mut self, keys: &[&str]) -> Databag {
        keys.iter()
            .filter_map(|key| self.yes().then(|| ((*key).to_owned(), self.word())))
            .collect()
    }

    fn reading<T>(&mut self, value: T) -> Reading<T> {
        match self.below(5) {
            0 => Reading::Absent,
            1 => Reading::Unreadable("permission denied".to_owned()),
            _ => Reading::Known(value),
        }
    }

    fn secret_content(&mut self) -> BTreeMap<String, Secret<String>> {
        let keys = [
            "username",
            "password",
            "ca-certificate",
            "ca-key",
            "endpoints",
            "tls-ca",
        ];
        let values = ["", "relation-7", PASSWORD, "pass word\n"];
        let mut content = BTreeMap::new();
        for key in keys {
            if self.yes() {
                let value = values[self.below(values.len())].to_owned();
                content.insert(key.to_owned(), Secret::new(value));
            }
        }
        content
    }

    fn id(&mut self) -> RelationId {
        [1, 7, 9, 10][self.below(4)]
    }

    fn digests(&mut self) -> BTreeSet<String> {
        ["aaaa", "bbbb"]
            .into_iter()
            .filter(|_| self.yes())
            .map(ToOwned::to_owned)
            .collect()
    }

    fn hook(&mut self) -> Hook {
        let endpoint = ["connect-client", "kafka-client", "workers"][self.below(3)].to_owned();
        match self.below(9) {
            0 => Hook::Start,
            1 => Hook::UpgradeCharm,
            2 => Hook::UpdateStatus,
            3 => Hook::RelationBroken {
                endpoint,
                id: self.id(),
            },
            4 => Hook::RelationDeparted {
                endpoint,
                id: self.id(),
                departing_unit: format!("kafka-connect/{}", self.below(3)),
            },
            5 => Hook::Leave,
            6 => Hook::RestartRequested { id: "5".to_owned() },
            7 => Hook::RotateRequested {
                relation: self.id(),
            },
            _ => reconcile(),
        }
    }

    fn life(&mut self) -> Life {
        [
            Life::Live,
            Life::Live,
            Life::Live,
            Life::Leaving,
            Life::Parting,
        ][self.below(5)]
    }

    #[allow(clippy::too_many_lines, reason = "one statement per field")]
    fn observation(&mut self) -> Observation {
        let unit_keys = connect_core::wire::peer::UNIT_KEYS;
        let app_keys = connect_core::wire::peer::APPLICATION_KEYS;
        let leader = self.yes();
        let mut clients = BTreeMap::new();
        for _ in 0..self.below(4) {
            let keys = [
                "plugin-url",
                "requested-secrets",
                "version",
                "requests",
                "data",
                "x",
            ];
            let ours = [
                "endpoints",
                "secret-user",
                "secret-extra",
                "data",
                "username",
                "tls",
            ];
            let relation = ClientRelation {
                life: self.life(),
                application: ["mysql", ""][self.below(2)].to_owned(),
                ours: leader.then(|| self.bag(&ours)),
                theirs: self.bag(&keys),
            };
            clients.insert(self.id(), relation);
        }
        let mut kafka = BTreeMap::new();
        for _ in 0..self.below(3) {
            let keys = [
                "endpoints",
                "username",
                "password",
                "tls",
                "tls-ca",
                "topic",
            ];
            let content = self.secret_content();
            let relation = KafkaRelation {
                life: self.life(),
                application: "kafka".to_owned(),
                ours: leader.then(|| self.bag(&["topic", "extra-user-roles"])),
                theirs: self.bag(&keys),
                secrets: BTreeMap::from([("secret-user".to_owned(), self.reading(content))]),
            };
            kafka.insert(self.id(), relation);
        }
        let mut secrets = BTreeMap::new();
        let mut minted = BTreeSet::new();
        let labels = [
            "kafka-connect.internal.secret",
            "connect-client.7.user.secret",
            "connect-client.7.next.secret",
            "connect-client.7.extra.secret",
            "connect-client.1.user.secret",
            "connect-client.9.user.secret",
        ];
        for label in labels {
            if self.yes() {
                let secret = OwnSecret {
                    uri: self.yes().then(|| "secret:abc".to_owned()),
                    content: self.secret_content(),
                };
                secrets.insert(label.to_owned(), self.reading(secret));
                if self.below(4) == 0 {
                    minted.insert(label.to_owned());
                }
            }
        }
        let worker = Worker {
            healthy: self.yes(),
            version: self.yes().then(|| "4.1.2".to_owned()),
            plugin_classes: self.digests(),
            connectors: self.yes().then(|| {
                let connector = Connector {
                    owner: self.yes().then(|| format!("{MODEL}:a:9")),
                    state: self.word(),
                    tasks: BTreeMap::from([(0, self.word())]),
                    trace: self.yes().then(|| self.word()),
                };
                BTreeMap::from([(self.word(), connector)])
            }),
        };
        let actives = [
            "active",
            "inactive",
            "failed",
            "activating",
            "deactivating",
            "?",
        ];
        let service = |draw: &mut Self| ServiceFact {
            active: actives[draw.below(actives.len())].to_owned(),
            enabled: ["enabled", "disabled", ""][draw.below(3)].to_owned(),
            stale: draw.yes(),
            ..ServiceFact::default()
        };
        let host = Host {
            memory_mib: [0, 512, u64::MAX][self.below(3)],
            java: self.yes().then(|| ("/usr/bin/java".to_owned(), 17)),
            users: BTreeSet::new(),
            workloads: if self.yes() {
                BTreeMap::from([("kafka_2.13-4.1.2".to_owned(), "4.1.2".to_owned())])
            } else {
                BTreeMap::new()
            },
            gateway_installed: self.yes(),
            services: BTreeMap::from([
                (WORKER_SERVICE.to_owned(), service(self)),
                ("kafka-connect-gateway.service".to_owned(), service(self)),
            ]),
            bundles: self
                .digests()
                .into_iter()
                .map(|d| (d, Bundle::default()))
                .collect(),
            retired: self.digests(),
            started: self.yes().then(|| StartFacts {
                configuration: "x".to_owned(),
                plugins: self.digests(),
                request: self.yes().then(|| "5".to_owned()),
            }),
            worker_log_cause: self.yes().then(|| self.word().repeat(20)),
            ..Host::default()
        };
        let options = [
            "rest-port",
            "group-id",
            "worker-config",
            "profile",
            "kafka-mirror",
        ];
        let config = options
            .iter()
            .filter_map(|option| {
                self.yes().then(|| {
                    let value = if self.yes() {
                        ConfigValue::Text(self.word())
                    } else {
                        ConfigValue::Integer([i64::MIN, -1, 0, 8083, i64::MAX][self.below(5)])
                    };
                    ((*option).to_owned(), value)
                })
            })
            .collect();
        Observation {
            hook: self.hook(),
            now: [0, 1_800_000_000, u64::MAX / 2][self.below(3)],
            identity: Identity {
                model_uuid: MODEL.to_owned(),
                application: APP.to_owned(),
                unit_number: 0,
                charm_version: "1".to_owned(),
            },
            leader,
            config,
            peers: (self.below(4) > 0).then(|| PeerRelation {
                id: PEER_RELATION,
                application: self.bag(&app_keys),
                ours: self.bag(&unit_keys),
                others: if self.yes() {
                    BTreeMap::from([
                        ("kafka-connect/1".to_owned(), self.bag(&unit_keys)),
                        ("kafka-connect/x".to_owned(), self.bag(&unit_keys)),
                    ])
                } else {
                    BTreeMap::new()
                },
            }),
            kafka,
            clients,
            secrets,
            minted,
            network: Network {
                client_ingress: self.yes().then(|| self.word()),
                client_bind: self
                    .yes()
                    .then(|| "10.0.0.1".parse().unwrap())
                    .into_iter()
                    .collect(),
                peer_bind: self
                    .yes()
                    .then(|| "fd00::1".parse().unwrap())
                    .into_iter()
                    .collect(),
            },
            resources: BTreeMap::from([(
                "kafka".to_owned(),
                self.reading(Resource {
                    path: "/r".to_owned(),
                    bytes: 1,
                    identity: "i".to_owned(),
                }),
            )]),
            opened_ports: self
                .bag(&["8083/tcp", "9000/tcp", "x", "1/udp"])
                .into_keys()
                .collect(),
            host,
            worker: self.reading(worker),
            fetched: if self.yes() {
                let outcomes = [
                    Fetched::Stored {
                        digest: "aaaa".to_owned(),
                    },
                    Fetched::Empty,
                    Fetched::Failed {
                        reason: "HTTP 404".to_owned(),
                    },
                ];
                BTreeMap::from([(self.id(), outcomes[self.below(3)].clone())])
            } else {
                BTreeMap::new()
            },
            failures: if self.below(4) == 0 {
                vec![Failure {
                    step: "reload systemd units".to_owned(),
                    reason: self.word(),
                    client: None,
                }]
            } else {
                Vec::new()
            },
            done: BTreeSet::new(),
            round: 0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_observation_gives_one_sound_plan(
        bytes in prop::collection::vec(any::<u8>(), 0..400)
    ) {
        let seen = Draw { bytes: bytes.iter() }.observation();
        let layout = Layout::new("/tmp/root");
        let one = plan(&seen, &layout, &mut Counter(1));
        let two = plan(&seen, &layout, &mut Counter(1));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(check::violations(&seen, &one), Vec::<String>::new());
        let shown = format!("{seen:?} {one:?}").contains(PASSWORD);
        prop_assert!(!shown);
        let replay = serde_json::to_string(&seen).unwrap();
        prop_assert!(!replay.contains(PASSWORD));
    }
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Hook(u8),
    FailingHook(u8),
    Tick,
    AddClient(u8, u8),
    RemoveClient(u8),
    ChangePlugin(u8, u8),
    SpoilRequest(u8),
    Rotate(u8),
    MoveLeader(u8),
    AddUnit,
    RemoveUnit(u8),
    KafkaDown(bool),
    KillWorker(u8),
    KillGateway(u8),
    LoseFiles(u8),
    Setting(bool),
    BadSetting(bool),
    Connect(u8),
    ServePlugins(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        8 => any::<u8>().prop_map(Hook),
        2 => any::<u8>().prop_map(FailingHook),
        4 => Just(Tick),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| AddClient(a, b)),
        2 => any::<u8>().prop_map(RemoveClient),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| ChangePlugin(a, b)),
        1 => any::<u8>().prop_map(SpoilRequest),
        1 => any::<u8>().prop_map(Rotate),
        2 => any::<u8>().prop_map(MoveLeader),
        1 => Just(AddUnit),
        1 => any::<u8>().prop_map(RemoveUnit),
        1 => any::<bool>().prop_map(KafkaDown),
        1 => any::<u8>().prop_map(KillWorker),
        1 => any::<u8>().prop_map(KillGateway),
        1 => any::<u8>().prop_map(LoseFiles),
        1 => any::<bool>().prop_map(Setting),
        1 => any::<bool>().prop_map(BadSetting),
        1 => any::<u8>().prop_map(Connect),
        1 => any::<bool>().prop_map(ServePlugins),
    ]
}

const URLS: [&str; 4] = [
    "NOT-REQUIRED",
    "http://10.1.1.1/a",
    "http://10.1.1.2/b",
    "http://10.1.1.3/also-a",
];

fn pick<T: Copy>(from: &[T], choice: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(choice) % from.len()])
}

fn serve(world: &mut World, up: bool) {
    world.plugins.clear();
    if up {
        for (url, digest) in URLS[1..].iter().zip(["aaaa", "bbbb", "aaaa"]) {
            world.serve_plugin(url, digest);
        }
    }
}

fn happen(world: &mut World, what: Happening) {
    let units: Vec<u32> = world.units.keys().copied().collect();
    let clients: Vec<u32> = world.clients.keys().copied().collect();
    let unit = |choice: u8| pick(&units, choice).unwrap();
    match what {
        Happening::Hook(choice) => {
            world.hook(unit(choice), reconcile());
        }
        Happening::FailingHook(choice) => world.failing_hook(unit(choice), reconcile()),
        Happening::Tick => world.tick(),
        Happening::AddClient(id, url) => {
            // A relation's number is never used again.
            let id = world.uris * 100 + u32::from(id);
            let url = pick(&URLS, url).unwrap();
            if !world.clients.contains_key(&id) && world.clients.len() < 4 {
                world.uris += 1;
                world.add_client(id, "client", url);
            }
        }
        Happening::RemoveClient(choice) => {
            if let Some(id) = pick(&clients, choice) {
                world.remove_client(id);
            }
        }
        Happening::ChangePlugin(choice, url) => {
            if let Some(id) = pick(&clients, choice) {
                let url = pick(&URLS, url).unwrap().to_owned();
                let client = world.clients.get_mut(&id).unwrap();
                client.theirs = bag(&[("plugin-url", &url), ("requested-secrets", FIVE)]);
            }
        }
        Happening::SpoilRequest(choice) => {
            if let Some(id) = pick(&clients, choice) {
                let client = world.clients.get_mut(&id).unwrap();
                client
                    .theirs
                    .insert("requested-secrets".to_owned(), "?".to_owned());
            }
        }
        Happening::Rotate(choice) => {
            if let Some(id) = pick(&clients, choice)
                && world.units.contains_key(&world.leader)
            {
                world.hook(world.leader, Hook::RotateRequested { relation: id });
            }
        }
        Happening::MoveLeader(choice) => world.leader = unit(choice),
        Happening::AddUnit => {
            let next = units.iter().max().unwrap() + 1;
            if units.len() < 4 {
                world.add_unit(next);
            }
        }
        Happening::RemoveUnit(choice) => {
            let leaving = unit(choice);
            if units.len() > 1 {
                remove_unit(world, &units, &clients, leaving);
            }
        }
        Happening::KafkaDown(down) => world.kafka_up = !down,
        Happening::KillWorker(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            if let Some(service) = machine.host.services.get_mut(WORKER_SERVICE) {
                service.active = "failed".to_owned();
                machine.healthy = false;
            }
        }
        Happening::KillGateway(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            if let Some(service) = machine
                .host
                .services
                .get_mut("kafka-connect-gateway.service")
            {
                service.active = "failed".to_owned();
            }
        }
        Happening::LoseFiles(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            let facts = Layout::new("").start_facts();
            machine.files.retain(|path, _| *path == facts);
        }
        Happening::Setting(on) => {
            let level = if on { "DEBUG" } else { "INFO" };
            world
                .config
                .insert("log-level".to_owned(), ConfigValue::Text(level.to_owned()));
        }
        Happening::BadSetting(on) => {
            let port = if on { 70000 } else { 8083 };
            world
                .config
                .insert("rest-port".to_owned(), ConfigValue::Integer(port));
        }
        Happening::Connect(choice) => {
            // Who was never told of a user cannot have made a connector.
            let told: Vec<u32> = clients
                .iter()
                .copied()
                .filter(|id| world.clients[id].ours.contains_key("secret-user"))
                .collect();
            if let Some(id) = pick(&told, choice) {
                let owner = Some(world.tag(id));
                let connector = Connector {
                    owner,
                    ..Connector::default()
                };
                world
                    .connectors
                    .insert(format!("connector-{id}"), connector);
            }
        }
        Happening::ServePlugins(up) => serve(world, up),
    }
}

fn remove_unit(world: &mut World, units: &[u32], clients: &[u32], leaving: u32) {
    let departing_unit = format!("{APP}/{leaving}");
    for id in clients {
        world.hook(
            leaving,
            Hook::RelationDeparted {
                endpoint: "connect-client".to_owned(),
                id: *id,
                departing_unit: departing_unit.clone(),
            },
        );
    }
    world.hook(leaving, Hook::Leave);
    if world.leader == leaving {
        world.leader = *units.iter().find(|unit| **unit != leaving).unwrap();
    }
    world.units.remove(&leaving);
    for other in units.iter().filter(|unit| **unit != leaving) {
        world.hook(
            *other,
            Hook::RelationDeparted {
                endpoint: "workers".to_owned(),
                id: PEER_RELATION,
                departing_unit: departing_unit.clone(),
            },
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_ends_well(
        units in 1..4_u32,
        history in prop::collection::vec(happening(), 0..40),
    ) {
        let mut world = World::new(units);
        serve(&mut world, true);
        for what in history {
            happen(&mut world, what);
        }
        // The troubles end, and everything finds its place.
        world.kafka_up = true;
        world.config.remove("rest-port");
        serve(&mut world, true);
        for client in world.clients.values_mut() {
            client.theirs.insert("requested-secrets".to_owned(), FIVE.to_owned());
        }
        world.now += 1000;
        world.settle();
        prop_assert_eq!(&world.violations, &Vec::<String>::new());

        let names: Vec<String> =
            world.clients.keys().map(|id| format!("relation-{id}")).collect::<BTreeSet<_>>()
                .into_iter().collect();
        let endpoints: Vec<String> =
            world.units.values().map(|m| format!("http://{}:8083", m.address)).collect();
        for (id, client) in &world.clients {
            prop_assert!(client.ours.contains_key("secret-user"), "client {} {:?}", id, client);
            prop_assert_eq!(&client.ours["endpoints"], &endpoints.join(","));
        }
        for (number, machine) in &world.units {
            prop_assert!(machine.healthy, "unit {}", number);
            let served = machine.served.clone().unwrap_or_default().users;
            let mut served: Vec<String> = served.into_iter().map(|user| user.name).collect();
            served.sort();
            prop_assert_eq!(&served, &names, "unit {}", number);
            let wanted: BTreeSet<&str> = world.clients.values()
                .filter_map(|client| {
                    let url = client.theirs["plugin-url"].as_str();
                    URLS.iter().position(|one| *one == url).filter(|index| *index > 0)
                        .map(|index| ["aaaa", "bbbb", "aaaa"][index - 1])
                }).collect();
            let stored: BTreeSet<&str> = machine.host.bundles.keys().map(String::as_str).collect();
            prop_assert_eq!(stored, wanted, "unit {}", number);
        }
        let users = world.secrets.keys().filter(|label| label.ends_with(".user.secret")).count();
        prop_assert_eq!(users, world.clients.len(), "{:?}", world.secrets.keys());
        for (name, connector) in &world.connectors {
            let id = connector.owner.as_ref().unwrap().rsplit(':').next().unwrap();
            let id: u32 = id.parse().unwrap();
            prop_assert!(world.clients.contains_key(&id), "{} outlived its client", name);
        }
        prop_assert!(!world.peer_bag.contains_key("tombstones"));
        // A converged world needs nothing.
        for number in world.units.keys().copied().collect::<Vec<_>>() {
            let done = world.hook(number, reconcile());
            prop_assert_eq!(done.rounds, 1);
            prop_assert_eq!(&done.last.promises, &vec![], "unit {}", number);
        }
    }
}
