//! What a controller and the unit agents of one model remember.
//!
//! Everything is public and plain: the simulator's operator commands change it directly. Maps are
//! ordered, so the JSON of a model is stable. Units and applications are addressed by name
//! (`kafka/0`, `kafka`), relations by number, secrets by their 20-character id.

mod application;
mod names;
mod ports;
mod relation;
mod secret;
mod unit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use application::{Application, ConfigOption, ConfigValue, OptionType, Resource};
pub use names::{
    application_of, is_application_name, is_unit_name, unit_number, unit_order, unit_tag,
};
pub use ports::{PortRange, Protocol};
pub use relation::{Bag, Endpoint, Relation, Role, Scope};
pub use secret::{
    Consumer, Content, Grant, RotatePolicy, Secret, SecretOwner, SecretRevision, is_secret_id,
    secret_id, secret_prefix,
};
pub use unit::{
    BindAddress, Interface, MemberView, Network, RelationView, Status, StatusRow, StorageInstance,
    StorageKind, Unit,
};

/// Whether something is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Here to stay.
    #[default]
    Alive,
    /// Being removed; hooks still run for it.
    Dying,
    /// Gone for everybody but the bookkeeping.
    Dead,
}

/// One model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// The model's UUID.
    pub uuid: String,
    /// The model's name.
    pub name: String,
    /// The agents' version, as in `JUJU_VERSION`: `3.6.11`, `4.0.1`.
    pub version: String,
    /// Model configuration, such as `juju-http-proxy`.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// By name.
    #[serde(default)]
    pub applications: BTreeMap<String, Application>,
    /// By name.
    #[serde(default)]
    pub units: BTreeMap<String, Unit>,
    /// By number.
    #[serde(default)]
    pub relations: BTreeMap<u32, Relation>,
    /// By id.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// The next free numbers.
    #[serde(default)]
    pub counters: Counters,
    /// The time, in milliseconds since the Unix epoch. Whoever drives the model sets it.
    #[serde(default)]
    pub now_ms: u64,
    /// Begins every secret id; absent means a fingerprint of the model's UUID.
    #[serde(default)]
    pub secret_prefix: Option<[u8; 9]>,
    /// What `credential-get` tells a trusted application.
    #[serde(default)]
    pub cloud: Cloud,
}

/// A cloud and its credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Juju's own names")]
pub struct Cloud {
    pub kind: String,
    pub name: String,
    pub region: String,
    pub endpoint: String,
    pub auth_type: String,
    pub attributes: BTreeMap<String, String>,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            kind: "lxd".to_owned(),
            name: "localhost".to_owned(),
            region: "default".to_owned(),
            endpoint: "https://10.0.0.1:8443".to_owned(),
            auth_type: "certificate".to_owned(),
            attributes: BTreeMap::new(),
        }
    }
}

/// The next free number of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Relations.
    pub relation: u32,
    /// Secrets.
    pub secret: u32,
    /// Machines.
    pub machine: u32,
    /// Storage instances.
    pub storage: u32,
    /// Actions and operations.
    pub action: u32,
    /// Units, by application: numbers are never used twice.
    pub unit: BTreeMap<String, u32>,
}

impl Model {
    /// An empty model.
    #[must_use]
    pub fn new(uuid: &str, name: &str, version: &str) -> Self {
        Self {
            uuid: uuid.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// The major version of Juju, 0 when the text does not say.
    #[must_use]
    pub fn major(&self) -> u32 {
        let digits: String = self
            .version
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap_or(0)
    }

    /// The application of a unit name.
    #[must_use]
    pub fn application_of_unit(&self, unit: &str) -> Option<&Application> {
        self.applications.get(application_of(unit))
    }

    /// Whether this unit leads its application.
    #[must_use]
    pub fn is_leader(&self, unit: &str) -> bool {
        self.application_of_unit(unit)
            .is_some_and(|application| application.leader.as_deref() == Some(unit))
    }

    /// The units of an application, by number.
    #[must_use]
    pub fn units_of(&self, application: &str) -> Vec<&str> {
        let mut units: Vec<&str> = self
            .units
            .keys()
            .map(String::as_str)
            .filter(|unit| application_of(unit) == application)
            .collect();
        units.sort_by_key(|unit| unit_number(unit));
        units
    }

    /// The relations that an application takes part in, by number.
    pub fn relations_of<'a>(
        &'a self,
        application: &'a str,
    ) -> impl Iterator<Item = &'a Relation> + 'a {
        self.relations
            .values()
            .filter(move |relation| relation.endpoint_of(application).is_some())
    }

    /// Adds a relation between endpoints (one for a peer relation) and returns its number.
    pub fn add_relation(&mut self, endpoints: Vec<Endpoint>) -> u32 {
        let id = self.counters.relation;
        self.counters.relation += 1;
        self.relations.insert(id, Relation::new(id, endpoints));
        id
    }

    /// Lets a unit enter a relation's scope with the address keys that a controller fills in.
    ///
    /// Contract: up to Juju 3.6 the bag has `private-address` too.
    pub fn enter_scope(&mut self, id: u32, unit: &str) {
        let addresses = self.address_settings(id, unit);
        if let Some(relation) = self.relations.get_mut(&id) {
            relation.in_scope.insert(unit.to_owned());
            let bag = relation.unit_bags.entry(unit.to_owned()).or_default();
            bag.merge(addresses);
        }
        if let Some(unit) = self.units.get_mut(unit) {
            unit.relations.entry(id).or_default();
        }
    }

    /// The address keys of a unit's own databag.
    #[must_use]
    pub fn address_settings(&self, id: u32, unit: &str) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let Some(state) = self.units.get(unit) else {
            return settings;
        };
        let endpoint = self
            .relations
            .get(&id)
            .and_then(|r| r.endpoint_of(application_of(unit)));
        let network = endpoint.and_then(|endpoint| state.network(&endpoint.name));
        let ingress = network
            .and_then(|network| network.ingress.first().cloned())
            .unwrap_or_else(|| state.private_address.clone());
        if ingress.is_empty() {
            return settings;
        }
        let egress = network
            .map(|network| network.egress.join(","))
            .filter(|e| !e.is_empty());
        let egress = egress.unwrap_or_else(|| {
            format!("{ingress}/{}", if ingress.contains(':') { 128 } else { 32 })
        });
        settings.insert("egress-subnets".to_owned(), egress);
        if self.major() < 4 {
            settings.insert("private-address".to_owned(), ingress.clone());
        }
        settings.insert("ingress-address".to_owned(), ingress);
        settings
    }

    /// Lets a unit leave a relation's scope. Its databag stays until the relation goes.
    pub fn leave_scope(&mut self, id: u32, unit: &str) {
        if let Some(relation) = self.relations.get_mut(&id) {
            relation.in_scope.remove(unit);
        }
    }

    /// Removes a relation, and with it every grant that was made for it.
    pub fn remove_relation(&mut self, id: u32) {
        let Some(relation) = self.relations.remove(&id) else {
            return;
        };
        let scope = relation.tag();
        for secret in self.secrets.values_mut() {
            secret.grants.retain(|grant| grant.scope != scope);
        }
        for unit in self.units.values_mut() {
            unit.relations.remove(&id);
        }
    }

    /// Reserves a secret id: unique in this model, and of the form Juju accepts.
    pub fn reserve_secret_id(&mut self) -> String {
        let prefix = self
            .secret_prefix
            .unwrap_or_else(|| secret_prefix(&self.uuid));
        loop {
            self.counters.secret += 1;
            let id = secret_id(prefix, self.counters.secret);
            if !self.secrets.contains_key(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(application: &str, role: Role) -> Endpoint {
        Endpoint {
            application: application.to_owned(),
            name: "db".to_owned(),
            role,
            interface: "sql".to_owned(),
            scope: Scope::Global,
            model_uuid: None,
        }
    }

    #[test]
    fn a_model_survives_its_json() {
        let mut model = Model::new("u", "m", "3.6.11");
        model
            .applications
            .insert("web".to_owned(), Application::new("web", "web"));
        let mut unit = Unit::new("web/0", "0");
        unit.private_address = "10.0.0.1".to_owned();
        let range = PortRange {
            protocol: Protocol::Tcp,
            from: 1,
            to: 2,
        };
        unit.ports.entry(String::new()).or_default().insert(range);
        model.units.insert("web/0".to_owned(), unit);
        let endpoints = vec![
            endpoint("web", Role::Requirer),
            endpoint("db", Role::Provider),
        ];
        let id = model.add_relation(endpoints);
        model.enter_scope(id, "web/0");
        let text = serde_json::to_string(&model).unwrap();
        let back: Model = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    #[test]
    fn a_removed_relation_takes_its_grants_along() {
        let mut model = Model::new("u", "m", "3.6.11");
        let endpoints = vec![
            endpoint("db", Role::Provider),
            endpoint("web", Role::Requirer),
        ];
        let id = model.add_relation(endpoints);
        let scope = model.relations[&id].tag();
        assert_eq!(scope, "relation-web.db#db.db");
        let grant = Grant {
            target: "application-web".to_owned(),
            scope,
        };
        let secret = Secret {
            id: model.reserve_secret_id(),
            owner: SecretOwner::Application("db".to_owned()),
            label: String::new(),
            description: String::new(),
            rotate: None,
            next_rotate: None,
            latest: 1,
            revisions: BTreeMap::new(),
            consumers: BTreeMap::new(),
            grants: vec![grant],
        };
        assert!(secret.readable_by("web/0"));
        let secret_id = secret.id.clone();
        model.secrets.insert(secret_id.clone(), secret);
        model.remove_relation(id);
        assert!(!model.secrets[&secret_id].readable_by("web/0"));
    }
}
