//! Reading a secret: which revision, under which label, and what the controller notes of it.
//!
//! Contract: `GetSecret` of Juju's hook context and `GetSecretContentInfo` of its controller.

use super::HookContext;
use super::secrets::SecretUri;
use crate::go::quote;
use crate::state::{Consumer, Content, Model, Secret, SecretOwner, application_of};

impl HookContext {
    /// The content that `secret-get` prints.
    ///
    /// # Errors
    /// The controller's words: no such secret, no such label, permission denied.
    pub(crate) fn read_secret(
        &mut self,
        model: &mut Model,
        uri: Option<&SecretUri>,
        label: &str,
        refresh: bool,
        peek: bool,
    ) -> Result<Content, String> {
        let id = uri.map(|uri| uri.id.as_str());
        if id.is_some()
            && let Some(content) = self.secrets.pending_content(id, label, refresh, peek)
        {
            return Ok(content);
        }
        if !label.is_empty()
            && let Some(content) = self.secrets.pending_content(None, label, refresh, peek)
        {
            return Ok(content);
        }
        let renamed = match uri {
            Some(_) => None,
            None => self.owned_by_label(label),
        };
        let found = renamed.as_ref().or(uri);
        let label = if renamed.is_some() { "" } else { label };
        self.controller_read(model, found, label, refresh, peek)
    }

    /// An owned secret with this label, labels that are pending included.
    fn owned_by_label(&self, label: &str) -> Option<SecretUri> {
        let metadata = self.secret_metadata();
        let mut owned = metadata
            .iter()
            .filter(|(_, metadata)| !metadata.by_application);
        let owned = owned
            .find(|(_, metadata)| metadata.label == label)
            .map(|(id, _)| id);
        let creates = self
            .secrets
            .creates
            .iter()
            .map(|(id, create)| (id, &create.update));
        let mut pending = creates.chain(&self.secrets.updates);
        let id = owned.or_else(|| {
            pending
                .find(|(_, update)| update.label.as_deref() == Some(label))
                .map(|(id, _)| id)
        })?;
        Some(SecretUri {
            source: None,
            id: id.clone(),
        })
    }

    fn controller_read(
        &self,
        model: &mut Model,
        uri: Option<&SecretUri>,
        mut label: &str,
        refresh: bool,
        peek: bool,
    ) -> Result<Content, String> {
        let unit = self.unit.as_str();
        let leads = model.is_leader(unit);
        let owns = |secret: &Secret| match &secret.owner {
            SecretOwner::Application(name) => name == application_of(unit),
            SecretOwner::Unit(name) => name == unit,
            SecretOwner::Model => false,
        };
        let by_label =
            |secret: &&Secret| owns(secret) && !label.is_empty() && secret.label == label;
        let owned = match uri {
            Some(uri) => model.secrets.get(&uri.id).filter(|secret| owns(secret)),
            None => model.secrets.values().find(by_label),
        };
        let id = if let Some(secret) = owned {
            let manages = leads || matches!(secret.owner, SecretOwner::Unit(_));
            let (id, relabel) = (
                secret.id.clone(),
                !label.is_empty() && secret.label != label,
            );
            if relabel && manages {
                check_label(model, &secret.owner, label, &id)?;
                if let Some(secret) = model.secrets.get_mut(&id) {
                    label.clone_into(&mut secret.label);
                }
            }
            // An owner's label is never a consumer's.
            label = "";
            id
        } else if let Some(uri) = uri {
            uri.id.clone()
        } else {
            let consumed = |secret: &&Secret| {
                secret
                    .consumers
                    .get(unit)
                    .is_some_and(|consumer| consumer.label == label)
            };
            let secret = model.secrets.values().find(consumed);
            let missing = || format!("consumer label {} not found", quote(label));
            secret.ok_or_else(missing)?.id.clone()
        };
        let shown = uri.map_or_else(|| format!("secret:{id}"), ToString::to_string);
        let Some(secret) = model
            .secrets
            .get_mut(&id)
            .filter(|secret| secret.latest > 0)
        else {
            return Err(format!("secret {} not found", quote(&shown)));
        };
        if !secret.readable_by(unit) {
            return Err("permission denied".to_owned());
        }
        let latest = secret.latest;
        let first = !secret.consumers.contains_key(unit);
        let consumer = secret
            .consumers
            .entry(unit.to_owned())
            .or_insert_with(|| Consumer {
                revision: latest,
                label: String::new(),
                notified: latest,
            });
        if refresh || first {
            consumer.revision = latest;
        }
        if !label.is_empty() {
            label.clone_into(&mut consumer.label);
        }
        let wanted = if peek { latest } else { consumer.revision };
        let revision = secret.revisions.get(&wanted);
        let revision =
            revision.ok_or_else(|| format!("secret revision \"{id}/{wanted}\" not found"))?;
        Ok(revision.content.clone())
    }
}

/// Labels are unique within an application and its units, as far as one of them sees them.
pub(super) fn check_label(
    model: &Model,
    owner: &SecretOwner,
    label: &str,
    id: &str,
) -> Result<(), String> {
    let Some(application) = owner.application() else {
        return Ok(());
    };
    let clashes = |secret: &Secret| {
        let owned = secret.label == label
            && match (&secret.owner, owner) {
                (SecretOwner::Unit(other), SecretOwner::Unit(unit)) => other == unit,
                (other, _) => other.application() == Some(application),
            };
        let consumed = secret.consumers.iter().any(|(unit, consumer)| {
            consumer.label == label
                && match owner {
                    SecretOwner::Unit(owner) => owner == unit,
                    SecretOwner::Application(owner) => owner == application_of(unit),
                    SecretOwner::Model => false,
                }
        });
        owned || consumed
    };
    if model
        .secrets
        .values()
        .any(|secret| secret.id != id && clashes(secret))
    {
        return Err(format!("secret with label {} already exists", quote(label)));
    }
    Ok(())
}
