//! A recorded case's world, as it is written down.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

type Strings = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Fixture {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) unit: String,
    #[serde(default)]
    pub(super) leader: bool,
    #[serde(default)]
    pub(super) trusted: bool,
    #[serde(default)]
    pub(super) units: Vec<String>,
    #[serde(default)]
    pub(super) config: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) relations: Vec<Relation>,
    #[serde(default)]
    pub(super) secrets: Vec<Secret>,
    #[serde(default)]
    pub(super) storage: Vec<Storage>,
    #[serde(default)]
    pub(super) ports: BTreeMap<String, Strings>,
    #[serde(default)]
    pub(super) state: Strings,
    #[serde(default)]
    pub(super) status: Status,
    #[serde(default)]
    pub(super) app_status: Status,
    #[serde(default)]
    pub(super) unit_statuses: BTreeMap<String, Status>,
    #[serde(default)]
    pub(super) private_address: String,
    #[serde(default)]
    pub(super) public_address: String,
    #[serde(default)]
    pub(super) network: BTreeMap<String, Network>,
    #[serde(default)]
    pub(super) resources: BTreeMap<String, Resource>,
    #[serde(default)]
    pub(super) goal_units: Strings,
    #[serde(default)]
    pub(super) goal_relations: BTreeMap<String, Strings>,
    #[serde(default)]
    pub(super) leader_settings: Strings,
    /// Version of Juju, when it is not that of the transcripts.
    #[serde(default)]
    pub(super) version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Relation {
    pub(super) id: u32,
    pub(super) endpoint: String,
    pub(super) role: crate::state::Role,
    #[serde(default)]
    pub(super) interface: String,
    #[serde(default)]
    pub(super) remote: Option<String>,
    #[serde(default)]
    pub(super) remote_endpoint: Option<String>,
    #[serde(default)]
    pub(super) remote_model: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) bags: BTreeMap<String, Strings>,
    #[serde(default)]
    pub(super) gone: bool,
    #[serde(default)]
    pub(super) suspended: bool,
    #[serde(default)]
    pub(super) life: crate::state::Life,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Secret {
    pub(super) id: String,
    pub(super) owner: String,
    #[serde(default)]
    pub(super) label: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) rotate: Option<String>,
    #[serde(default)]
    pub(super) next_rotate: Option<String>,
    #[serde(default)]
    pub(super) expire: Option<String>,
    #[serde(default)]
    pub(super) revisions: BTreeMap<String, Strings>,
    #[serde(default)]
    pub(super) consumers: BTreeMap<String, Consumer>,
    #[serde(default)]
    pub(super) grants: Vec<crate::state::Grant>,
}

#[derive(Deserialize)]
pub(super) struct Consumer {
    pub(super) revision: u32,
    #[serde(default)]
    pub(super) label: String,
}

#[derive(Deserialize)]
pub(super) struct Storage {
    pub(super) id: String,
    pub(super) kind: crate::state::StorageKind,
    #[serde(default)]
    pub(super) location: String,
    #[serde(default)]
    pub(super) error: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as recorded")]
pub(super) struct Status {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Network {
    #[serde(default)]
    pub(super) bind: Vec<Interface>,
    #[serde(default)]
    pub(super) ingress: Vec<String>,
    #[serde(default)]
    pub(super) egress: Vec<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "as recorded")]
pub(super) struct Interface {
    #[serde(default)]
    pub(super) mac: String,
    #[serde(default)]
    pub(super) interface: String,
    #[serde(default)]
    pub(super) addresses: Vec<crate::state::BindAddress>,
}

#[derive(Deserialize)]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Hook {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) relation: Option<u32>,
    #[serde(default)]
    pub(super) remote_unit: Option<String>,
    #[serde(default)]
    pub(super) remote_app: Option<String>,
    #[serde(default)]
    pub(super) departing_unit: Option<String>,
    #[serde(default)]
    pub(super) storage: Option<String>,
    #[serde(default)]
    pub(super) secret_uri: Option<String>,
    #[serde(default)]
    pub(super) secret_label: Option<String>,
    #[serde(default)]
    pub(super) revision: Option<u32>,
    #[serde(default)]
    pub(super) action: Option<String>,
    #[serde(default)]
    pub(super) params: Map<String, Value>,
}
