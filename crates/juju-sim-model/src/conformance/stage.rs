//! Makes a model of a recorded case's world.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use serde_json::Value as Json;

use super::DIR;
use super::fixture::{self, Fixture, Hook};
use crate::context::{HookKind, HookSpec, RawStatus, RelationEvent, RelationHook, Staged};
use crate::go::{Value, atoi};
use crate::state::{
    Application, Bag, ConfigOption, ConfigValue, Consumer, Content, Endpoint, Interface, Life,
    MemberView, Model, Network, OptionType, PortRange, Protocol, Relation, RelationView, Resource,
    Role, RotatePolicy, Scope, Secret, SecretOwner, SecretRevision, StorageInstance, Unit,
    application_of,
};
use crate::tools::goal;

/// The version of Juju that the transcripts were recorded from.
const VERSION: &str = "3.6.11";
/// When every recorded status was set: 2024-01-01 10:00:00 UTC.
const SINCE_MS: u64 = 1_704_103_200_000;
/// What the recording's stand-in controller puts in front of its secrets' numbers.
const SECRET_PREFIX: [u8; 9] = [0x65, 0x53, 0xf1, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05];

pub(super) struct Stage {
    pub(super) model: Model,
    pub(super) unit: String,
    pub(super) spec: HookSpec,
    pub(super) staged: Staged,
}

pub(super) fn stage(fixture: Fixture, hook: &Hook) -> Result<Stage, String> {
    let version = fixture.version.as_deref().unwrap_or(VERSION);
    let mut model = Model::new(&fixture.uuid, &fixture.name, version);
    model.now_ms = SINCE_MS;
    model.secret_prefix = Some(SECRET_PREFIX);
    model
        .cloud
        .attributes
        .insert("client-cert".to_owned(), "CERT".to_owned());
    let own = application_of(&fixture.unit).to_owned();
    let spec = spec(hook, &fixture, &own)?;
    for name in fixture.units.iter().chain([&fixture.unit]) {
        // A machine each: only the recorded neighbour shares the unit's.
        model
            .units
            .entry(name.clone())
            .or_insert_with(|| Unit::new(name, name));
    }
    for (name, ports) in &fixture.ports {
        let unit = model
            .units
            .entry(name.clone())
            .or_insert_with(|| Unit::new(name, ""));
        unit.machine.clone_from(&fixture.unit);
        for (endpoint, ranges) in ports {
            let ranges: Result<BTreeSet<PortRange>, String> =
                ranges.split_whitespace().map(port_range).collect();
            unit.ports.insert(endpoint.clone(), ranges?);
        }
    }
    let staged = staged(&fixture);
    let application = application(&fixture, &own)?;
    model.applications.insert(own.clone(), application);
    for relation in &fixture.relations {
        let (view, relation) = self::relation(relation, &own);
        let id = relation.id;
        model.relations.insert(id, relation);
        if let Some(unit) = model.units.get_mut(&fixture.unit) {
            unit.relations.insert(id, view);
        }
    }
    for secret in &fixture.secrets {
        model
            .secrets
            .insert(secret.id.clone(), self::secret(secret)?);
    }
    let unit = fixture.unit.clone();
    if let Some(state) = model.units.get_mut(&unit) {
        fill_unit(state, fixture);
    }
    Ok(Stage {
        model,
        unit,
        spec,
        staged,
    })
}

fn application(fixture: &Fixture, own: &str) -> Result<Application, String> {
    let mut application = Application::new(own, own);
    application.trusted = fixture.trusted;
    application
        .leader_settings
        .clone_from(&fixture.leader_settings);
    if fixture.leader {
        application.leader = Some(fixture.unit.clone());
    }
    for (name, value) in &fixture.config {
        let option = ConfigOption {
            kind: OptionType::String,
            ..ConfigOption::default()
        };
        application.options.insert(name.clone(), option);
        if let Some(value) = config_value(value)? {
            application.config.insert(name.clone(), value);
        }
    }
    for (name, resource) in &fixture.resources {
        let source = resource.error.is_none().then(|| resource.path.clone());
        let resource = Resource {
            filename: resource.path.clone(),
            source,
            revision: 1,
        };
        application.resources.insert(name.clone(), resource);
    }
    for instance in &fixture.storage {
        let name = instance.id.split('/').next().unwrap_or_default();
        application.storage_limits.insert(name.to_owned(), None);
    }
    Ok(application)
}

fn config_value(value: &Json) -> Result<Option<ConfigValue>, String> {
    match value {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some(ConfigValue::Boolean(*value))),
        Json::String(value) => Ok(Some(ConfigValue::String(value.clone()))),
        Json::Number(value) => Ok(match (value.as_i64(), value.as_f64()) {
            (Some(value), _) => Some(ConfigValue::Int(value)),
            (None, Some(value)) => Some(ConfigValue::Float(value)),
            (None, None) => None,
        }),
        Json::Array(_) | Json::Object(_) => Err("an option is neither text nor number".to_owned()),
    }
}

fn fill_unit(unit: &mut Unit, fixture: Fixture) {
    unit.state = fixture.state;
    unit.private_address = fixture.private_address;
    unit.public_address = fixture.public_address;
    for instance in fixture.storage {
        unit.storage.push(StorageInstance {
            id: instance.id,
            kind: instance.kind,
            location: instance.location,
            error: instance.error,
            ..StorageInstance::default()
        });
    }
    for (binding, network) in fixture.network {
        let interfaces = network.bind.into_iter().map(|interface| Interface {
            mac: interface.mac,
            name: interface.interface,
            addresses: interface.addresses,
        });
        let network = Network {
            interfaces: interfaces.collect(),
            ingress: network.ingress,
            egress: network.egress,
            error: network.error,
        };
        unit.bindings.insert(binding, network);
    }
}

fn port_range(text: &str) -> Result<PortRange, String> {
    if text == "icmp" {
        return Ok(PortRange {
            protocol: Protocol::Icmp,
            from: -1,
            to: -1,
        });
    }
    let bad = || format!("no port range: {text}");
    let (ports, protocol) = text.split_once('/').ok_or_else(bad)?;
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| atoi(text).ok().and_then(|port| i32::try_from(port).ok());
    let protocol = if protocol == "udp" {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    let (from, to) = number(from).zip(number(to)).ok_or_else(bad)?;
    Ok(PortRange { protocol, from, to })
}

fn relation(recorded: &fixture::Relation, own: &str) -> (RelationView, Relation) {
    let endpoint = |application: &str, name: &str, role: Role, model: Option<&String>| Endpoint {
        application: application.to_owned(),
        name: name.to_owned(),
        role,
        interface: recorded.interface.clone(),
        scope: Scope::Global,
        model_uuid: model.cloned(),
    };
    let mut endpoints = vec![endpoint(own, &recorded.endpoint, recorded.role, None)];
    if let Some(remote) = &recorded.remote {
        let role = match recorded.role {
            Role::Requirer => Role::Provider,
            Role::Provider | Role::Peer => Role::Requirer,
        };
        let name = recorded
            .remote_endpoint
            .as_deref()
            .unwrap_or(&recorded.endpoint);
        endpoints.push(endpoint(remote, name, role, recorded.remote_model.as_ref()));
    }
    let mut relation = Relation::new(recorded.id, endpoints);
    (relation.life, relation.suspended) = (recorded.life, recorded.suspended);
    relation.gone = recorded.gone;
    for (owner, values) in &recorded.bags {
        let bag = Bag::of(values.clone());
        if owner.contains('/') {
            relation.in_scope.insert(owner.clone());
            relation.unit_bags.insert(owner.clone(), bag);
        } else {
            relation.application_bags.insert(owner.clone(), bag);
        }
    }
    let members = recorded
        .members
        .iter()
        .map(|unit| (unit.clone(), MemberView::default()));
    let view = RelationView {
        created: true,
        members: members.collect(),
        ..RelationView::default()
    };
    debug_assert!(
        relation.life != Life::Dead,
        "an agent knows no dead relation"
    );
    (view, relation)
}

fn secret(recorded: &fixture::Secret) -> Result<Secret, String> {
    let owner = match recorded.owner.split_once('-') {
        Some(("application", name)) => SecretOwner::Application(name.to_owned()),
        Some(("unit", name)) => {
            let (application, number) = name
                .rsplit_once('-')
                .ok_or_else(|| format!("no unit: {name}"))?;
            SecretOwner::Unit(format!("{application}/{number}"))
        }
        Some(("model", _)) => SecretOwner::Model,
        _ => return Err(format!("no owner of a secret: {}", recorded.owner)),
    };
    let rotate = recorded.rotate.as_deref();
    let rotate = rotate.and_then(|word| RotatePolicy::ALL.iter().find(|(name, _)| *name == word));
    let mut revisions = BTreeMap::new();
    for (number, values) in &recorded.revisions {
        let number: u32 = number
            .parse()
            .map_err(|_| format!("no revision: {number}"))?;
        let encode = |text: &String| base64::engine::general_purpose::STANDARD.encode(text);
        let values = values
            .iter()
            .map(|(key, value)| (key.clone(), encode(value)));
        let content = Content(values.collect());
        let checksum = crate::context::checksum(&content);
        let revision = SecretRevision {
            content,
            checksum,
            ..SecretRevision::default()
        };
        revisions.insert(number, revision);
    }
    if let Some(mut newest) = revisions.last_entry() {
        newest.get_mut().expire.clone_from(&recorded.expire);
    }
    let latest = revisions.keys().last().copied().unwrap_or_default();
    let consumers = recorded.consumers.iter().map(|(unit, consumer)| {
        let (revision, label) = (consumer.revision, consumer.label.clone());
        (
            unit.clone(),
            Consumer {
                revision,
                label,
                notified: revision,
            },
        )
    });
    Ok(Secret {
        id: recorded.id.clone(),
        owner,
        label: recorded.label.clone(),
        description: recorded.description.clone(),
        rotate: rotate.map(|(_, policy)| *policy),
        next_rotate: recorded.next_rotate.clone(),
        latest,
        revisions,
        consumers: consumers.collect(),
        grants: recorded.grants.clone(),
    })
}

fn staged(fixture: &Fixture) -> Staged {
    let raw = |status: &fixture::Status| RawStatus {
        status: status.status.clone(),
        message: status.message.clone(),
        data: status.data.clone(),
    };
    let rows = |rows: &BTreeMap<String, String>| {
        let rows = rows
            .iter()
            .map(|(name, status)| (name.clone(), goal(status, SINCE_MS)));
        Value::Map(rows.collect())
    };
    let relations = fixture
        .goal_relations
        .iter()
        .map(|(name, related)| (name.clone(), rows(related)));
    let goal_state = Value::Struct(vec![
        ("units", rows(&fixture.goal_units)),
        ("relations", Value::Map(relations.collect())),
    ]);
    let units = fixture
        .unit_statuses
        .iter()
        .map(|(unit, status)| (unit.clone(), raw(status)));
    Staged {
        no_process: true,
        goal_state: Some(goal_state),
        unit_status: Some(raw(&fixture.status)),
        application_status: Some(raw(&fixture.app_status)),
        unit_statuses: Some(units.collect()),
    }
}

fn spec(hook: &Hook, fixture: &Fixture, own: &str) -> Result<HookSpec, String> {
    let event = match hook.kind.as_str() {
        "relation-created" => Some(RelationEvent::Created),
        "relation-joined" => Some(RelationEvent::Joined),
        "relation-changed" => Some(RelationEvent::Changed),
        "relation-departed" => Some(RelationEvent::Departed),
        "relation-broken" => Some(RelationEvent::Broken),
        _ => None,
    };
    let mut name = hook.kind.clone();
    let kind = if let Some(event) = event {
        let relation = hook.relation.ok_or("a relation hook without a relation")?;
        let recorded = fixture
            .relations
            .iter()
            .find(|recorded| recorded.id == relation);
        name = format!(
            "{}-{}",
            recorded.map_or("", |recorded| &recorded.endpoint),
            hook.kind
        );
        HookKind::Relation(RelationHook {
            event,
            relation,
            remote_unit: hook.remote_unit.clone(),
            remote_application: hook.remote_app.clone().unwrap_or_default(),
            departing_unit: hook.departing_unit.clone(),
        })
    } else if let Some(action) = &hook.action {
        name.clone_from(action);
        HookKind::Action {
            id: "2".to_owned(),
            name: action.clone(),
            params: hook.params.clone(),
        }
    } else if let Some(uri) = &hook.secret_uri {
        let label = hook.secret_label.clone().unwrap_or_default();
        HookKind::Secret {
            uri: uri.clone(),
            label,
            revision: hook.revision,
        }
    } else if let Some(id) = &hook.storage {
        HookKind::Storage { id: id.clone() }
    } else if hook.kind == "juju-exec" {
        "run-commands".clone_into(&mut name);
        HookKind::Exec {
            relation: hook.relation,
            remote_unit: hook.remote_unit.clone(),
            remote_application: hook.remote_app.clone(),
        }
    } else {
        HookKind::Plain
    };
    let context_id = format!("{own}-{name}-0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    Ok(HookSpec {
        name,
        kind,
        context_id,
        agent_dir: DIR.to_owned(),
    })
}
