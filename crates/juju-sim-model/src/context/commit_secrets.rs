//! Applying what a run asked for its secrets.
//!
//! The order is the controller's: create, update, track the latest, grant, revoke, delete.

use serde::{Deserialize, Serialize};

use super::HookContext;
use super::secret_changes::{Update, checksum};
use super::secret_read::check_label;
use crate::state::{Consumer, Model, RotatePolicy, Secret, SecretOwner, SecretRevision};
use crate::time;

/// A change of a secret; never its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretChange {
    /// The secret.
    pub id: String,
    /// What happened to it.
    pub event: SecretEvent,
}

/// What happened to a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretEvent {
    /// Added, with this label (may be empty) and these keys.
    Created {
        /// Owner.
        owner: SecretOwner,
        /// Owner's label.
        label: String,
        /// Names of what it holds.
        keys: Vec<String>,
    },
    /// Changed; a number when there is a new revision.
    Updated {
        /// The new revision.
        revision: Option<u32>,
    },
    /// The committing unit tracks the newest revision now.
    Tracked {
        /// That revision.
        revision: u32,
    },
    /// Somebody may read it.
    Granted {
        /// Tag of the application or unit.
        target: String,
        /// Tag of the relation.
        scope: String,
    },
    /// Somebody may no longer read it.
    Revoked {
        /// Tag of the application or unit.
        target: String,
    },
    /// Removed, as a whole or some revisions.
    Removed {
        /// The revisions; absent for the whole secret.
        revisions: Option<Vec<u32>>,
    },
}

impl HookContext {
    /// Applies the pending secret changes, one by one; on an error the earlier ones stay.
    pub(super) fn commit_secrets(
        &self,
        model: &mut Model,
        done: &mut Vec<SecretChange>,
    ) -> Result<(), String> {
        let mut note = |id: &str, event| {
            let id = id.to_owned();
            done.push(SecretChange { id, event });
        };
        for (id, create) in &self.secrets.creates {
            let event = create_secret(model, &self.unit, id, &create.owner, &create.update)
                .map_err(|error| format!("creating secrets: {error}"))?;
            note(id, event);
        }
        for (id, update) in &self.secrets.updates {
            let event = self
                .update(model, id, update)
                .map_err(|error| format!("updating secrets: {error}"))?;
            note(id, event);
        }
        for id in &self.secrets.track_latest {
            let secret = model.secrets.get_mut(id);
            let secret = secret.ok_or_else(|| {
                format!("updating secret tracked revisions: secret \"{id}\" not found")
            })?;
            let latest = secret.latest;
            let label = secret
                .consumers
                .get(&self.unit)
                .map(|consumer| consumer.label.clone());
            let consumer = Consumer {
                revision: latest,
                label: label.unwrap_or_default(),
                notified: latest,
            };
            secret.consumers.insert(self.unit.clone(), consumer);
            note(id, SecretEvent::Tracked { revision: latest });
        }
        for (id, grants) in &self.secrets.grants {
            for grant in grants.values() {
                let secret = self
                    .managed(model, id)
                    .map_err(|error| format!("granting secrets access: {error}"))?;
                if !secret.grants.contains(grant) {
                    secret.grants.push(grant.clone());
                    let (target, scope) = (grant.target.clone(), grant.scope.clone());
                    note(id, SecretEvent::Granted { target, scope });
                }
            }
        }
        for (id, revokes) in &self.secrets.revokes {
            for revoke in revokes {
                let secret = self
                    .managed(model, id)
                    .map_err(|error| format!("revoking secrets access: {error}"))?;
                let target = revoke.target();
                let before = secret.grants.len();
                secret.grants.retain(|grant| grant.target != target);
                if secret.grants.len() != before {
                    note(id, SecretEvent::Revoked { target });
                }
            }
        }
        for (id, revisions) in &self.secrets.deletes {
            let secret = self
                .managed(model, id)
                .map_err(|error| format!("removing secrets: {error}"))?;
            if let Some(revisions) = revisions {
                secret
                    .revisions
                    .retain(|number, _| !revisions.contains(number));
            }
            if revisions.is_none() || secret.revisions.is_empty() {
                model.secrets.remove(id);
            }
            note(
                id,
                SecretEvent::Removed {
                    revisions: revisions.clone(),
                },
            );
        }
        Ok(())
    }

    /// A secret that the unit may change.
    fn managed<'m>(&self, model: &'m mut Model, id: &str) -> Result<&'m mut Secret, String> {
        let leads = model.is_leader(&self.unit);
        let secret = model
            .secrets
            .get_mut(id)
            .ok_or_else(|| format!("secret \"{id}\" not found"))?;
        match &secret.owner {
            SecretOwner::Unit(name) if *name == self.unit => Ok(secret),
            SecretOwner::Application(name) if *name == self.application && leads => Ok(secret),
            SecretOwner::Unit(_) | SecretOwner::Application(_) | SecretOwner::Model => {
                Err("permission denied".to_owned())
            }
        }
    }

    fn update(&self, model: &mut Model, id: &str, update: &Update) -> Result<SecretEvent, String> {
        let now = model.now_ms;
        let owner = self.managed(model, id)?.owner.clone();
        if let Some(label) = &update.label {
            check_label(model, &owner, label, id)?;
        }
        let secret = self.managed(model, id)?;
        if let Some(label) = &update.label {
            secret.label.clone_from(label);
        }
        if let Some(description) = &update.description {
            secret.description.clone_from(description);
        }
        let sum = checksum(&update.content);
        let fresh = !update.content.0.is_empty()
            && secret.newest().is_none_or(|newest| newest.checksum != sum);
        let rotated = fresh
            || update
                .rotate
                .is_some_and(|policy| secret.rotate != Some(policy));
        secret.rotate = update.rotate.or(secret.rotate);
        if rotated {
            secret.next_rotate = next_rotation(secret.rotate, now);
        }
        if fresh {
            secret.latest += 1;
            let revision = SecretRevision {
                content: update.content.clone(),
                checksum: sum,
                ..SecretRevision::default()
            };
            secret.revisions.insert(secret.latest, revision);
        }
        let latest = secret.latest;
        if let (Some(expire), Some(newest)) = (&update.expire, secret.revisions.get_mut(&latest)) {
            newest.expire = Some(expire.clone());
        }
        Ok(SecretEvent::Updated {
            revision: fresh.then_some(latest),
        })
    }
}

fn create_secret(
    model: &mut Model,
    unit: &str,
    id: &str,
    owner: &SecretOwner,
    update: &Update,
) -> Result<SecretEvent, String> {
    if let SecretOwner::Application(application) = owner
        && !model.is_leader(unit)
    {
        return Err(format!("\"{unit}\" is not leader of \"{application}\""));
    }
    let label = update.label.clone().unwrap_or_default();
    if !label.is_empty() {
        check_label(model, owner, &label, id)?;
    }
    let revision = SecretRevision {
        content: update.content.clone(),
        checksum: checksum(&update.content),
        expire: update.expire.clone(),
        obsolete_reported: false,
    };
    let secret = Secret {
        id: id.to_owned(),
        owner: owner.clone(),
        label: label.clone(),
        description: update.description.clone().unwrap_or_default(),
        rotate: update.rotate,
        next_rotate: next_rotation(update.rotate, model.now_ms),
        latest: 1,
        revisions: [(1, revision)].into(),
        consumers: std::collections::BTreeMap::new(),
        grants: Vec::new(),
    };
    let keys = secret.revisions[&1].content.0.keys().cloned().collect();
    model.secrets.insert(id.to_owned(), secret);
    Ok(SecretEvent::Created {
        owner: owner.clone(),
        label,
        keys,
    })
}

fn next_rotation(policy: Option<RotatePolicy>, now_ms: u64) -> Option<String> {
    let hours = policy.and_then(RotatePolicy::hours)?;
    Some(time::rfc3339(now_ms + hours * 3_600_000))
}
