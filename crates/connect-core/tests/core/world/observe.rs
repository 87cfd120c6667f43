//! What a unit of the world sees.

use connect_core::plan::adoption;

use super::*;

impl World {
    /// Labels of the secrets that a unit looks up in a hook.
    pub fn labels(&self, number: u32, hook: &Hook) -> BTreeSet<String> {
        let seen = self.observe(number, hook, &Passing::default());
        seen.secrets.into_keys().collect()
    }

    pub(super) fn observe(&self, number: u32, hook: &Hook, passing: &Passing) -> Observation {
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
        let operators = match &self.operators {
            Some(content) if leader => content.clone(),
            Some(_) | None => Reading::Absent,
        };
        let reader = labels::Reader {
            leader,
            certificates: self.certificates.is_some(),
            // As the charm: only hooks that say what they are about leave something out.
            thorough: !matches!(hook, Hook::Reconcile { .. }),
            operators: operators != Reading::Absent,
        };
        let wanted = labels::wanted(&reader, &clients, Some(&peers));
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
        let mut seen = Observation {
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
            operators,
            secrets,
            minted: passing.minted.keys().cloned().collect(),
            network: Network {
                client_ingress: Some(machine.address.clone()).filter(|text| !text.is_empty()),
                client_bind: bound(machine.address.parse().ok(), &machine.more),
                peer_bind: bound(machine.peer_address, &machine.more),
            },
            resources: self.resources.clone(),
            opened_ports: machine.ports.clone(),
            host,
            worker,
            group: Reading::Absent,
            unreachable: self
                .units
                .iter()
                .filter(|(other, machine)| leader && **other != number && machine.gone)
                .map(|(other, _)| format!("{APP}/{other}"))
                .collect(),
            dying: self
                .dying
                .iter()
                .map(|other| format!("{APP}/{other}"))
                .collect(),
            fetched: passing.fetched.clone(),
            admitted: passing.admitted.clone(),
            failures: passing.failures.clone(),
            done: passing.done.clone(),
            round: passing.round,
        };
        if adoption::question(&seen).is_some() {
            seen.group = self.foreign.clone();
        }
        seen
    }

    /// The same hook looks again, as the charm does: at its machine and worker. What Juju says is
    /// asked once, and what was minted meanwhile is there.
    pub(super) fn look_again(
        &self,
        number: u32,
        hook: &Hook,
        passing: &Passing,
        seen: &mut Observation,
    ) {
        let now = self.observe(number, hook, passing);
        let minted = now
            .secrets
            .into_iter()
            .filter(|(label, _)| passing.minted.contains_key(label));
        seen.secrets.extend(minted);
        seen.minted = now.minted;
        (seen.host, seen.worker) = (now.host, now.worker);
        seen.fetched = now.fetched;
        seen.admitted = now.admitted;
        seen.failures = now.failures;
        seen.done = now.done;
        seen.round = now.round;
    }

    pub(super) fn worker(&self, machine: &Machine) -> Worker {
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
            connectors: (!self.unlisted).then(|| self.connectors.clone()),
        }
    }
}

fn bound(first: Option<IpAddr>, more: &[IpAddr]) -> Vec<IpAddr> {
    first.into_iter().chain(more.iter().copied()).collect()
}
