//! The services of a machine, as they behave by themselves.

use super::*;

impl Machine {
    pub fn worker_active(&self) -> bool {
        self.host
            .services
            .get(WORKER_SERVICE)
            .is_some_and(|fact| fact.active == "active")
    }

    pub(super) fn start_worker(&mut self) {
        let layout = Layout::new("");
        self.host
            .services
            .entry(WORKER_SERVICE.to_owned())
            .or_default()
            .active = "active".to_owned();
        self.host.services.get_mut(WORKER_SERVICE).unwrap().restarts = 0;
        let facts = &self.files[&layout.start_facts()].bytes;
        self.host.started = Some(serde_json::from_slice(facts).unwrap());
        self.healthy = false;
        self.starts += 1;
        self.advertise();
    }

    /// Others know a worker by what it read at its start.
    fn advertise(&mut self) {
        let Some(file) = self.files.get(&Layout::new("").worker_properties()) else {
            return;
        };
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("rest.advertised.host.name="));
        let host = line.unwrap_or_default().replace('\\', "");
        self.advertised = host.trim_matches(['[', ']']).parse().ok();
    }

    /// Whether systemd keeps the worker running, or keeps trying to.
    pub(super) fn worker_wanted(&self) -> bool {
        let fact = self.host.services.get(WORKER_SERVICE);
        fact.is_some_and(|fact| matches!(fact.active.as_str(), "active" | "activating"))
    }

    /// What is on disk for the next start makes a worker exit: an option's value, or a plugin.
    pub(super) fn reason_to_exit(&self, layout: &Layout) -> Option<String> {
        let properties = self.files.get(&layout.worker_properties())?;
        let properties = String::from_utf8_lossy(&properties.bytes).into_owned();
        if properties.contains("offset.flush.interval.ms=never") {
            return Some(
                "ConfigException: Invalid value never for configuration offset.flush.interval.ms"
                    .to_owned(),
            );
        }
        properties
            .contains("/bad")
            .then(|| "NoClassDefFoundError: com/example/Missing".to_owned())
    }

    pub(super) fn exit(&mut self) {
        let fact = self.host.services.get_mut(WORKER_SERVICE).unwrap();
        fact.active = "activating".to_owned();
        fact.restarts += 1;
        self.host.started = None;
        self.healthy = false;
    }

    pub(super) fn attempt(&mut self) {
        let fact = self.host.services.get_mut(WORKER_SERVICE).unwrap();
        fact.active = "active".to_owned();
        let facts = &self.files[&Layout::new("").start_facts()].bytes;
        self.host.started = Some(serde_json::from_slice(facts).unwrap());
        self.healthy = false;
        self.advertise();
    }

    pub(super) fn gateway_runs(&self) -> bool {
        self.host
            .services
            .get(GATEWAY_SERVICE)
            .is_some_and(|fact| fact.active == "active")
    }

    /// Starts or restarts a unit other than the worker as systemd does; says what it would refuse.
    pub(super) fn start_unit(&mut self, unit: &str, restarts: bool) -> Option<String> {
        let runs = self.gateway_runs();
        let services = &mut self.host.services;
        let is_socket = GATEWAY_SOCKETS.contains(&unit);
        let was_active = services
            .get(unit)
            .is_some_and(|fact| fact.active == "active");
        if is_socket && runs && !restarts && !was_active {
            return Some(format!("{unit} is started beside its running service"));
        }
        if unit == GATEWAY_SERVICE && self.out_of_budget {
            return None;
        }
        if unit == WARM_SERVICE {
            self.archive();
            return None;
        }
        let mut started = vec![unit];
        if unit == GATEWAY_SERVICE {
            // It wants its sockets.
            let listens = |socket: &&str| {
                let fact = services.get(*socket);
                fact.is_some_and(|fact| fact.active == "active")
            };
            started.extend(
                GATEWAY_SOCKETS
                    .into_iter()
                    .filter(|socket| !listens(socket)),
            );
        } else if is_socket && runs && restarts {
            // It is part of its sockets.
            started.push(GATEWAY_SERVICE);
        }
        for unit in started {
            let fact = services.entry(unit.to_owned()).or_default();
            if fact.active != "active" || restarts {
                fact.active = "active".to_owned();
                fact.outdated = false;
                // It has what systemd has read.
                assert!(!fact.stale, "{unit} is started from a file not read");
            }
        }
        self.look_at_users();
        None
    }

    /// What a start of the archive's unit comes to.
    fn archive(&mut self) {
        let layout = Layout::new("");
        let fact = self.host.services.get_mut(WARM_SERVICE).unwrap();
        assert!(
            !fact.stale,
            "{WARM_SERVICE} is started from a file not read"
        );
        assert!(
            self.healthy,
            "classes are archived of a worker that is well"
        );
        fact.active = "inactive".to_owned();
        let unit = &self.files[&format!("{}/{WARM_SERVICE}", layout.systemd())];
        let unit = String::from_utf8(unit.bytes.clone()).unwrap();
        let key = unit
            .lines()
            .find_map(|line| line.split_once(" KEY="))
            .unwrap()
            .1;
        let bytes = if self.unarchivable {
            format!("{key} failed").into_bytes()
        } else {
            key.into()
        };
        let file = SimFile {
            bytes,
            mode: 0o640,
            user: WARM_USER.to_owned(),
            group: WORKER_USER.to_owned(),
        };
        self.files.insert(layout.class_archive_key(), file);
    }

    pub(super) fn look_at_users(&mut self) {
        if !self.gateway_runs() || self.deaf {
            return;
        }
        if let Some(file) = self.files.get(&Layout::new("").gateway_users()) {
            self.served = Some(serde_json::from_slice(&file.bytes).unwrap());
        }
        self.look_at_door();
    }

    pub(super) fn look_at_door(&mut self) {
        let layout = Layout::new("");
        let Some(settings) = self.files.get(&layout.gateway_settings()) else {
            return;
        };
        let generation = fingerprint::sha256(&settings.bytes);
        let settings: Settings = serde_json::from_slice(&settings.bytes).unwrap();
        let presented = settings.client_door.tls.map(|tls| {
            assert_eq!(tls.certificate_file, layout.client_pem());
            let file = &self.files[&tls.certificate_file];
            assert_eq!(
                (file.mode, file.group.as_str()),
                (0o640, "kafka-connect-gateway")
            );
            let text = std::str::from_utf8(&file.bytes).unwrap();
            assert!(text.contains("PRIVATE KEY"));
            let leaf = Certificate::all(text).remove(0);
            Presented {
                sha256: fingerprint::sha256(&leaf.der),
                serial: String::new(),
                not_after: 0,
            }
        });
        assert_eq!(
            settings.client_door.protocol == Protocol::Http,
            presented.is_none()
        );
        self.door = Some((settings.client_door.protocol, presented));
        let identities = |path: &str| -> Vec<String> {
            let text = String::from_utf8_lossy(&self.files[path].bytes).into_owned();
            let ders = pem::certificates(&text);
            ders.iter().map(|der| fingerprint::sha256(der)).collect()
        };
        let peer_door = settings.peer_door.unwrap();
        let worker = settings.worker;
        self.inside = Some(Inside {
            settings: generation,
            presented: identities(&peer_door.certificate_file).remove(0),
            trusted: identities(&peer_door.ca_file),
            users: std::iter::once(worker.internal)
                .chain(worker.internal_other)
                .map(|user| (user.username, user.password))
                .collect(),
        });
    }

    pub(super) fn gateway_state(&self) -> Option<GatewayState> {
        self.gateway_runs().then(|| GatewayState {
            users_generation: self
                .served
                .as_ref()
                .map(|users| users.generation.clone())
                .unwrap_or_default(),
            settings_generation: self
                .inside
                .as_ref()
                .map(|inside| inside.settings.clone())
                .unwrap_or_default(),
            peer_certificate: self.inside.as_ref().map(|inside| Presented {
                sha256: inside.presented.clone(),
                serial: String::new(),
                not_after: 0,
            }),
            trusted_cas: self
                .inside
                .as_ref()
                .map(|inside| inside.trusted.clone())
                .unwrap_or_default(),
            client_door: true,
            peer_door: true,
            worker_healthy: self.healthy,
            client_protocol: self.door.as_ref().map(|door| door.0),
            client_certificate: self.door.as_ref().and_then(|door| door.1.clone()),
            fault: None,
            ..GatewayState::default()
        })
    }
}
