//! What clients' databags said when they were read last, so that a hook about one of a hundred
//! clients costs one client's calls and not a hundred.
//!
//! **Guarantees.** Whatever a client writes, Juju brings a hook about its relation to each of our units,
//! and what is remembered of a relation is forgotten, on disk as well, before anything is read in a hook
//! about it. So what is remembered is what that client wrote last, or a hook about it is still to come.
//! Of our own answers only those are remembered that were read and not changed in the same hook.
//!
//! **Caveats.** A hook that the operator has Juju skip was seen by nobody, and neither is an answer of a
//! leader between two of our own terms; so hooks that come now and then (see
//! [`attention`](super::event::attention)) forget everything first.
//!
//! It is lost at each boot and may be lost at any time: what is not remembered is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use connect_core::observation::{Databag, Life, Observation, RelationId};
use connect_core::plan::Promise;
use connect_core::wire;
use serde::{Deserialize, Serialize};

use super::event::{self, Attention};
use crate::host::fs::{self, Access, FsError};
use crate::world::World;

/// What is remembered, by relation.
pub type Memory = BTreeMap<RelationId, Told>;

/// What is remembered of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its application.
    pub application: String,
    /// What it asked for.
    pub theirs: Databag,
    /// What we answered, if this unit led and did not change it.
    pub ours: Option<Databag>,
}

/// Why something could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FsError),
    /// It has no JSON form.
    #[error("cannot write it as JSON")]
    Json(#[from] serde_json::Error),
}

/// What may be taken for true in this hook. What may not is forgotten first, for good: the hook may
/// end before it has read it. If that fails nothing is remembered.
#[must_use]
pub fn recall(world: &World) -> Memory {
    let path = path(world);
    let text = fs::read(&path).ok().flatten();
    let memory: Option<Memory> = text.and_then(|text| serde_json::from_slice(&text).ok());
    let mut memory = memory.unwrap_or_default();
    let forgotten = match event::attention(&world.context.hook) {
        Attention::Everything => {
            memory.clear();
            fs::remove_file(&path).is_ok()
        }
        Attention::Client(Some(id)) if memory.remove(&id).is_some() => {
            write(&path, &memory).is_ok() || fs::remove_file(&path).is_ok()
        }
        Attention::Client(_) => true,
    };
    if forgotten { memory } else { Memory::new() }
}

/// Remembers what was seen and not changed by these promises.
///
/// # Errors
///
/// The file cannot be written; what it held before is still true.
pub fn keep(seen: &Observation, promises: &[Promise], world: &World) -> Result<(), MemoryError> {
    let changed = |id: RelationId| {
        promises.iter().any(|promise| {
            matches!(
                promise,
                Promise::SetApplicationData { relation, .. }
                    if relation.endpoint == wire::CONNECT_CLIENT && relation.id == id
            )
        })
    };
    let memory: Memory = seen
        .clients
        .iter()
        // One that has not asked yet is looked at again.
        .filter(|(_, client)| client.life == Life::Live && !client.theirs.is_empty())
        .map(|(id, client)| {
            let told = Told {
                application: client.application.clone(),
                theirs: client.theirs.clone(),
                ours: client.ours.clone().filter(|_| !changed(*id)),
            };
            (*id, told)
        })
        .collect();
    let path = path(world);
    if memory.is_empty() {
        // A unit that leaves has just removed all that was here.
        return Ok(fs::remove_file(&path)?);
    }
    let text = serde_json::to_vec(&memory)?;
    if fs::read(&path)?.as_ref() == Some(&text) {
        return Ok(());
    }
    write(&path, &memory)
}

fn path(world: &World) -> PathBuf {
    PathBuf::from(world.layout.client_memory())
}

fn write(path: &Path, memory: &Memory) -> Result<(), MemoryError> {
    let access = |mode| Access {
        mode,
        user: 0,
        group: 0,
    };
    fs::make_directory(fs::above(path), access(0o700))?;
    Ok(fs::write(
        path,
        &serde_json::to_vec(memory)?,
        access(0o600),
    )?)
}
