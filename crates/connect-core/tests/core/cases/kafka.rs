//! Cases of `kafka_client`, requirer side.

use std::collections::BTreeMap;

use connect_core::fingerprint;
use connect_core::layout::Layout;
use connect_core::observation::Hook;
use serde_yaml::Value;

use super::{Case, NO_LEADER, list, pem, strings, text};
use crate::world::*;

impl Case {
    pub(super) fn kafka(&self) -> Vec<String> {
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
        let expect = &self.text["expect"];
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
