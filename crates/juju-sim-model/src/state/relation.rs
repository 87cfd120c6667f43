//! Relations and their databags.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Life;

/// The part an application plays in a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `provides`.
    Provider,
    /// `requires`.
    Requirer,
    /// `peers`.
    Peer,
}

/// How far a relation reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every unit sees every unit.
    #[default]
    Global,
    /// A subordinate sees its principal only.
    Container,
}

/// One side of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The application.
    pub application: String,
    /// The endpoint's name in that application's charm.
    pub name: String,
    /// Provider, requirer or peer.
    pub role: Role,
    /// The interface.
    pub interface: String,
    /// Global or container.
    #[serde(default)]
    pub scope: Scope,
    /// The model the application lives in, when it is not this one.
    #[serde(default)]
    pub model_uuid: Option<String>,
}

/// A databag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bag {
    /// Goes up with every real change; 0 while nothing was ever written.
    pub version: u64,
    /// What it holds.
    pub values: BTreeMap<String, String>,
}

impl Bag {
    /// A bag that holds these values.
    #[must_use]
    pub fn of(values: BTreeMap<String, String>) -> Self {
        Self {
            version: u64::from(!values.is_empty()),
            values,
        }
    }

    /// Writes changes, an empty value removing its key, and returns what really changed.
    pub fn merge(&mut self, changes: BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
        let mut changed = BTreeMap::new();
        for (key, value) in changes {
            if value.is_empty() {
                if self.values.remove(&key).is_some() {
                    changed.insert(key, None);
                }
            } else if self.values.get(&key) != Some(&value) {
                self.values.insert(key.clone(), value.clone());
                changed.insert(key, Some(value));
            }
        }
        self.version += u64::from(!changed.is_empty());
        changed
    }
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its number.
    pub id: u32,
    /// Both sides; one for a peer relation.
    pub endpoints: Vec<Endpoint>,
    /// Dying as soon as the operator removed it.
    #[serde(default)]
    pub life: Life,
    /// A suspended cross-model relation.
    #[serde(default)]
    pub suspended: bool,
    /// Application databags by application.
    #[serde(default)]
    pub application_bags: BTreeMap<String, Bag>,
    /// Unit databags by unit. A unit that left keeps its bag until the relation goes.
    #[serde(default)]
    pub unit_bags: BTreeMap<String, Bag>,
    /// The units that take part.
    #[serde(default)]
    pub in_scope: BTreeSet<String>,
    /// The controller has forgotten the relation although an agent still knows it, as after a
    /// removal by force.
    #[serde(default)]
    pub gone: bool,
}

impl Relation {
    /// A new relation between these endpoints.
    #[must_use]
    pub fn new(id: u32, endpoints: Vec<Endpoint>) -> Self {
        let bags = endpoints
            .iter()
            .map(|e| (e.application.clone(), Bag::default()))
            .collect();
        Self {
            id,
            endpoints,
            life: Life::Alive,
            suspended: false,
            application_bags: bags,
            unit_bags: BTreeMap::new(),
            in_scope: BTreeSet::new(),
            gone: false,
        }
    }

    /// Whether this is a peer relation.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        self.endpoints.len() == 1
    }

    /// The endpoint of one of its applications.
    #[must_use]
    pub fn endpoint_of(&self, application: &str) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.application == application)
    }

    /// The other side's endpoint; its own for a peer relation.
    #[must_use]
    pub fn remote_endpoint(&self, application: &str) -> Option<&Endpoint> {
        let other = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.application != application);
        other.or_else(|| self.endpoints.first())
    }

    /// The relation as Juju writes it for people: `kc:kafka-client kafka:kafka-client`, the
    /// requirer first.
    #[must_use]
    pub fn key(&self) -> String {
        self.spelled(':', " ")
    }

    /// The relation's tag: `relation-kc.kafka-client#kafka.kafka-client`. Grants name it.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("relation-{}", self.spelled('.', "#"))
    }

    fn spelled(&self, inner: char, between: &str) -> String {
        let rank = |endpoint: &&Endpoint| match endpoint.role {
            Role::Requirer => 0,
            Role::Provider => 1,
            Role::Peer => 2,
        };
        let mut endpoints: Vec<&Endpoint> = self.endpoints.iter().collect();
        endpoints.sort_by_key(rank);
        let spelled: Vec<String> = endpoints
            .iter()
            .map(|e| format!("{}{inner}{}", e.application, e.name))
            .collect();
        spelled.join(between)
    }
}
