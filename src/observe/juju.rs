//! What Juju says, read once per hook and always in the same order.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::model::operators::SYSTEM_USERS;
use connect_core::observation::{
    CertificatesRelation, ClientRelation, ConfigValue, Databag, Hook, Host, Identity,
    KafkaRelation, Life, Network, Observation, OwnSecret, PeerRelation, Reading, RelationId,
    TransferRelation,
};
use connect_core::secret::Secret;
use connect_core::wire::{self, labels};
use hook_tools::{Hook as JujuHook, Revision, SecretRef, ToolError, Tools};

use crate::host::clock;
use crate::observe::event::{self, Attention};
use crate::observe::memory::{self, Memory};
use crate::report;
use crate::world::World;

/// Everything Juju says but the resources (see [`super::resources`]), with a machine yet unseen.
/// The internal user is read early and shown to `meet`, with the next one while it is rotated, so
/// that the worker can be asked while Juju answers the rest; nothing is shown if the unit is leaving.
///
/// # Errors
///
/// A hook command failed in a way that is not a part of a relation's or secret's normal life.
pub fn observe(
    world: &World,
    hook: Hook,
    meet: impl FnOnce(Vec<OwnSecret>),
) -> Result<Observation, ToolError> {
    let mut seen = empty(world, hook);
    let tools = &world.tools;
    if seen.hook == Hook::Leave {
        // Whatever else Juju still says, we are leaving.
        seen.opened_ports = tools.opened_ports().unwrap_or_default();
        return Ok(seen);
    }
    seen.leader = tools.is_leader()?;
    seen.peers = peers(world)?;
    for label in labels::internal(seen.peers.as_ref()) {
        let secret = own_secret(world, seen.leader, label, &BTreeMap::new())?;
        seen.secrets.insert(label.to_owned(), secret);
    }
    meet(
        super::worker::internal(&seen)
            .into_iter()
            .cloned()
            .collect(),
    );
    seen.config = config(tools)?;
    let reader = Relations {
        world,
        leader: seen.leader,
        memory: memory::recall(world),
        known: known_applications(seen.peers.as_ref()),
    };
    seen.kafka = reader.kafka()?;
    seen.clients = reader.clients()?;
    if seen.leader && seen.is_leaving() {
        // Without it, whoever leads next tells clients of the others.
        seen.dying = tools.dying_units().unwrap_or_default();
    }
    seen.certificates = reader.certificates()?;
    seen.transfers = reader.transfers()?;
    seen.operators = reader.operators(&seen.config)?;
    let others = own_secrets(world, &seen)?;
    seen.secrets.extend(others);
    seen.network = network(tools)?;
    seen.opened_ports = tools.opened_ports()?;
    Ok(seen)
}

fn empty(world: &World, hook: Hook) -> Observation {
    let context = &world.context;
    Observation {
        hook,
        now: clock::now(),
        identity: Identity {
            model_uuid: context.model_uuid.clone(),
            application: context.application.clone(),
            unit_number: context.unit_number,
            charm_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        leader: false,
        config: BTreeMap::new(),
        peers: None,
        kafka: BTreeMap::new(),
        clients: BTreeMap::new(),
        certificates: BTreeMap::new(),
        transfers: BTreeMap::new(),
        operators: Reading::Absent,
        secrets: BTreeMap::new(),
        minted: BTreeSet::new(),
        network: Network::default(),
        resources: BTreeMap::new(),
        opened_ports: BTreeSet::new(),
        host: Host::default(),
        worker: Reading::Absent,
        group: Reading::Absent,
        unreachable: BTreeSet::new(),
        dying: BTreeSet::new(),
        fetched: BTreeMap::new(),
        admitted: None,
        failures: Vec::new(),
        done: BTreeSet::new(),
        round: 0,
    }
}

fn config(tools: &Tools) -> Result<BTreeMap<String, ConfigValue>, ToolError> {
    let value = |value: serde_json::Value| -> Option<ConfigValue> {
        match value {
            serde_json::Value::String(text) => Some(ConfigValue::Text(text)),
            serde_json::Value::Bool(value) => Some(ConfigValue::Boolean(value)),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(ConfigValue::Integer)
                .or_else(|| number.as_f64().map(ConfigValue::Float)),
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        }
    };
    Ok(tools
        .config()?
        .into_iter()
        .filter_map(|(name, raw)| Some((name, value(raw)?)))
        .collect())
}

/// A databag; one that is gone or not ours to read any more is as good as empty.
fn databag(tools: &Tools, endpoint: &str, id: RelationId, of: &str) -> Result<Databag, ToolError> {
    if of.is_empty() {
        return Ok(Databag::new());
    }
    match tools.relation_data(endpoint, id, of) {
        Ok(bag) => Ok(bag),
        Err(error) if error.is_gone() => Ok(Databag::new()),
        Err(error) => Err(error),
    }
}

fn peers(world: &World) -> Result<Option<PeerRelation>, ToolError> {
    let tools = &world.tools;
    let context = &world.context;
    let Some(id) = tools.relation_ids(wire::WORKERS)?.first().copied() else {
        return Ok(None);
    };
    let units = match tools.relation_units(wire::WORKERS, id) {
        Ok(units) => units,
        Err(error) if error.is_gone() => return Ok(None),
        Err(error) => return Err(error),
    };
    let read = |of: &str| databag(tools, wire::WORKERS, id, of);
    Ok(Some(PeerRelation {
        id,
        application: read(&context.application)?,
        ours: read(&context.unit)?,
        others: units
            .into_iter()
            .map(|unit| Ok((unit.clone(), read(&unit)?)))
            .collect::<Result<_, ToolError>>()?,
    }))
}

/// The applications behind relations, as far as our leader wrote them down: a relation's id is
/// never given to another one, so this saves a call for each client.
fn known_applications(peers: Option<&PeerRelation>) -> BTreeMap<RelationId, String> {
    peers
        .map(|peers| wire::peer::read_application(&peers.application).clients)
        .unwrap_or_default()
        .into_iter()
        .map(|(id, client)| (id, client.application))
        .filter(|(_, application)| !application.is_empty())
        .collect()
}

struct Relations<'a> {
    world: &'a World,
    leader: bool,
    memory: Memory,
    known: BTreeMap<RelationId, String>,
}

impl Relations<'_> {
    /// The relations of an endpoint, the one that is being broken included.
    fn listed(&self, endpoint: &str) -> Result<BTreeMap<RelationId, Life>, ToolError> {
        let ids = self.world.tools.relation_ids(endpoint)?;
        let mut lives: BTreeMap<RelationId, Life> =
            ids.into_iter().map(|id| (id, Life::Live)).collect();
        if let JujuHook::RelationBroken(broken) = &self.world.context.hook
            && broken.endpoint == endpoint
        {
            // Still listed: only our own unit is going away.
            let life = if lives.contains_key(&broken.id) {
                Life::Parting
            } else {
                Life::Leaving
            };
            lives.insert(broken.id, life);
        }
        Ok(lives)
    }

    fn application(&self, endpoint: &str, id: RelationId) -> Result<String, ToolError> {
        if let Some(relation) = event::relation(&self.world.context.hook)
            && (relation.endpoint.as_str(), relation.id) == (endpoint, id)
            && let Some(application) = &relation.remote_application
        {
            return Ok(application.clone());
        }
        if endpoint == wire::CONNECT_CLIENT
            && let Some(application) = self.known.get(&id)
        {
            return Ok(application.clone());
        }
        match self.world.tools.relation_application(endpoint, id) {
            Ok(application) => Ok(application),
            Err(error) if error.is_gone() => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    fn ours(&self, endpoint: &str, id: RelationId) -> Result<Option<Databag>, ToolError> {
        if !self.leader {
            return Ok(None);
        }
        let own = &self.world.context.application;
        match self.world.tools.relation_data(endpoint, id, own) {
            Ok(bag) => Ok(Some(bag)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn kafka(&self) -> Result<BTreeMap<RelationId, KafkaRelation>, ToolError> {
        let endpoint = wire::KAFKA_CLIENT;
        let mut relations = BTreeMap::new();
        for (id, life) in self.listed(endpoint)? {
            let application = self.application(endpoint, id)?;
            let theirs = databag(&self.world.tools, endpoint, id, &application)?;
            // What was asked for is of no interest once it was answered.
            let ours = if theirs.contains_key(wire::ENDPOINTS) {
                None
            } else {
                self.ours(endpoint, id)?
            };
            let mut secrets = BTreeMap::new();
            for key in [wire::SECRET_USER, wire::SECRET_TLS] {
                if let Some(uri) = theirs.get(key).filter(|uri| !uri.is_empty()) {
                    secrets.insert(key.to_owned(), self.their_secret(uri)?);
                }
            }
            relations.insert(
                id,
                KafkaRelation {
                    life,
                    application,
                    ours,
                    theirs,
                    secrets,
                },
            );
        }
        Ok(relations)
    }

    /// A secret that somebody shared with us, in its newest revision, which is then the one Juju
    /// compares with: the next one brings a `secret-changed`.
    fn their_secret(
        &self,
        uri: &str,
    ) -> Result<Reading<BTreeMap<String, Secret<String>>>, ToolError> {
        // A databag may say anything; here it becomes an argument.
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-:/".contains(&b);
        if !uri.starts_with("secret:") || !uri.bytes().all(legal) {
            return Ok(Reading::Unreadable("is not the URI of a secret".to_owned()));
        }
        let read = self
            .world
            .tools
            .secret(SecretRef::Uri(uri), Revision::Refresh);
        match read {
            Ok(content) => Ok(Reading::Known(secret_content(content))),
            Err(error @ (ToolError::Spawn { .. } | ToolError::Answer { .. })) => Err(error),
            Err(ToolError::Denied { message, .. }) => {
                Ok(Reading::Unreadable(format!("is not granted ({message})")))
            }
            Err(error) => Ok(Reading::Unreadable(report::chain(&error))),
        }
    }

    /// What the operator's secret of users holds. Only the leader asks, for all.
    fn operators(
        &self,
        config: &BTreeMap<String, ConfigValue>,
    ) -> Result<Reading<BTreeMap<String, Secret<String>>>, ToolError> {
        match config.get(SYSTEM_USERS) {
            Some(ConfigValue::Text(uri)) if self.leader && !uri.is_empty() => {
                self.their_secret(uri)
            }
            _ => Ok(Reading::Absent),
        }
    }

    fn certificates(&self) -> Result<BTreeMap<RelationId, CertificatesRelation>, ToolError> {
        let endpoint = wire::CERTIFICATES;
        let mut relations = BTreeMap::new();
        for (id, life) in self.listed(endpoint)? {
            let mut relation = CertificatesRelation {
                life,
                ours: Databag::new(),
                theirs: Databag::new(),
            };
            if life == Life::Live {
                let tools = &self.world.tools;
                let application = self.application(endpoint, id)?;
                relation.ours = databag(tools, endpoint, id, &self.world.context.unit)?;
                relation.theirs = databag(tools, endpoint, id, &application)?;
            }
            relations.insert(id, relation);
        }
        Ok(relations)
    }

    fn transfers(&self) -> Result<BTreeMap<RelationId, TransferRelation>, ToolError> {
        let endpoint = wire::RECEIVE_CA_CERT;
        let tools = &self.world.tools;
        let mut relations = BTreeMap::new();
        for (id, life) in self.listed(endpoint)? {
            let mut relation = TransferRelation {
                life,
                ours: None,
                theirs: Databag::new(),
                units: BTreeMap::new(),
            };
            if life == Life::Live {
                let application = self.application(endpoint, id)?;
                relation.ours = self.ours(endpoint, id)?;
                relation.theirs = databag(tools, endpoint, id, &application)?;
            }
            // Version 0 is in the units' databags, and in theirs only.
            if life == Life::Live && relation.theirs.is_empty() {
                let units = match tools.relation_units(endpoint, id) {
                    Err(error) if error.is_gone() => Vec::new(),
                    units => units?,
                };
                for unit in units {
                    let bag = databag(tools, endpoint, id, &unit)?;
                    relation.units.insert(unit, bag);
                }
            }
            relations.insert(id, relation);
        }
        Ok(relations)
    }

    fn clients(&self) -> Result<BTreeMap<RelationId, ClientRelation>, ToolError> {
        let endpoint = wire::CONNECT_CLIENT;
        let mut relations = BTreeMap::new();
        for (id, life) in self.listed(endpoint)? {
            let told = self.memory.get(&id).filter(|_| life == Life::Live);
            let application = match told {
                Some(told) => told.application.clone(),
                None => self.application(endpoint, id)?,
            };
            let theirs = match told {
                Some(told) => told.theirs.clone(),
                None => databag(&self.world.tools, endpoint, id, &application)?,
            };
            let ours = match (life, told.and_then(|told| told.ours.as_ref())) {
                (Life::Leaving, _) => None,
                (_, Some(ours)) if self.leader => Some(ours.clone()),
                (Life::Live | Life::Parting, _) => self.ours(endpoint, id)?,
            };
            relations.insert(
                id,
                ClientRelation {
                    life,
                    application,
                    ours,
                    theirs,
                },
            );
        }
        Ok(relations)
    }
}

fn secret_content(content: BTreeMap<String, String>) -> BTreeMap<String, Secret<String>> {
    content
        .into_iter()
        .map(|(key, value)| (key, Secret::new(value)))
        .collect()
}

/// Our secrets but the internal ones.
fn own_secrets(
    world: &World,
    seen: &Observation,
) -> Result<BTreeMap<String, Reading<OwnSecret>>, ToolError> {
    let published = published_uris(seen);
    let reader = labels::Reader {
        leader: seen.leader,
        certificates: !seen.certificates.is_empty(),
        thorough: event::attention(&world.context.hook) == Attention::Everything,
        operators: seen.operators != Reading::Absent,
    };
    let wanted = labels::wanted(&reader, &seen.clients, seen.peers.as_ref());
    wanted
        .into_iter()
        .filter(|label| !seen.secrets.contains_key(label))
        .map(|label| {
            let reading = own_secret(world, seen.leader, &label, &published)?;
            Ok((label, reading))
        })
        .collect()
}

fn own_secret(
    world: &World,
    leader: bool,
    label: &str,
    published: &BTreeMap<String, String>,
) -> Result<Reading<OwnSecret>, ToolError> {
    // Following a new one keeps Juju from holding the older ones for us.
    let changed = matches!(
        &world.context.hook,
        JujuHook::SecretChanged(event) if event.label.as_deref() == Some(label)
    );
    let revision = if changed {
        Revision::Refresh
    } else {
        Revision::Peek
    };
    match world.tools.secret(SecretRef::Label(label), revision) {
        Ok(content) => {
            let uri = match published.get(label) {
                Some(uri) => Some(uri.clone()),
                None if leader
                    && !matches!(
                        label,
                        labels::INTERNAL | labels::TLS_KEY | labels::OPERATORS
                    ) =>
                {
                    Some(own_uri(world, label)?)
                }
                None => None,
            };
            Ok(Reading::Known(OwnSecret {
                uri,
                content: secret_content(content),
            }))
        }
        Err(ToolError::NotFound { .. }) => Ok(Reading::Absent),
        Err(error @ (ToolError::Spawn { .. } | ToolError::Answer { .. })) => Err(error),
        Err(error) => Ok(Reading::Unreadable(report::chain(&error))),
    }
}

/// The URIs that clients were told already; asking Juju again would give the same.
fn published_uris(seen: &Observation) -> BTreeMap<String, String> {
    let mut uris = BTreeMap::new();
    for (id, relation) in &seen.clients {
        let ours = relation.ours.iter().flatten();
        for (key, uri) in ours.filter(|(_, uri)| !uri.is_empty()) {
            match key.as_str() {
                wire::SECRET_USER => uris.insert(labels::user(*id), uri.clone()),
                wire::SECRET_EXTRA => uris.insert(labels::extra(*id), uri.clone()),
                wire::SECRET_TLS => uris.insert(labels::tls(*id), uri.clone()),
                _ => None,
            };
        }
    }
    uris
}

/// The whole URI of a secret of ours, which other models can resolve too.
///
/// # Errors
///
/// There is no such secret, or we are not the leader.
pub fn own_uri(world: &World, label: &str) -> Result<String, ToolError> {
    let info = world.tools.secret_info(label)?;
    Ok(format!("secret://{}/{}", world.context.model_uuid, info.id))
}

fn network(tools: &Tools) -> Result<Network, ToolError> {
    let binding = |name: &str| match tools.network(name) {
        Ok(info) => Ok(info),
        Err(error @ (ToolError::Spawn { .. } | ToolError::Answer { .. })) => Err(error),
        // No address yet, in whatever words.
        Err(_) => Ok(hook_tools::NetworkInfo::default()),
    };
    let addresses = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    let client = binding(wire::CONNECT_CLIENT)?;
    let peer = binding(wire::WORKERS)?;
    Ok(Network {
        client_bind: addresses(&client.bind),
        client_ingress: client.ingress.into_iter().next(),
        peer_bind: addresses(&peer.bind),
    })
}
