//! Operator commands about secrets that the model owns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_sim_model::state::{Content, Grant, Secret, SecretOwner, SecretRevision};
use sha2::{Digest as _, Sha256};

use super::deploy::not_found;
use super::state::State;
use crate::show::secrets::find;

/// `key=value`, `key#base64=…`, `key#file=path`.
fn content(from: &Path, given: &[String]) -> Result<Content> {
    let mut values = BTreeMap::new();
    for word in given {
        let (key, value) = word
            .split_once('=')
            .with_context(|| format!("key value {word:?} not valid"))?;
        let (key, encoded) = match key.split_once('#') {
            Some((key, "base64")) => (key, value.to_owned()),
            Some((key, "file")) => {
                let bytes = std::fs::read(from.join(value))
                    .with_context(|| format!("reading content for secret key {key:?}"))?;
                (key, STANDARD.encode(bytes))
            }
            Some((key, _)) => bail!("key {key:?} not valid"),
            None => (key, STANDARD.encode(value)),
        };
        let legal = key.len() >= 3
            && key.starts_with(|c: char| c.is_ascii_lowercase())
            && !key.ends_with('-')
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !legal {
            bail!("key {key:?} not valid");
        }
        values.insert(key.to_owned(), encoded);
    }
    Ok(Content(values))
}

/// SHA-256 over keys and values in order, in hexadecimal.
pub(crate) fn checksum(content: &Content) -> String {
    let mut hash = Sha256::new();
    for (key, value) in &content.0 {
        hash.update(key.as_bytes());
        hash.update([0]);
        hash.update(value.as_bytes());
        hash.update([0]);
    }
    crate::random::hex(&hash.finalize())
}

/// Adds a secret; its URI.
pub(crate) fn add(
    state: &mut State,
    from: &Path,
    name: &str,
    words: &[String],
    info: &str,
) -> Result<String> {
    let content = content(from, words)?;
    if find(&state.model, name).is_some() {
        bail!("secret with name {name:?} already exists");
    }
    let id = state.model.reserve_secret_id();
    let checksum = checksum(&content);
    let revision = SecretRevision {
        content,
        checksum,
        ..SecretRevision::default()
    };
    let secret = Secret {
        id: id.clone(),
        owner: SecretOwner::Model,
        label: name.to_owned(),
        description: info.to_owned(),
        rotate: None,
        next_rotate: None,
        latest: 1,
        revisions: BTreeMap::from([(1, revision)]),
        consumers: BTreeMap::new(),
        grants: Vec::new(),
    };
    state.model.secrets.insert(id.clone(), secret);
    Ok(format!("secret:{id}\n"))
}

fn owned<'a>(state: &'a mut State, given: &str) -> Result<&'a mut Secret> {
    let missing = || format!("secret {given:?} not found");
    let id = find(&state.model, given).with_context(missing)?.id.clone();
    let secret = state.model.secrets.get_mut(&id).with_context(missing)?;
    if secret.owner != SecretOwner::Model {
        bail!("secret {given:?} is owned by a charm: permission denied");
    }
    Ok(secret)
}

/// Makes a new revision.
pub(crate) fn update(state: &mut State, from: &Path, given: &str, words: &[String]) -> Result<()> {
    let content = content(from, words)?;
    let secret = owned(state, given)?;
    let checksum = checksum(&content);
    if secret
        .newest()
        .is_some_and(|newest| newest.checksum == checksum)
    {
        return Ok(());
    }
    secret.latest += 1;
    let revision = SecretRevision {
        content,
        checksum,
        ..SecretRevision::default()
    };
    secret.revisions.insert(secret.latest, revision);
    Ok(())
}

/// Grants or revokes.
pub(crate) fn grant(
    state: &mut State,
    given: &str,
    applications: &str,
    grants: bool,
) -> Result<()> {
    let scope = format!("model-{}", state.model.uuid);
    for application in applications.split(',') {
        if !state.model.applications.contains_key(application) {
            bail!("{}", not_found(application));
        }
        let target = format!("application-{application}");
        let secret = owned(state, given)?;
        secret.grants.retain(|grant| grant.target != target);
        if grants {
            secret.grants.push(Grant {
                target,
                scope: scope.clone(),
            });
        }
    }
    Ok(())
}

/// Removes a secret or a revision of it.
pub(crate) fn remove(state: &mut State, given: &str, revision: Option<u32>) -> Result<()> {
    let secret = owned(state, given)?;
    if let Some(revision) = revision {
        if secret.revisions.remove(&revision).is_none() {
            bail!("secret revision {revision} of {given:?} not found");
        }
        if !secret.revisions.is_empty() {
            return Ok(());
        }
    }
    let id = secret.id.clone();
    state.model.secrets.remove(&id);
    Ok(())
}
