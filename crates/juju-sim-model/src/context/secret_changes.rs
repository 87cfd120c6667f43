//! What one run has asked for its secrets.
//!
//! Contract: `context/secrets.go` of Juju's uniter.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::secrets::Metadata;
use crate::state::{Content, Grant, RotatePolicy, SecretOwner, application_of, unit_tag};

/// New values of a secret; what is absent stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) label: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) rotate: Option<RotatePolicy>,
    /// RFC 3339.
    pub(crate) expire: Option<String>,
    /// Empty for metadata only.
    pub(crate) content: Content,
}

impl Update {
    pub(crate) fn is_empty(&self) -> bool {
        self.label.is_none()
            && self.description.is_none()
            && self.rotate.is_none()
            && self.expire.is_none()
            && self.content.0.is_empty()
    }

    /// The fingerprint by which equal content is known.
    pub(crate) fn checksum(&self) -> String {
        checksum(&self.content)
    }

    /// Lays a later update over this one. Content replaces content whole.
    fn merge(&mut self, later: Self) {
        self.label = later.label.or_else(|| self.label.take());
        self.description = later.description.or_else(|| self.description.take());
        self.rotate = later.rotate.or(self.rotate);
        self.expire = later.expire.or_else(|| self.expire.take());
        if !later.content.0.is_empty() {
            self.content = later.content;
        }
    }
}

/// SHA-256 over keys and values, in hexadecimal.
pub(crate) fn checksum(content: &Content) -> String {
    let mut hash = Sha256::new();
    for (key, value) in &content.0 {
        for part in [key, value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16));
    hash.finalize().iter().flat_map(digits).flatten().collect()
}

/// A secret to be added.
#[derive(Clone, Debug)]
pub(crate) struct Create {
    pub(crate) owner: SecretOwner,
    pub(crate) update: Update,
}

/// A grant to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoke {
    application: Option<String>,
    unit: Option<String>,
}

impl Revoke {
    /// The tag of who loses access.
    pub(crate) fn target(&self) -> String {
        match (&self.unit, &self.application) {
            (Some(unit), _) => unit_tag(unit),
            (None, application) => {
                format!("application-{}", application.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Everything pending, by secret id, over what was owned at the start.
#[derive(Debug, Default)]
pub(crate) struct SecretChanges {
    pub(crate) owned: BTreeMap<String, Metadata>,
    pub(crate) creates: BTreeMap<String, Create>,
    pub(crate) updates: BTreeMap<String, Update>,
    /// No revisions: the whole secret.
    pub(crate) deletes: BTreeMap<String, Option<Vec<u32>>>,
    /// One grant for each relation.
    pub(crate) grants: BTreeMap<String, BTreeMap<u32, Grant>>,
    pub(crate) revokes: BTreeMap<String, Vec<Revoke>>,
    pub(crate) track_latest: BTreeSet<String>,
}

impl SecretChanges {
    pub(super) fn create(&mut self, id: String, create: Create) -> Result<(), String> {
        self.deletes.remove(&id);
        if let Some(label) = &create.update.label {
            let mut others = self.creates.values();
            if others.any(|other| other.update.label.as_ref() == Some(label)) {
                let label = crate::go::quote(label);
                return Err(format!("secret with label {label} already exists"));
            }
        }
        self.creates.insert(id, create);
        Ok(())
    }

    pub(super) fn update(&mut self, id: &str, update: Update) {
        self.deletes.remove(id);
        match self.creates.get_mut(id) {
            Some(create) => create.update.merge(update),
            None => self.updates.entry(id.to_owned()).or_default().merge(update),
        }
    }

    /// Forgets everything else about the secret: its removal is sent even if it was only added in
    /// this run.
    pub(super) fn remove(&mut self, id: &str, revision: Option<u32>) {
        self.creates.remove(id);
        self.updates.remove(id);
        self.grants.remove(id);
        self.revokes.remove(id);
        self.track_latest.remove(id);
        let revisions = revision.map(|revision| vec![revision]);
        match (self.deletes.get_mut(id), revision) {
            (None, _) => drop(self.deletes.insert(id.to_owned(), revisions)),
            (Some(None), _) => {}
            (Some(Some(before)), Some(revision)) => before.push(revision),
            (Some(whole), None) => *whole = None,
        }
    }

    pub(super) fn grant(&mut self, id: &str, relation: u32, grant: Grant) {
        self.grants
            .entry(id.to_owned())
            .or_default()
            .insert(relation, grant);
    }

    pub(super) fn revoke(&mut self, id: &str, application: &str, unit: Option<&str>) {
        let revoke = Revoke {
            application: (!application.is_empty()).then(|| application.to_owned()),
            unit: unit.map(str::to_owned),
        };
        let before = self.revokes.entry(id.to_owned()).or_default();
        let covered = unit.is_some_and(|unit| {
            let whole =
                |before: &Revoke| before.application.as_deref() == Some(application_of(unit));
            before.iter().any(whole)
        });
        if !covered && !before.contains(&revoke) {
            before.push(revoke);
        }
    }

    /// Content that is pending: of a create always, of an update when the newest is asked for.
    ///
    /// A URI with a label relabels what is pending.
    pub(super) fn pending_content(
        &mut self,
        id: Option<&str>,
        label: &str,
        refresh: bool,
        peek: bool,
    ) -> Option<Content> {
        let hits = |other: &str, update: &Update| {
            Some(other) == id || !label.is_empty() && update.label.as_deref() == Some(label)
        };
        let relabel = |other: &str, update: &mut Update| {
            if Some(other) == id && !label.is_empty() {
                update.label = Some(label.to_owned());
            }
        };
        for (other, create) in &mut self.creates {
            if hits(other, &create.update) {
                relabel(other, &mut create.update);
                return Some(create.update.content.clone());
            }
        }
        if !refresh && !peek {
            return None;
        }
        for (other, update) in &mut self.updates {
            if hits(other, update) {
                relabel(other, update);
                if refresh {
                    self.track_latest.insert(other.clone());
                }
                return (!update.content.0.is_empty()).then(|| update.content.clone());
            }
        }
        None
    }
}
