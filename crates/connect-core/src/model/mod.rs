//! Validated nouns, parsed from the raw facts of an observation.

pub mod admission;
pub mod client;
pub mod config;
pub mod kafka;
pub mod network;
pub mod operators;
pub mod options;
pub mod password;
pub mod peer;
pub mod tls;

use std::collections::{BTreeMap, BTreeSet};

use crate::observation::{ConfigValue, Life, Observation, Reading, RelationId};
use crate::secret::Secret;
use crate::wire;
use crate::wire::labels;
use crate::wire::x509::Certificate;

use admission::Terms;
use client::Client;
use config::{Config, ConfigProblem};
use kafka::Kafka;
use network::Addresses;
use options::Rejection;
use peer::{Peers, Phase};
use tls::Tls;

/// Everything parsed, once per round.
#[derive(Debug)]
pub struct Model<'a> {
    /// The raw facts.
    pub seen: &'a Observation,
    /// Options; those with a problem hold their default.
    pub config: Config,
    /// Raw options that the former are read from: the model's, or with the last good values of what
    /// a worker reads at its start.
    pub options: BTreeMap<String, ConfigValue>,
    /// Values of options that a worker does not bear.
    pub rejection: Option<Rejection>,
    /// Options that cannot be used.
    pub config_problems: Vec<ConfigProblem>,
    /// Kafka.
    pub kafka: Kafka,
    /// Clients whose relation stays.
    pub clients: BTreeMap<RelationId, Client>,
    /// Clients whose relation goes on without our unit.
    pub parting: BTreeSet<RelationId>,
    /// Where this unit is reached.
    pub addresses: Addresses,
    /// What the units told each other.
    pub peers: Option<Peers>,
    /// The internal user and CA to present; absent until they may be used.
    pub internal: Option<Internal>,
    /// Those to accept besides, while they are rotated.
    pub internal_other: Option<Internal>,
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
        let peers = Peers::read(seen);
        let (options, rejection) = options::effective(&seen.config, peers.as_ref());
        let (config, config_problems) = Config::read(&options, &seen.identity);
        let authorities = authorities(seen, &config);
        let (internal, internal_other) = internals(seen, peers.as_ref());
        Self {
            seen,
            config,
            options,
            rejection,
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
            addresses: Addresses::read(&seen.network, peers.as_ref()),
            peers,
            internal,
            internal_other,
            tls: wire::certificates::read(seen),
            authorities,
        }
    }

    /// On what terms clients' plugins are fetched; none while an option about them cannot be read.
    #[must_use]
    pub fn terms(&self) -> Option<Terms> {
        let of_plugins = |problem: &ConfigProblem| problem.option.starts_with("plugin-");
        (!self.config_problems.iter().any(of_plugins)).then(|| Terms {
            limits: self.config.plugin_limits.clone(),
            allowed: self.config.plugin_allowed.clone(),
            authorities: self.authorities.clone(),
        })
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

/// Those to present and those to accept besides.
fn internals(seen: &Observation, peers: Option<&Peers>) -> (Option<Internal>, Option<Internal>) {
    let now = internal(seen, labels::INTERNAL);
    let rotation = peers.and_then(|peers| peers.application.internal.as_ref());
    let Some(phase) = rotation.and_then(|rotation| rotation.phase) else {
        return (now, None);
    };
    let next = internal(seen, labels::INTERNAL_NEXT);
    match (phase, next) {
        (Phase::Trust, next) => (now, next),
        (Phase::Use, Some(next)) => (Some(next), now),
        // It took the first one's place, or was taken away.
        (Phase::Use, None)
            if matches!(
                seen.secrets.get(labels::INTERNAL_NEXT),
                Some(Reading::Absent)
            ) =>
        {
            (now, None)
        }
        // Going back would restart workers for a secret that is only late.
        (Phase::Use, None) => (None, None),
    }
}

fn internal(seen: &Observation, label: &str) -> Option<Internal> {
    // A worker process reads the user only at its start, so a secret that this hook has yet to
    // commit must not be used.
    if seen.minted.contains(label) {
        return None;
    }
    let Some(Reading::Known(secret)) = seen.secrets.get(label) else {
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
