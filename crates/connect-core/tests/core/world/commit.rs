//! What Juju keeps of a hook that ended well, and what it must not have to.

use super::*;

impl World {
    /// `led` when the hook began.
    pub(super) fn commit(
        &mut self,
        number: u32,
        led: bool,
        plan: &Plan,
        minted: BTreeMap<String, SimSecret>,
    ) {
        let leader = self.leader == number;
        let needs_lead = plan.promises.iter().any(is_leaders_only)
            || minted.keys().any(|label| label != labels::TLS_KEY);
        if needs_lead && led && !leader {
            // It lost the lead meanwhile: Juju refuses, and keeps nothing of the hook.
            return;
        }
        let mut published = Vec::new();
        for (label, secret) in minted {
            if label == labels::TLS_KEY {
                let machine = self.units.get_mut(&number).unwrap();
                machine.secrets.insert(label, secret);
            } else if let Some(before) = self.secrets.insert(label.clone(), secret) {
                let text = format!("{label} was minted twice, first as {}", before.uri);
                self.violations.push(text);
            }
        }
        for promise in &plan.promises {
            assert!(
                leader || !is_leaders_only(promise),
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
                    self.check_revoked(number, label);
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

    /// A user is out of the leader's own gateway before its secret goes.
    fn check_revoked(&mut self, number: u32, label: &str) {
        let machine = &self.units[&number];
        let served = machine.served.iter().flat_map(|served| &served.users);
        let revoked = served.filter(|user| {
            let id = user.name.strip_prefix("relation-");
            id.and_then(|id| id.parse().ok())
                .map(labels::user)
                .as_deref()
                == Some(label)
        });
        if revoked.count() > 0 && machine.gateway_runs() && !machine.deaf {
            self.violations
                .push(format!("{label} is removed while its user is let in"));
        }
    }

    /// The moment a client gets its answer: everything it says has to be true on every machine.
    pub(super) fn check_publication(&mut self, id: RelationId) {
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
}

fn is_leaders_only(promise: &Promise) -> bool {
    match promise {
        Promise::SetUnitData { .. }
        | Promise::RequestCertificate { .. }
        | Promise::OpenPort { .. }
        | Promise::ClosePort { .. }
        | Promise::SetWorkloadVersion { .. } => false,
        Promise::RemoveSecret { label } => label != labels::TLS_KEY,
        _ => true,
    }
}
