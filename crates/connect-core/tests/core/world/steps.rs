//! What a step does to a machine of the world.

use super::*;

impl World {
    /// No healthy worker is restarted for nothing, nor while another one that was is not back, if
    /// there are tasks.
    pub(super) fn check_restart(&mut self, number: u32, step: &Step) {
        let is_restart = matches!(step, Step::RestartUnit { unit, .. } if unit == WORKER_SERVICE);
        let machine = &self.units[&number];
        if !is_restart || !machine.healthy {
            return;
        }
        let next = &machine.files[&self.layout.start_facts()].bytes;
        let next: StartFacts = serde_json::from_slice(next).unwrap();
        if let Some(started) = &machine.host.started
            && started.configuration == next.configuration
            && next.plugins.is_subset(&started.plugins)
            && (next.request.is_none() || next.request == started.request)
        {
            let text = format!("unit {number} restarts for nothing");
            self.violations.push(text);
        }
        if self.connectors.is_empty() {
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

    pub(super) fn apply(&mut self, number: u32, step: &Step, passing: &mut Passing) {
        let layout = self.layout.clone();
        let machine = self.units.get_mut(&number).unwrap();
        let active = machine.worker_active();
        let host = &mut machine.host;
        match step {
            Step::InstallPackages { .. } | Step::InstallJre { .. } => {
                host.java = Some(("/usr/bin/java".to_owned(), "17.0.15".to_owned()));
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
            Step::InstallGateway { .. } => {
                host.gateway_installed = true;
                if let Some(fact) = host.services.get_mut(GATEWAY_SERVICE) {
                    fact.outdated = fact.active == "active";
                }
            }
            Step::FetchBundle { client, url, terms } => {
                self.trusted.clone_from(&terms.authorities);
                let served = self.plugins.get(url.expose()).filter(|_| !machine.offline);
                let outcome = match served {
                    Some(Served::Archive { digest, .. })
                        if terms.allowed.objection(url.expose(), digest).is_some() =>
                    {
                        Fetched::Failed {
                            reason: "the operator does not allow it".to_owned(),
                            lasting: true,
                        }
                    }
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
                        lasting: self.lasting,
                    },
                    None => Fetched::Failed {
                        reason: "connection refused".to_owned(),
                        lasting: false,
                    },
                };
                let source = fingerprint::short(url.expose().as_bytes());
                let before = host.asked.get(&source);
                let asked = Asked::after(before, self.now, &terms.fingerprint(), &outcome);
                host.asked.insert(source, asked);
                self.fetches += 1;
                passing.fetched.insert(*client, outcome);
            }
            Step::AdmitResource {
                path,
                source,
                terms,
            } => {
                let outcome = match self.plugins.get(path) {
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
                    Some(Served::Fault(_)) | None => Fetched::Failed {
                        reason: "it is not an archive".to_owned(),
                        lasting: true,
                    },
                };
                let before = host.asked.get(source);
                let asked = Asked::after(before, self.now, &terms.fingerprint(), &outcome);
                host.asked.insert(source.clone(), asked);
                passing.admitted = Some(outcome);
                self.fetches += 1;
            }
            Step::Sweep { path } => {
                host.debris.remove(path);
                let name = path.rsplit('/').next().unwrap();
                host.workloads.remove(name);
                host.jres.remove(name);
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
                    let fact = host.services.entry(unit.to_owned()).or_default();
                    fact.stale = true;
                    fact.outdated = fact.active == "active";
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
                    let restarts = matches!(step, Step::RestartUnit { .. });
                    let refused = machine.start_unit(unit, restarts);
                    self.violations.extend(refused);
                }
            }
            Step::StopUnit { unit, .. } => {
                host.services.entry(unit.clone()).or_default().active = "inactive".to_owned();
                if GATEWAY_SOCKETS.contains(&unit.as_str()) {
                    let gateway = host.services.entry(GATEWAY_SERVICE.to_owned());
                    gateway.or_default().active = "inactive".to_owned();
                }
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
            Step::AwaitClients => {}
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
}
