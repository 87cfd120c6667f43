//! Cases of `connect_client`, provider side.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::observation::{ConfigValue, Connector, Databag, Hook};
use serde_yaml::Value;

use super::{Case, NO_LEADER, list, strings, text};
use crate::world::*;

impl Case {
    pub(super) fn client(&self) -> Vec<String> {
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
        let expect = &self.text["expect"];
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
        let Some(Value::Mapping(expected)) = self.text["expect"].get("secrets") else {
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
        let effects = list(&self.text["expect"]["effects"]);
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
