//! Validated nouns, parsed from the raw facts of an observation.

pub mod client;
pub mod config;
pub mod kafka;
pub mod password;
pub mod peer;
pub mod tls;

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{Life, Observation, Reading, RelationId};
use crate::secret::Secret;
use crate::wire;
use crate::wire::x509::Certificate;

use client::Client;
use config::{Config, ConfigProblem};
use kafka::Kafka;
use peer::Peers;
use tls::Tls;

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
    /// Certificates for the client door.
    pub tls: Tls,
    /// CA certificates to trust when plugins are fetched, PEM.
    pub authorities: Vec<String>,
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
        let authorities = authorities(seen, &config);
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
            tls: wire::certificates::read(seen),
            authorities,
        }
    }

    /// Whether no option has a problem: else what the options decide is left as it is.
    #[must_use]
    pub fn config_is_good(&self) -> bool {
        self.config_problems.is_empty()
    }
}

fn authorities(seen: &Observation, config: &Config) -> Vec<String> {
    let received = seen
        .transfers
        .values()
        .filter(|relation| relation.life == Life::Live)
        .flat_map(|relation| wire::transfer::read(relation).0);
    let all: BTreeSet<Certificate> = Certificate::all(&config.extra_ca_certificates)
        .into_iter()
        .chain(received)
        .collect();
    all.iter().map(Certificate::pem).collect()
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
