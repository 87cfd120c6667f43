//! Cases written as data: what is given, what happens, what is expected.
//!
//! `cases/*.yaml` holds ours. `CONNECT_CORE_CASES=<directory>` runs another directory of the same
//! format besides, and `CONNECT_CORE_SKIP=<id>,<id>` leaves out cases of it.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::fingerprint;
use connect_core::layout::Layout;
use connect_core::observation::{ConfigValue, Connector, Databag, Hook};
use serde_yaml::Value;

use crate::world::*;

const NO_LEADER: u32 = 99;

#[test]
fn our_cases_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/cases");
    let ran = run_directory(folder, &BTreeSet::new());
    assert!(ran > 30, "{ran}");
}

#[test]
fn other_cases_hold() {
    let Ok(folder) = std::env::var("CONNECT_CORE_CASES") else {
        return;
    };
    let skip = std::env::var("CONNECT_CORE_SKIP").unwrap_or_default();
    let skip: BTreeSet<String> = skip.split(',').map(ToOwned::to_owned).collect();
    assert!(run_directory(&folder, &skip) > 0);
}

fn run_directory(folder: &str, skip: &BTreeSet<String>) -> usize {
    let mut failed = Vec::new();
    let mut ran = 0;
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let document: Value =
            serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let area = text(&document, "area");
        if !["connect-v0", "kafka"].contains(&area.as_str()) {
            continue;
        }
        for case in document["cases"].as_sequence().unwrap() {
            let id = text(case, "id");
            // What is not ours: another policy, and TLS towards clients.
            let tls = case["given"]["world"].get("ca").is_some()
                || case["given"]["world"].get("own_ca").is_some();
            if skip.contains(&id) || text(case, "policy") == "plain-allowed" || tls {
                continue;
            }
            ran += 1;
            let case = Case::new(&document["defaults"], case);
            let problems = if area == "kafka" {
                case.kafka()
            } else {
                case.client()
            };
            for problem in problems {
                failed.push(format!("{id} ({}): {problem}", text(&case.case, "title")));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} problems:\n{}",
        failed.len(),
        failed.join("\n")
    );
    ran
}

struct Case {
    case: Value,
    relation: u32,
    given: Value,
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn merge(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            let mut merged = base.clone();
            for (key, value) in over {
                if value.is_null() {
                    merged.remove(key);
                } else {
                    let below = base.get(key).cloned().unwrap_or(Value::Null);
                    merged.insert(key.clone(), merge(&below, value));
                }
            }
            Value::Mapping(merged)
        }
        (base, Value::Null) => base.clone(),
        (_, over) => over.clone(),
    }
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let Value::Mapping(map) = value else {
        return BTreeMap::new();
    };
    map.iter()
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            (key.as_str().unwrap().to_owned(), pem(value))
        })
        .collect()
}

/// `pem:x` stands for a certificate.
fn pem(value: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (index, part) in value.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match part.strip_prefix("pem:") {
            Some(name) => write!(
                out,
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----",
                base64(name.as_bytes())
            )
            .unwrap(),
            None => out.push_str(part),
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for index in 0..3 {
            word = word << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..4 {
            if index <= chunk.len() {
                out.push(ALPHABET[(word >> (18 - 6 * index) & 63) as usize] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_sequence()
        .into_iter()
        .flatten()
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

impl Case {
    fn new(defaults: &Value, case: &Value) -> Self {
        let relation = case.get("relation").or_else(|| defaults.get("relation"));
        let relation = relation.and_then(Value::as_u64).unwrap();
        Self {
            case: case.clone(),
            relation: u32::try_from(relation).unwrap(),
            given: merge(defaults, &case["given"]),
        }
    }

    fn hook(&self, endpoint: &str) -> Hook {
        let event = text(&self.case, "event");
        if event == format!("{endpoint}-relation-broken") {
            Hook::RelationBroken {
                endpoint: endpoint.to_owned(),
                id: self.relation,
            }
        } else if event == format!("{endpoint}-relation-departed") {
            Hook::RelationDeparted {
                endpoint: endpoint.to_owned(),
                id: self.relation,
                departing_unit: "client/1".to_owned(),
            }
        } else {
            Hook::Reconcile { name: event }
        }
    }

    fn leads(&self) -> bool {
        self.case
            .get("leader")
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }

    fn client(&self) -> Vec<String> {
        let given = &self.given;
        let id = self.relation;
        let world_given = &given["world"];
        let mut world = World::new(0);
        for worker in world_given["workers"].as_sequence().into_iter().flatten() {
            let number = text(worker, "unit")
                .rsplit('/')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            world.add_unit(number);
            let machine = world.units.get_mut(&number).unwrap();
            machine.address = text(worker, "address");
            machine.unfit = !worker["ready"].as_bool().unwrap();
        }
        if let Some(port) = world_given["port"].as_i64() {
            world
                .config
                .insert("rest-port".to_owned(), ConfigValue::Integer(port));
        }
        world.settle();

        // What was installed before got there in the ordinary way.
        let given_ours = strings(&given["P.app"]);
        let old_data: BTreeMap<String, String> = given_ours
            .get("data")
            .and_then(|data| serde_json::from_str(data).ok())
            .unwrap_or_default();
        for installed in list(&world_given["installed"]) {
            let mut parts = installed.splitn(3, '-').skip(1);
            let of: u32 = parts.next().unwrap().parse().unwrap();
            let digest = parts.next().unwrap();
            let url = old_data
                .get("plugin-url")
                .filter(|_| of == id)
                .cloned()
                .unwrap_or_else(|| format!("http://old.example/{digest}"));
            world.serve_plugin(&url, digest);
            world.add_client(of, &format!("client-{of}"), &url);
        }
        world.settle();
        for of in world.clients.keys() {
            let tag = world.tag(*of);
            let connector = Connector {
                owner: Some(tag),
                ..Connector::default()
            };
            world.connectors.insert(format!("of-{of}"), connector);
        }

        if given.get("R.app").is_some() {
            let client = world.clients.entry(id).or_default();
            client.application = "client".to_owned();
            client.theirs = strings(&given["R.app"]);
            self.secrets(&mut world);
            let ours = given_ours.into_iter().map(|(key, value)| {
                let value = match value.strip_prefix('@') {
                    Some(name) => world.secrets[&self.label(name)].uri.clone(),
                    None => value,
                };
                (key, value)
            });
            world.clients.get_mut(&id).unwrap().ours = ours.collect();
            self.plugin(&mut world);
        }

        let leader = *world.units.keys().next().unwrap();
        world.leader = if self.leads() { leader } else { NO_LEADER };
        let before = world.clone();
        let done = world.hook(leader, self.hook("connect-client"));
        if matches!(self.hook("connect-client"), Hook::RelationBroken { .. }) {
            world.clients.remove(&id);
        }
        world.settle();
        self.judge_client(&before, &world, &done)
    }

    fn label(&self, group: &str) -> String {
        format!("connect-client.{}.{group}.secret", self.relation)
    }

    fn secrets(&self, world: &mut World) {
        let Value::Mapping(secrets) = &self.given["secrets"] else {
            return;
        };
        for (name, secret) in secrets {
            let label = text(secret, "label");
            assert_eq!(label, self.label(name.as_str().unwrap()));
            let old = world.secrets.remove(&label);
            let uri = format!("secret:given{}", name.as_str().unwrap());
            world.secrets.insert(
                label,
                SimSecret {
                    uri: old.map_or(uri, |old| old.uri),
                    content: strings(&secret["content"]),
                    granted: BTreeSet::from([self.relation]),
                    revision: 1,
                },
            );
        }
    }

    fn plugin(&self, world: &mut World) {
        let Some(mut plugin) = self.given["world"].get("plugin") else {
            return;
        };
        if let Some(then) = plugin.get("then") {
            plugin = then;
        }
        let url = world.clients[&self.relation].theirs["plugin-url"].clone();
        let body = text(plugin, "body");
        let served = if plugin["status"].as_u64() != Some(200) || body == "html" {
            Served::Fault("no archive".to_owned())
        } else if body == "empty-tar" {
            Served::Empty
        } else {
            let digest = text(plugin, "sha256");
            Served::Archive {
                digest: if digest.is_empty() {
                    "given".to_owned()
                } else {
                    digest
                },
                classes: vec!["com.example.Given".to_owned()],
                manifests: true,
            }
        };
        world.plugins.insert(url, served);
    }

    fn judge_client(&self, before: &World, after: &World, done: &Done) -> Vec<String> {
        let mut problems = after.violations.clone();
        let expect = &self.case["expect"];
        let outcome = text(expect, "outcome");
        let id = self.relation;
        let empty = Databag::new();
        let bag = after.clients.get(&id).map_or(&empty, |client| &client.ours);
        for (key, value) in strings(&expect["bag"]) {
            let wanted = match value.strip_prefix('@') {
                Some(name) => after.secrets.get(&self.label(name)).map(|s| s.uri.clone()),
                None => Some(value),
            };
            if bag.get(&key) != wanted.as_ref() {
                problems.push(format!("{key} is {:?}, not {wanted:?}", bag.get(&key)));
            }
        }
        for key in list(&expect["absent"]) {
            if bag.contains_key(&key) {
                problems.push(format!("{key} is there"));
            }
        }
        if expect.get("data").is_some() {
            let data: BTreeMap<String, String> =
                serde_json::from_str(bag.get("data").map_or("{}", String::as_str)).unwrap();
            if data != strings(&expect["data"]) {
                problems.push(format!("data is {data:?}"));
            }
        }
        self.judge_secrets(before, after, &mut problems);
        match outcome.as_str() {
            "noop" => {
                let was = before
                    .clients
                    .get(&id)
                    .map_or(&empty, |client| &client.ours);
                if was != bag {
                    problems.push(format!("the databag changed from {was:?} to {bag:?}"));
                }
                let revisions = |world: &World| -> Vec<(String, u32)> {
                    world
                        .secrets
                        .iter()
                        .map(|(k, s)| (k.clone(), s.revision))
                        .collect()
                };
                if revisions(before) != revisions(after) {
                    problems.push("secrets changed".to_owned());
                }
            }
            "hold" => {
                let named = format!("connect-client:{id}");
                if !done.last.status.message.contains(&named) {
                    problems.push(format!("the status is {:?}", done.last.status));
                }
            }
            "served" | "wait" => {}
            other => problems.push(format!("outcome {other}")),
        }
        if expect.get("effects").is_some() {
            self.judge_client_effects(before, after, &mut problems);
        }
        for untouched in list(&expect["untouched"]) {
            let mut parts = untouched.splitn(3, '-').skip(1);
            let of = parts.next().unwrap();
            let there = match parts.next() {
                Some(digest) => stored(after, digest),
                None => serves(after, &format!("relation-{of}")),
            };
            if !there {
                problems.push(format!("{untouched} was touched"));
            }
        }
        problems
    }

    fn judge_secrets(&self, before: &World, after: &World, problems: &mut Vec<String>) {
        let Some(Value::Mapping(expected)) = self.case["expect"].get("secrets") else {
            return;
        };
        let prefix = format!("connect-client.{}.", self.relation);
        if expected.is_empty() {
            let ours: Vec<&String> = after
                .secrets
                .keys()
                .filter(|label| label.starts_with(&prefix))
                .collect();
            if !ours.is_empty() {
                problems.push(format!("secrets {ours:?}"));
            }
        }
        for secret in expected.values() {
            let label = text(secret, "label");
            let Some(found) = after.secrets.get(&label) else {
                problems.push(format!("no secret {label}"));
                continue;
            };
            let old = before.secrets.get(&label);
            if secret.get("granted").is_some() && !found.granted.contains(&self.relation) {
                problems.push(format!("{label} is not granted"));
            }
            if secret.get("content").is_some() {
                let wanted = strings(&secret["content"]);
                let keys_match = wanted.keys().eq(found.content.keys());
                let matches = keys_match
                    && wanted.iter().all(|(key, value)| match value.as_str() {
                        "%password" => {
                            let is = &found.content[key];
                            is.len() == 32 && is.bytes().all(|b| b.is_ascii_alphanumeric())
                        }
                        "%any" => !found.content[key].is_empty(),
                        value => found.content[key] == value,
                    });
                if !matches {
                    problems.push(format!("{label} holds {:?}", found.content));
                }
            }
            let good = match text(secret, "revision").as_str() {
                "same" => old.is_some_and(|old| old.revision == found.revision),
                "new" => old
                    .is_some_and(|old| old.revision + 1 == found.revision && old.uri == found.uri),
                "created" => old.is_none(),
                _ => true,
            };
            if !good {
                problems.push(format!("{label} has revision {}", found.revision));
            }
        }
    }

    fn judge_client_effects(&self, before: &World, after: &World, problems: &mut Vec<String>) {
        let id = self.relation;
        let effects = list(&self.case["expect"]["effects"]);
        let starts = |world: &World| -> Vec<u32> {
            world.units.values().map(|machine| machine.starts).collect()
        };
        let store = |world: &World| -> Vec<BTreeSet<String>> {
            world
                .units
                .values()
                .map(|m| m.host.bundles.keys().cloned().collect())
                .collect()
        };
        if effects.is_empty() && (starts(before), store(before)) != (starts(after), store(after)) {
            problems.push("machines were touched".to_owned());
        }
        let installs = effects
            .iter()
            .any(|effect| effect.starts_with("install-plugin"));
        for effect in &effects {
            let (verb, what) = effect.split_once(' ').unwrap_or((effect, ""));
            let good = match verb {
                "install-plugin" => store(after) != store(before),
                "remove-plugin" => {
                    let digest = what.splitn(3, '-').nth(2).unwrap();
                    !stored(after, digest)
                }
                "remove-user" => !serves(after, what),
                "delete-connectors" => !after.connectors.contains_key(&format!("of-{id}")),
                "remove-secrets" => !after.secrets.contains_key(&self.label("user")),
                // A plugin that only goes is taken off the path of the next start.
                "restart-workers" => installs == (starts(after) != starts(before)),
                _ => false,
            };
            if !good {
                problems.push(format!("effect `{effect}`"));
            }
        }
    }

    fn kafka(&self) -> Vec<String> {
        let given = &self.given;
        let layout = Layout::new("");
        let mut world = World::new(1);
        world.kafka.clear();
        let applied = given["world"].get("applied");
        if let Some(applied) = applied {
            let mut kafka = answered_kafka();
            kafka
                .theirs
                .insert("endpoints".to_owned(), text(applied, "bootstrap"));
            let user = kafka.secrets.get_mut("secret-user").unwrap();
            user.insert(
                "password".to_owned(),
                "kafkaPassw0rdkafkaPassw0rdkafkaP".to_owned(),
            );
            if text(applied, "protocol") == "SASL_SSL" {
                kafka.theirs.insert("tls".to_owned(), "enabled".to_owned());
                let ca = pem(&format!("pem:{}", text(applied, "ca")));
                let content = BTreeMap::from([("tls-ca".to_owned(), ca)]);
                kafka.secrets.insert("secret-tls".to_owned(), content);
            }
            world.kafka.insert(self.relation, kafka);
        }
        world.settle();

        let mut kafka = SimKafka {
            ours: strings(&given["R.app"]),
            ..SimKafka::default()
        };
        for (key, value) in strings(&given["P.app"]) {
            if let Some(name) = value.strip_prefix('@') {
                let content = strings(&given["secrets"][name]["content"]);
                kafka.secrets.insert(key.clone(), content);
            }
            kafka.theirs.insert(key, value);
        }
        world.kafka.insert(self.relation, kafka);
        world.leader = if self.leads() { 0 } else { NO_LEADER };
        let before = world.clone();
        let done = world.hook(0, self.hook("kafka-client"));
        if matches!(self.hook("kafka-client"), Hook::RelationBroken { .. }) {
            world.kafka.clear();
        }
        world.settle();

        let mut problems = world.violations.clone();
        let expect = &self.case["expect"];
        let machine = &world.units[&0];
        let properties = machine.files.get(&layout.worker_properties());
        let properties = properties.map(|file| String::from_utf8(file.bytes.clone()).unwrap());
        let changed = before.units[&0]
            .files
            .get(&layout.worker_properties())
            .map(|f| &f.bytes)
            != machine
                .files
                .get(&layout.worker_properties())
                .map(|f| &f.bytes);
        let restarts = machine.starts - before.units[&0].starts;
        let ready = properties.is_some() && machine.healthy;
        match text(expect, "outcome").as_str() {
            "ready" if !ready => problems.push(format!("not ready: {:?}", done.last.status)),
            "not-ready" if ready => problems.push("ready".to_owned()),
            "noop" if self.leads() && changed => problems.push("the configuration changed".into()),
            _ => {}
        }
        if let Some(kafka) = world.kafka.get(&self.relation) {
            for (key, value) in strings(&expect["bag"]) {
                if kafka.ours.get(&key) != Some(&value) {
                    problems.push(format!("{key} is {:?}", kafka.ours.get(&key)));
                }
            }
            for key in list(&expect["absent"]) {
                if kafka.ours.contains_key(&key) {
                    problems.push(format!("{key} is there"));
                }
            }
        }
        let view = &expect["view"];
        let trust = machine.files.get(&layout.kafka_trust_store());
        if let Some(properties) = &properties {
            let has = |line: &str| properties.lines().any(|one| one == line);
            for (key, property) in [
                ("bootstrap", "bootstrap.servers"),
                ("protocol", "security.protocol"),
            ] {
                let value = text(view, key);
                if !value.is_empty() && !has(&format!("{property}={value}")) {
                    problems.push(format!("{key} is not {value}"));
                }
            }
            let username = text(view, "username");
            if !username.is_empty() && !properties.contains(&format!("username=\"{username}\"")) {
                problems.push(format!("the user is not {username}"));
            }
            let ca = text(view, "ca");
            let uses = properties.contains("\nssl.truststore.location=");
            let good = match ca.as_str() {
                "" => true,
                "none" => !uses,
                name => {
                    uses && trust.is_some_and(|file| {
                        file.bytes
                            .windows(name.len())
                            .any(|window| window == name.as_bytes())
                    })
                }
            };
            if !good {
                problems.push(format!("the CA is not {ca}"));
            }
        }
        let not_ready = view.get("ready").and_then(Value::as_bool) == Some(false);
        if not_ready && ready {
            problems.push("the view is ready".to_owned());
        }
        for effect in list(&expect["effects"]) {
            let good = match effect.as_str() {
                "rewrite-worker-config" => changed,
                "rebuild-truststore" => {
                    let path = layout.kafka_trust_store();
                    let old = &before.units[&0].files[&path].bytes;
                    fingerprint::sha256(old) != fingerprint::sha256(&machine.files[&path].bytes)
                }
                "restart-workers rolling" => restarts == 1,
                "stop-worker" => !machine.worker_active(),
                "forget-kafka-credentials" => properties.is_none(),
                _ => false,
            };
            if !good {
                problems.push(format!("effect `{effect}`"));
            }
        }
        if expect
            .get("effects")
            .is_some_and(|effects| effects.as_sequence().is_some_and(Vec::is_empty))
            && restarts > 0
        {
            problems.push("the worker restarted".to_owned());
        }
        problems
    }
}

/// Whether every unit has the bundle on its plugin path.
fn stored(world: &World, digest: &str) -> bool {
    world
        .units
        .values()
        .all(|machine| machine.host.bundles.contains_key(digest))
}

/// Whether every gateway lets the user in.
fn serves(world: &World, name: &str) -> bool {
    world.units.values().all(|machine| {
        let users = machine.served.as_ref().map(|served| &served.users);
        users.into_iter().flatten().any(|user| user.name == name)
    })
}
