//! A unit's place in the world: its machine, its charm directory, its addresses.

use anyhow::{Context as _, Result};
use juju_sim_model::state::{Status, StorageKind, application_of};

use crate::charm;
use crate::daemon::state::State;
use crate::daemon::status;
use crate::daemon::world::World;
use crate::machines;

/// Starts the machine and puts the charm into it.
pub(super) fn prepare(world: &World, unit: &str) -> Result<()> {
    let state = world.state();
    let row = state.model.units.get(unit).context("the unit is gone")?;
    let number = row.machine.clone();
    let uuid = state.model.uuid.clone();
    let hidden = state
        .applications
        .get(application_of(unit))
        .map(|extra| extra.hidden.clone());
    let storage: Vec<_> = row
        .storage
        .iter()
        .filter(|instance| instance.kind == StorageKind::Filesystem)
        .map(|instance| {
            (
                instance.id.replace('/', "-"),
                instance.location.clone().into(),
            )
        })
        .collect();
    drop(state);
    world
        .machines
        .start(unit, &number, &uuid, &hidden.unwrap_or_default(), &storage)?;
    unpack(world, unit)?;
    let mut state = world.state();
    if let Some(row) = state.model.units.get_mut(unit) {
        let network = machines::network(&number);
        let address = network.ingress.first().cloned().unwrap_or_default();
        row.private_address.clone_from(&address);
        row.public_address = address;
        row.default_network = Some(network);
        if row.agent_status.status == Status::Allocating {
            row.status = Some(status(Status::Waiting, "agent initialising"));
        }
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra.ready = true;
    }
    world.publish(state);
    world.log(
        unit,
        "INFO",
        "juju.machine",
        &format!("machine {number} started"),
    );
    Ok(())
}

/// Brings the charm directory up to the application's revision, if it is not.
pub(super) fn unpack(world: &World, unit: &str) -> Result<()> {
    let state = world.state();
    let Some((source, number, before)) = wanted(&state, unit) else {
        return Ok(());
    };
    drop(state);
    let target = world.machines.agent(&number, unit).join("charm");
    let previous = before.map(|(_, files)| files).unwrap_or_default();
    let files = charm::unpack(source.as_ref(), &target, &previous)
        .with_context(|| format!("cannot unpack the charm of {unit}"))?;
    let mut state = world.state();
    if let Some(extra) = state.units.get_mut(unit) {
        extra.unpacked = Some((source, files));
    }
    world.publish(state);
    Ok(())
}

type Unpacked = (String, Vec<String>);

fn wanted(state: &State, unit: &str) -> Option<(String, String, Option<Unpacked>)> {
    let application = state.model.applications.get(application_of(unit))?;
    let before = state.units.get(unit)?.unpacked.clone();
    if before
        .as_ref()
        .is_some_and(|(source, _)| *source == application.charm_dir)
    {
        return None;
    }
    Some((
        application.charm_dir.clone(),
        state.model.units.get(unit)?.machine.clone(),
        before,
    ))
}

/// Sees to it that a filesystem instance is where the charm will look for it.
pub(super) fn provide(world: &World, unit: &str, id: &str) -> Result<()> {
    let state = world.state();
    let row = state.model.units.get(unit).context("the unit is gone")?;
    let instance = row.storage.iter().find(|instance| instance.id == id);
    let location = instance
        .filter(|instance| instance.kind == StorageKind::Filesystem)
        .map(|instance| instance.location.clone());
    drop(state);
    let Some(location) = location else {
        return Ok(());
    };
    let machine = world.machines.of(unit).context("the unit has no machine")?;
    let seen = machine.root().join(location.trim_start_matches('/'));
    std::fs::create_dir_all(seen).with_context(|| format!("cannot provide storage `{location}`"))
}

/// Puts the newest file of a resource where `resource-get` says it is. A file that is there already
/// is not copied again.
pub(super) fn download(world: &World, unit: &str, name: &str) -> Result<()> {
    let state = world.state();
    let application = state.model.applications.get(application_of(unit));
    let resource = application
        .and_then(|application| application.resources.get(name))
        .cloned();
    let number = state.model.units.get(unit).map(|row| row.machine.clone());
    drop(state);
    let Some((resource, number)) = resource.zip(number) else {
        return Ok(());
    };
    let Some(source) = resource.source else {
        return Ok(());
    };
    let directory = world
        .machines
        .agent(&number, unit)
        .join("resources")
        .join(name);
    let note = directory.join(".revision");
    let revision = resource.revision.to_string();
    let target = directory.join(&resource.filename);
    if target.exists() && std::fs::read_to_string(&note).is_ok_and(|known| known == revision) {
        return Ok(());
    }
    let failed = || format!("cannot download resource `{name}`");
    std::fs::create_dir_all(&directory).with_context(failed)?;
    let fresh = directory.join(".download");
    std::fs::copy(source, &fresh).with_context(failed)?;
    std::fs::rename(fresh, target).with_context(failed)?;
    std::fs::write(note, revision).with_context(failed)
}

/// Ends the machine of a unit that is dead.
pub(super) fn clear(world: &World, unit: &str) -> Result<()> {
    world.machines.remove(unit)
}
