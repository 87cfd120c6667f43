//! What holds for any observation.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::layout::{Layout, WORKER_SERVICE};
use connect_core::observation::*;
use connect_core::secret::Secret;
use connect_core::{check, plan};
use proptest::prelude::*;

use crate::histories::cases;
use crate::world::*;

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
        const WORDS: [&str; 26] = [
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
            "{\"7\":{\"application\":\"a\",\"user\":\"u\",\"digest\":\"\",\"sha256\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
            "{\"number\":3,\"units\":[\"kafka-connect/0\",\"kafka-connect/1\"],\"tasks\":{\"a\":4294967295}}",
            "{\"1\":1700000000}",
            "[0,1]",
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
            .filter_map(|key| {
                if self.yes() {
                    Some(((*key).to_owned(), self.word()))
                } else {
                    None
                }
            })
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
        let endpoint =
            ["connect-client", "kafka-client", "workers", "certificates"][self.below(4)].to_owned();
        match self.below(10) {
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
            6 => Hook::RestartRequested {
                id: "5".to_owned(),
                all: self.yes(),
                force: self.yes(),
            },
            7 => Hook::RotateRequested {
                relation: self.id(),
            },
            8 => Hook::RotateInternalRequested,
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
    fn group(&mut self) -> Reading<GroupFacts> {
        let facts = GroupFacts {
            members: self.bag(&["10.0.0.8", "10.0.0.9"]).into_keys().collect(),
            written: self.yes(),
        };
        self.reading(facts)
    }

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
                "secret-tls",
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
        let operators = if leader && self.below(8) == 0 {
            let mut content = self.secret_content();
            content.insert("admin".to_owned(), Secret::new(PASSWORD.to_owned()));
            self.reading(content)
        } else {
            Reading::Absent
        };
        let mut secrets = BTreeMap::new();
        let mut minted = BTreeSet::new();
        let labels = [
            "kafka-connect.internal.secret",
            "kafka-connect.operators.secret",
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
                    tasks: BTreeMap::from([(
                        0,
                        Task {
                            state: ["RUNNING", "FAILED", ""][self.below(3)].to_owned(),
                            worker: ["10.0.0.1:8084", "[fd00::1]:8084", "x"][self.below(3)]
                                .to_owned(),
                        },
                    )]),
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
            outdated: draw.yes(),
            ..ServiceFact::default()
        };
        let host = Host {
            memory_mib: [0, 512, u64::MAX][self.below(3)],
            java: self
                .yes()
                .then(|| ("/usr/bin/java".to_owned(), "17.0.15".to_owned())),
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
                ("kafka-connect-gateway.socket".to_owned(), service(self)),
                (
                    "kafka-connect-gateway-peer.socket".to_owned(),
                    service(self),
                ),
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
            group: self.yes().then(|| Group {
                generation: 3,
                leader: ["10.0.0.1", "fd00::1", ""][self.below(3)].to_owned(),
                delay_ms: [0, 5000][self.below(2)],
            }),
            ..Host::default()
        };
        let options = [
            "rest-port",
            "group-id",
            "worker-config",
            "profile",
            "kafka-mirror",
        ];
        let mut config = BTreeMap::new();
        for option in options {
            if self.yes() {
                let value = if self.yes() {
                    ConfigValue::Text(self.word())
                } else {
                    ConfigValue::Integer([i64::MIN, -1, 0, 8083, i64::MAX][self.below(5)])
                };
                config.insert(option.to_owned(), value);
            }
        }
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
            certificates: if self.yes() {
                let relation = CertificatesRelation {
                    life: self.life(),
                    ours: self.bag(&["certificate_signing_requests"]),
                    theirs: self.bag(&["certificates", "request_errors"]),
                };
                BTreeMap::from([(self.id(), relation)])
            } else {
                BTreeMap::new()
            },
            transfers: if self.yes() {
                let relation = TransferRelation {
                    life: self.life(),
                    ours: leader.then(|| self.bag(&["version"])),
                    theirs: self.bag(&["certificates", "version"]),
                    units: BTreeMap::new(),
                };
                BTreeMap::from([(self.id(), relation)])
            } else {
                BTreeMap::new()
            },
            operators,
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
            resources: ["kafka", "connect-plugin"]
                .into_iter()
                .map(|name| {
                    let resource = Resource {
                        path: "/r".to_owned(),
                        bytes: self.below(2) as u64,
                        identity: "i".to_owned(),
                    };
                    (name.to_owned(), self.reading(resource))
                })
                .collect(),
            opened_ports: self
                .bag(&["8083/tcp", "9000/tcp", "x", "1/udp"])
                .into_keys()
                .collect(),
            host,
            worker: self.reading(worker),
            group: self.group(),
            unreachable: self.bag(&["kafka-connect/1", "x"]).into_keys().collect(),
            dying: self.bag(&["kafka-connect/1", "x"]).into_keys().collect(),
            fetched: if self.yes() {
                let outcomes = [
                    Fetched::Stored {
                        digest: "aaaa".to_owned(),
                    },
                    Fetched::Empty,
                    Fetched::Failed {
                        reason: "HTTP 404".to_owned(),
                        lasting: self.yes(),
                    },
                ];
                BTreeMap::from([(self.id(), outcomes[self.below(3)].clone())])
            } else {
                BTreeMap::new()
            },
            admitted: self.yes().then(|| Fetched::Stored {
                digest: "aaaa".to_owned(),
            }),
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
