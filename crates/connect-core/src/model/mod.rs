//! Validated nouns, parsed from the raw facts of an observation.

pub mod client;
pub mod config;
pub mod kafka;
pub mod password;
pub mod peer;

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{Life, Observation, Reading, RelationId};
use crate::secret::Secret;
use crate::wire;

use client::Client;
use config::{Config, ConfigProblem};
use kafka::Kafka;
use peer::Peers;

/// Everything parsed, once per round.
#[derive(Debug)]
pub struct Model<'a> {
    /// The raw facts.
    pub seen: &'a Observation,
    /// Options; those with a problem hold their default.
    pub config: Config,
    /// Options that cannot be used.
    pub config_problems: Vec<ConfigProblem>,
    /// Kafka.
    pub kafka: Kafka,
    /// Clients whose relation stays.
    pub clients: BTreeMap<RelationId, Client>,
    /// Clients whose relation goes on without our unit.
    pub parting: BTreeSet<RelationId>,
    /// What the units told each other.
    pub peers: Option<Peers>,
    /// The internal user and CA; absent until they may be used.
    pub internal: Option<Internal>,
}

/// The internal REST user and the internal CA, usable because an earlier hook committed them.
#[derive(Debug)]
pub struct Internal {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
    /// CA certificate, PEM.
    pub ca_certificate: String,
    /// CA key, PEM.
    pub ca_key: Secret<String>,
}

impl<'a> Model<'a> {
    /// Parses an observation.
    #[must_use]
    pub fn read(seen: &'a Observation) -> Self {
        let (config, config_problems) = Config::read(&seen.config, &seen.identity);
        Self {
            seen,
            config,
            config_problems,
            kafka: wire::kafka::read(&seen.kafka),
            clients: seen
                .clients
                .iter()
                .filter(|(_, relation)| relation.life == Life::Live)
                .map(|(id, relation)| (*id, wire::client::read(relation)))
                .collect(),
            parting: seen
                .clients
                .iter()
                .filter(|(_, relation)| relation.life == Life::Parting)
                .map(|(id, _)| *id)
                .collect(),
            peers: Peers::read(seen),
            internal: internal(seen),
        }
    }

    /// Whether no option has a problem: else what the options decide is left as it is.
    #[must_use]
    pub fn config_is_good(&self) -> bool {
        self.config_problems.is_empty()
    }
}

fn internal(seen: &Observation) -> Option<Internal> {
    // A worker process reads the user only at its start, so a secret that this hook has yet to
    // commit must not be used.
    if seen.minted.contains(wire::labels::INTERNAL) {
        return None;
    }
    let Some(Reading::Known(secret)) = seen.secrets.get(wire::labels::INTERNAL) else {
        return None;
    };
    let field = |key: &str| {
        secret
            .content
            .get(key)
            .filter(|value| !value.expose().is_empty())
    };
    Some(Internal {
        username: field(wire::USERNAME)?.expose().clone(),
        password: field(wire::PASSWORD)?.clone(),
        ca_certificate: field(wire::CA_CERTIFICATE)?.expose().clone(),
        ca_key: field(wire::CA_KEY)?.clone(),
    })
}
