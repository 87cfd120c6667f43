//! What holds whenever no hook runs, whatever happened.

use super::*;

impl World {
    /// Notes what does not hold, with what happened last.
    pub fn check_invariants(&mut self, after: &str) {
        let mut found = Vec::new();
        self.credentials_work(&mut found);
        self.nothing_told_is_taken_back(&mut found);
        self.plugins_in_use_are_there(&mut found);
        self.nobody_else_is_let_in(&mut found);
        let found = found.into_iter();
        let found = found.map(|text| format!("{text}, after {after}"));
        self.violations.extend(found);
    }

    /// What a client was told is good on every endpoint that it was told of and whose gateway runs.
    fn credentials_work(&self, found: &mut Vec<String>) {
        for (id, client) in self.published() {
            let name = format!("relation-{id}");
            let secret = &self.secrets[&labels::user(id)];
            let hash = fingerprint::sha256(secret.content["password"].as_bytes());
            for (number, machine) in &self.units {
                let told = client.ours["endpoints"]
                    .split(',')
                    .any(|url| url.contains(&format!("//{}:", machine.address)));
                let Some(served) = &machine.served else {
                    continue;
                };
                let takes = |user: &connect_core::gateway::User| {
                    user.name == name && user.passwords_sha256.contains(&hash)
                };
                let works = served.users.iter().any(takes);
                if told && machine.gateway_runs() && !machine.gone && !works {
                    found.push(format!(
                        "{name} was told of unit {number}, which refuses it"
                    ));
                }
            }
        }
    }

    fn published(&self) -> impl Iterator<Item = (RelationId, &SimClient)> {
        let clients = self.clients.iter().map(|(id, client)| (*id, client));
        clients.filter(|(_, client)| client.ours.contains_key("secret-user"))
    }

    /// Whatever happens to others, a client that was served stays so, with the same secret.
    fn nothing_told_is_taken_back(&mut self, found: &mut Vec<String>) {
        let clients = &self.clients;
        self.told.retain(|id, _| clients.contains_key(id));
        for (id, uri) in &self.told {
            let ours = &self.clients[id].ours;
            if ours.get("secret-user") != Some(uri) {
                found.push(format!("client {id} lost its credentials"));
            }
            if ours.get("endpoints").is_none_or(String::is_empty) {
                found.push(format!("client {id} lost its endpoints"));
            }
        }
        let published = self.published();
        let told: Vec<_> = published
            .map(|(id, client)| (id, client.ours["secret-user"].clone()))
            .collect();
        self.told.extend(told);
    }

    /// A worker that runs finds its plugins on disk, on the plugin path or put away.
    fn plugins_in_use_are_there(&self, found: &mut Vec<String>) {
        for (number, machine) in &self.units {
            let Some(started) = machine.host.started.as_ref().filter(|_| machine.healthy) else {
                continue;
            };
            for digest in &started.plugins {
                let host = &machine.host;
                if !host.bundles.contains_key(digest) && !host.retired.contains(digest) {
                    found.push(format!("unit {number} runs with {digest}, which is gone"));
                }
            }
        }
    }

    /// No gateway lets in a user whose client is gone. A unit that was lost hears of it late.
    fn nobody_else_is_let_in(&self, found: &mut Vec<String>) {
        let names: BTreeSet<String> = self
            .clients
            .keys()
            .map(|id| format!("relation-{id}"))
            .collect();
        for (number, machine) in &self.units {
            if machine.gone || machine.out_of_date || !machine.gateway_runs() {
                continue;
            }
            for user in machine.served.iter().flat_map(|served| &served.users) {
                if !names.contains(&user.name) {
                    found.push(format!("unit {number} lets in {}", user.name));
                }
            }
        }
    }
}
