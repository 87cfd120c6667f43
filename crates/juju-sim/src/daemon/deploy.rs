//! Operator commands about charms: deploy, refresh, attach-resource, units.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use juju_sim_model::state::{
    Application, ConfigOption, Endpoint, Life, Role, Scope, Status, StatusRow, StorageInstance,
    StorageKind, Unit,
};

use super::options::{config_value, from_file, model_type, set, settings_file};
use super::state::{ApplicationExtra, State, UnitExtra};
use crate::charm::{self, Charm};
use crate::cli::args::Deploy;
use crate::clock;

/// Where things of a model lie.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) model: PathBuf,
}

impl Layout {
    fn charm(&self, application: &str, revision: u32) -> PathBuf {
        self.model
            .join("charms")
            .join(format!("{application}-{revision}"))
    }

    fn resource(&self, application: &str, name: &str, revision: u32, filename: &str) -> PathBuf {
        let directory = self.model.join("resources").join(application).join(name);
        directory.join(revision.to_string()).join(filename)
    }
}

/// Deploys; the text to print.
pub(crate) fn deploy(
    state: &mut State,
    layout: &Layout,
    from: &Path,
    given: &Deploy,
) -> Result<String> {
    let source = from.join(&given.charm);
    let origin = given.charm.display().to_string();
    if !source.exists() {
        bail!("the charm or bundle {origin:?} does not exist; a local path is needed");
    }
    // Read into a place of its own first: nothing is changed if the charm is no good.
    let staging = layout.model.join("charms").join(".staging");
    drop(fs::remove_dir_all(&staging));
    charm::unpack(&source, &staging, &[]).with_context(|| format!("cannot deploy {origin:?}"))?;
    let charm = charm::read(&staging).with_context(|| format!("cannot deploy {origin:?}"))?;
    let name = given
        .application
        .clone()
        .unwrap_or_else(|| charm.metadata.name.clone());
    if !charm::is_application_name(&name) {
        bail!("invalid application name {name:?}");
    }
    if state.model.applications.contains_key(&name) {
        bail!("cannot add application {name:?}: application already exists");
    }
    if charm.metadata.subordinate {
        bail!("cannot deploy {name:?}: subordinate charms are not simulated");
    }
    let mut application = application_of(&name, &charm);
    for setting in &given.config {
        match setting.split_once('=') {
            Some((key, value)) => set(&mut application, key, &from_file(from, value)?)?,
            None => settings_file(&mut application, &from.join(setting))?,
        }
    }
    application.trusted = given.trust;
    for resource in &given.resource {
        attach(&mut application, layout, from, resource)?;
    }
    let storage = storage_counts(&charm, &given.storage)?;
    let target = layout.charm(&name, 0);
    drop(fs::remove_dir_all(&target));
    fs::rename(&staging, &target).context("cannot move the charm to its place")?;
    application.charm_dir = target.display().to_string();
    let base = charm.bases.first().cloned();
    let text = format!(
        "Located local charm \"{0}\", revision 0\nDeploying \"{name}\" from local charm \"{0}\", revision 0{1}\n",
        charm.metadata.name,
        base.map(|base| format!(" on {base}/stable"))
            .unwrap_or_default()
    );
    state.model.applications.insert(name.clone(), application);
    for (endpoint, declared) in &charm.metadata.endpoints {
        if declared.role == charm::Role::Peer {
            state
                .model
                .add_relation(vec![endpoint_of(&name, endpoint, declared)]);
        }
    }
    let extra = ApplicationExtra {
        charm,
        origin,
        charm_version: 1,
        config_version: 1,
        hidden: given.hide.clone(),
        storage,
    };
    state.applications.insert(name.clone(), extra);
    add_units(state, &name, given.num_units)?;
    Ok(text)
}

pub(crate) fn not_found(application: &str) -> String {
    format!("application {application:?} not found")
}

fn application_of(name: &str, charm: &Charm) -> Application {
    let mut application = Application::new(name, &charm.metadata.name);
    declare(&mut application, charm);
    application
}

/// Takes over what a charm declares, keeping what the operator set.
fn declare(application: &mut Application, charm: &Charm) {
    application.options = charm
        .options
        .iter()
        .map(|(name, option)| {
            let kind = model_type(option.kind);
            let default = option
                .default
                .as_ref()
                .and_then(|value| config_value(kind, value));
            let description = option.description.clone();
            (
                name.clone(),
                ConfigOption {
                    kind,
                    default,
                    description,
                },
            )
        })
        .collect();
    application
        .config
        .retain(|key, _| application.options.contains_key(key));
    let mut resources = BTreeMap::new();
    for (name, declared) in &charm.metadata.resources {
        let mut resource = application.resources.remove(name).unwrap_or_default();
        resource.filename.clone_from(&declared.filename);
        resources.insert(name.clone(), resource);
    }
    application.resources = resources;
    application.subordinate = charm.metadata.subordinate;
    application.storage_limits = charm
        .metadata
        .storage
        .iter()
        .map(|(name, storage)| (name.clone(), storage.range.1))
        .collect();
}

fn endpoint_of(application: &str, name: &str, declared: &charm::Endpoint) -> Endpoint {
    Endpoint {
        application: application.to_owned(),
        name: name.to_owned(),
        role: match declared.role {
            charm::Role::Provider => Role::Provider,
            charm::Role::Requirer => Role::Requirer,
            charm::Role::Peer => Role::Peer,
        },
        interface: declared.interface.clone(),
        scope: if declared.container_scoped {
            Scope::Container
        } else {
            Scope::Global
        },
        model_uuid: None,
    }
}

/// Every endpoint of an application's charm.
pub(crate) fn endpoints(state: &State, application: &str) -> Vec<Endpoint> {
    let charm = state
        .applications
        .get(application)
        .map(|extra| &extra.charm);
    charm
        .into_iter()
        .flat_map(|charm| &charm.metadata.endpoints)
        .map(|(name, declared)| endpoint_of(application, name, declared))
        .collect()
}

fn storage_counts(charm: &Charm, given: &[String]) -> Result<BTreeMap<String, u32>> {
    let mut counts: BTreeMap<String, u32> = charm
        .metadata
        .storage
        .iter()
        .map(|(name, storage)| (name.clone(), storage.range.0))
        .collect();
    for constraint in given {
        let (name, directive) = constraint.split_once('=').unwrap_or((constraint, "1"));
        let Some(storage) = charm.metadata.storage.get(name) else {
            bail!(
                "charm {:?} has no store called {name:?}",
                charm.metadata.name
            );
        };
        // `pool,count,size` in any order: the bare number is the count, the rest does not matter.
        let count = directive
            .split(',')
            .find_map(|part| part.parse().ok())
            .unwrap_or(1);
        if count < storage.range.0 || storage.range.1.is_some_and(|most| count > most) {
            bail!(
                "charm {:?} store {name:?}: {count} instances are out of range",
                charm.metadata.name
            );
        }
        counts.insert(name.to_owned(), count);
    }
    Ok(counts)
}

/// Adds units to an application.
pub(crate) fn add_units(state: &mut State, name: &str, count: u32) -> Result<Vec<String>> {
    let application = state
        .model
        .applications
        .get(name)
        .with_context(|| not_found(name))?;
    if application.life != Life::Alive {
        bail!("application {name:?} is not alive");
    }
    let mut added = Vec::new();
    for _ in 0..count {
        let next = state
            .model
            .counters
            .unit
            .entry(name.to_owned())
            .or_default();
        let unit = format!("{name}/{next}");
        *next += 1;
        let machine = state.model.counters.machine;
        state.model.counters.machine += 1;
        let mut row = Unit::new(&unit, &machine.to_string());
        row.agent_status = status(Status::Allocating, "");
        row.status = Some(status(Status::Waiting, "waiting for machine"));
        let storage: Vec<(String, u32)> = state.applications[name]
            .storage
            .iter()
            .map(|(name, count)| (name.clone(), *count))
            .collect();
        state.model.units.insert(unit.clone(), row);
        state.units.insert(unit.clone(), UnitExtra::default());
        for (store, count) in storage {
            for _ in 0..count {
                add_storage(state, &unit, &store);
            }
        }
        added.push(unit);
    }
    state.tidy();
    Ok(added)
}

/// Gives a unit one more storage instance of this name.
pub(crate) fn add_storage(state: &mut State, unit: &str, store: &str) {
    let application = juju_sim_model::state::application_of(unit);
    let Some(declared) = state
        .applications
        .get(application)
        .and_then(|extra| extra.charm.metadata.storage.get(store))
    else {
        return;
    };
    let number = state.model.counters.storage;
    state.model.counters.storage += 1;
    let id = format!("{store}/{number}");
    let location = match (&declared.location, declared.multiple) {
        (Some(location), false) => location.clone(),
        (Some(location), true) => format!("{}/{number}", location.trim_end_matches('/')),
        (None, _) => format!("/var/lib/juju/storage/{store}/{number}"),
    };
    let kind = if declared.block {
        StorageKind::Block
    } else {
        StorageKind::Filesystem
    };
    if let Some(row) = state.model.units.get_mut(unit) {
        row.storage.push(StorageInstance {
            id,
            kind,
            location,
            ..StorageInstance::default()
        });
    }
}

/// A status as of now.
pub(crate) fn status(status: Status, message: &str) -> StatusRow {
    StatusRow {
        status,
        message: message.to_owned(),
        since_ms: clock::now(),
        ..StatusRow::default()
    }
}

fn attach(application: &mut Application, layout: &Layout, from: &Path, given: &str) -> Result<()> {
    let Some((name, file)) = given.split_once('=') else {
        bail!("expected name=filename, got {given:?}");
    };
    let owner = application.name.clone();
    let Some(resource) = application.resources.get_mut(name) else {
        bail!("unrecognized resource {name:?}");
    };
    let source = from.join(file);
    let revision = resource.revision + 1;
    let target = layout.resource(&owner, name, revision, &resource.filename);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).context("cannot keep the resource")?;
    }
    fs::copy(&source, &target)
        .with_context(|| format!("file for resource {name:?}: open {file}"))?;
    resource.revision = revision;
    resource.source = Some(target.display().to_string());
    Ok(())
}

/// Replaces a resource.
pub(crate) fn attach_resource(
    state: &mut State,
    layout: &Layout,
    from: &Path,
    name: &str,
    resource: &str,
) -> Result<()> {
    let application = state
        .model
        .applications
        .get_mut(name)
        .with_context(|| not_found(name))?;
    attach(application, layout, from, resource)?;
    if let Some(extra) = state.applications.get_mut(name) {
        extra.charm_version += 1;
    }
    Ok(())
}

/// Replaces the charm.
pub(crate) fn refresh(
    state: &mut State,
    layout: &Layout,
    from: &Path,
    name: &str,
    path: &Path,
    resources: &[String],
) -> Result<String> {
    let mut application = state
        .model
        .applications
        .get(name)
        .with_context(|| not_found(name))?
        .clone();
    let revision = application.charm_revision + 1;
    let target = layout.charm(name, revision);
    drop(fs::remove_dir_all(&target));
    charm::unpack(&from.join(path), &target, &[])
        .with_context(|| format!("cannot refresh {name:?}"))?;
    let charm = charm::read(&target).with_context(|| format!("cannot refresh {name:?}"))?;
    if charm.metadata.name != application.charm {
        bail!(
            "cannot upgrade {:?} to {:?}: different charm",
            application.charm,
            charm.metadata.name
        );
    }
    for relation in state.model.relations_of(name) {
        let kept = relation.endpoint_of(name).and_then(|endpoint| {
            let declared = charm.metadata.endpoints.get(&endpoint.name)?;
            (endpoint_of(name, &endpoint.name, declared) == *endpoint).then_some(())
        });
        if kept.is_none() {
            bail!(
                "cannot upgrade application {name:?}: would break relation \"{}\"",
                relation.key()
            );
        }
    }
    declare(&mut application, &charm);
    for resource in resources {
        attach(&mut application, layout, from, resource)?;
    }
    application.charm_revision = revision;
    application.charm_dir = target.display().to_string();
    let peers: Vec<Endpoint> = charm
        .metadata
        .endpoints
        .iter()
        .filter(|(endpoint, declared)| {
            let exists = |relation: &juju_sim_model::state::Relation| {
                relation
                    .endpoint_of(name)
                    .is_some_and(|known| known.name == **endpoint)
            };
            declared.role == charm::Role::Peer && !state.model.relations_of(name).any(exists)
        })
        .map(|(endpoint, declared)| endpoint_of(name, endpoint, declared))
        .collect();
    let text = format!(
        "Added local charm \"{}\", revision {revision}, to the model\n",
        charm.metadata.name
    );
    state
        .model
        .applications
        .insert(name.to_owned(), application);
    if let Some(extra) = state.applications.get_mut(name) {
        extra.charm = charm;
        extra.charm_version += 1;
        extra.origin = path.display().to_string();
    }
    for peer in peers {
        state.model.add_relation(vec![peer]);
    }
    Ok(text)
}
