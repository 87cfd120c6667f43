//! Secret URIs, and the metadata of owned secrets with what is pending.

use std::collections::BTreeMap;
use std::fmt;

use super::HookContext;
use super::secret_changes::{Create, Update};
use crate::go::quote;
use crate::state::{Grant, Model, RotatePolicy, Secret, SecretOwner, is_secret_id, unit_tag};

/// How a secret is named on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretUri {
    /// The model's UUID, when given.
    pub(crate) source: Option<String>,
    pub(crate) id: String,
}

impl fmt::Display for SecretUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "secret://{source}/{}", self.id),
            None => write!(f, "secret:{}", self.id),
        }
    }
}

impl SecretUri {
    /// Reads a bare id, `secret:<id>`, or one with the model's UUID.
    ///
    /// Contract: `core/secrets/secret.go`, which reads it as a URL first.
    ///
    /// # Errors
    /// The text of Juju's error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("secret URI {} not valid", quote(text));
        let refused = |why: &str| format!("parse {}: {why}", quote(text));
        if text.bytes().any(|c| c < 0x20 || c == 0x7f) {
            return Err(refused("net/url: invalid control character in URL"));
        }
        let (body, _) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = scheme(body).map_err(|why| refused(&why))?;
        let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
        let first = rest.split('/').next().unwrap_or_default();
        if scheme.is_empty() && !rest.starts_with('/') && first.contains(':') {
            return Err(refused("first path segment in URL cannot contain colon"));
        }
        if let Some(escape) = bad_escape(rest) {
            return Err(refused(&format!("invalid URL escape {}", quote(escape))));
        }
        if !matches!(scheme.to_ascii_lowercase().as_str(), "" | "secret") {
            let scheme = quote(&scheme.to_ascii_lowercase());
            return Err(format!("secret URI scheme {scheme} not valid"));
        }
        let spec = rest.strip_prefix("//").unwrap_or(rest);
        let (source, id) = match spec.split_once('/') {
            Some((source, id)) if is_uuid(source) => (Some(source.to_owned()), id),
            Some(_) => return Err(invalid()),
            None => (None, spec),
        };
        if is_secret_id(id) {
            Ok(Self {
                source,
                id: id.to_owned(),
            })
        } else {
            Err(invalid())
        }
    }
}

/// Splits a URL's scheme off.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn bad_escape(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(at, _)| {
        let hex = |n: usize| {
            text.as_bytes()
                .get(at + n)
                .is_some_and(u8::is_ascii_hexdigit)
        };
        let end = (at + 3).min(text.len());
        (!hex(1) || !hex(2)).then(|| text.get(at..end).unwrap_or("%"))
    })
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = |c: u8| c == b'-' || c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(hex)
}

/// What a unit sees of a secret it owns.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Owned by the application, not by the unit.
    pub(crate) by_application: bool,
    pub(crate) revision: u32,
    pub(crate) label: String,
    pub(crate) description: String,
    pub(crate) rotation: Option<RotatePolicy>,
    pub(crate) expiry: Option<String>,
    pub(crate) rotates: Option<String>,
    pub(crate) access: Vec<Grant>,
    pub(crate) checksum: String,
}

impl From<&Secret> for Metadata {
    fn from(secret: &Secret) -> Self {
        let newest = secret.newest();
        Self {
            by_application: matches!(secret.owner, SecretOwner::Application(_)),
            revision: secret.latest,
            label: secret.label.clone(),
            description: secret.description.clone(),
            rotation: secret.rotate,
            expiry: newest.and_then(|revision| revision.expire.clone()),
            rotates: secret.next_rotate.clone(),
            access: secret.grants.clone(),
            checksum: newest
                .map(|revision| revision.checksum.clone())
                .unwrap_or_default(),
        }
    }
}

impl Metadata {
    fn created(create: &Create) -> Self {
        let mut metadata = Self {
            by_application: matches!(create.owner, SecretOwner::Application(_)),
            revision: 1,
            label: String::new(),
            description: String::new(),
            rotation: None,
            expiry: None,
            rotates: None,
            access: Vec::new(),
            checksum: String::new(),
        };
        metadata.apply(&create.update);
        metadata
    }

    fn apply(&mut self, update: &Update) {
        if let Some(label) = &update.label {
            self.label.clone_from(label);
        }
        if let Some(description) = &update.description {
            self.description.clone_from(description);
        }
        self.rotation = update.rotate.or(self.rotation);
        self.expiry = update.expire.clone().or_else(|| self.expiry.take());
    }
}

impl HookContext {
    /// Secrets that this unit manages: its own, and its application's while it leads.
    pub(super) fn owned_secrets(&self, model: &Model) -> BTreeMap<String, Metadata> {
        let leads = model.is_leader(&self.unit);
        let owned = model.secrets.values().filter(|secret| match &secret.owner {
            SecretOwner::Application(name) => leads && *name == self.application,
            SecretOwner::Unit(name) => *name == self.unit,
            SecretOwner::Model => false,
        });
        owned
            .map(|secret| (secret.id.clone(), Metadata::from(secret)))
            .collect()
    }

    /// The metadata that `secret-info-get` and `secret-ids` show: with pending creates and
    /// updates, without what is pending removal. Pending grants do not show.
    pub(crate) fn secret_metadata(&self) -> BTreeMap<String, Metadata> {
        let pending = &self.secrets;
        let mut all: BTreeMap<String, Metadata> = pending
            .creates
            .iter()
            .map(|(id, create)| (id.clone(), Metadata::created(create)))
            .collect();
        for (id, metadata) in &pending.owned {
            if pending.deletes.contains_key(id) {
                continue;
            }
            let mut metadata = metadata.clone();
            if let Some(update) = pending.updates.get(id) {
                metadata.apply(update);
            }
            all.insert(id.clone(), metadata);
        }
        all
    }

    /// Adds a secret and answers its URI.
    ///
    /// # Errors
    /// Without leadership for an application's secret; when another create of this run has the
    /// label.
    pub(crate) fn create_secret(
        &mut self,
        model: &mut Model,
        by_application: bool,
        update: Update,
    ) -> Result<String, String> {
        let owner = if by_application {
            if !self.is_leader(model) {
                return Err(NOT_LEADER.to_owned());
            }
            SecretOwner::Application(self.application.clone())
        } else {
            SecretOwner::Unit(self.unit.clone())
        };
        // The controller gives the id out before anything else is looked at.
        let id = model.reserve_secret_id();
        let uri = SecretUri {
            source: Some(model.uuid.clone()),
            id: id.clone(),
        };
        self.secrets.create(id, Create { owner, update })?;
        Ok(uri.to_string())
    }

    /// Updates a secret; whether it may is known at the commit only.
    ///
    /// # Errors
    /// When leadership of an application's secret was lost.
    pub(crate) fn update_secret(
        &mut self,
        model: &Model,
        id: &str,
        mut update: Update,
    ) -> Result<(), String> {
        self.check_leader(model, id)?;
        let stored = self
            .secrets
            .owned
            .get(id)
            .map(|metadata| metadata.checksum.as_str());
        if stored == Some(update.checksum().as_str()) {
            update.content = crate::state::Content::default();
        }
        if !update.is_empty() {
            self.secrets.update(id, update);
        }
        Ok(())
    }

    /// Removes a secret or one of its revisions.
    ///
    /// # Errors
    /// When leadership of an application's secret was lost.
    pub(crate) fn remove_secret(
        &mut self,
        model: &Model,
        id: &str,
        revision: Option<u32>,
    ) -> Result<(), String> {
        self.check_leader(model, id)?;
        self.secrets.remove(id, revision);
        Ok(())
    }

    /// Grants a secret for a relation, to its remote application or one of its units.
    ///
    /// # Errors
    /// When the unit does not manage the secret, or units have grants of their own.
    pub(crate) fn grant_secret(
        &mut self,
        model: &Model,
        id: &str,
        relation: u32,
        unit: Option<&str>,
    ) -> Result<(), String> {
        let all = self.secret_metadata();
        let Some(metadata) = all.get(id) else {
            return Err(format!("secret \"{id}\" not found"));
        };
        if metadata.by_application && !self.is_leader(model) {
            return Err(NOT_LEADER.to_owned());
        }
        let application = self.remote_application(model, relation);
        let target = unit.map_or_else(|| format!("application-{application}"), unit_tag);
        let scope = model
            .relations
            .get(&relation)
            .map(crate::state::Relation::tag);
        let scope = scope.unwrap_or_default();
        for grant in metadata.access.iter().filter(|grant| grant.scope == scope) {
            if grant.target == target || grant.target.starts_with("application-") {
                return Ok(());
            }
            if unit.is_none() {
                return Err(
                    "any unit level grants need to be revoked before granting access to \
                            the corresponding application"
                        .to_owned(),
                );
            }
        }
        self.secrets.grant(id, relation, Grant { target, scope });
        Ok(())
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// When leadership of an application's secret was lost.
    pub(crate) fn revoke_secret(
        &mut self,
        model: &Model,
        id: &str,
        application: &str,
        unit: Option<&str>,
    ) -> Result<(), String> {
        self.check_leader(model, id)?;
        self.secrets.revoke(id, application, unit);
        Ok(())
    }

    fn check_leader(&mut self, model: &Model, id: &str) -> Result<(), String> {
        let by_application = self
            .secrets
            .owned
            .get(id)
            .is_some_and(|metadata| metadata.by_application);
        if by_application && !self.is_leader(model) {
            return Err(NOT_LEADER.to_owned());
        }
        Ok(())
    }
}

const NOT_LEADER: &str = "this unit is not the leader";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_in_every_spelling() {
        let id = "d0000000000000000010";
        let uuid = "5a4c3b2a-1111-4222-8333-444455556666";
        for text in [
            id.to_owned(),
            format!("secret:{id}"),
            format!("secret://{id}"),
        ] {
            assert_eq!(
                SecretUri::parse(&text).unwrap().to_string(),
                format!("secret:{id}")
            );
        }
        for text in [
            format!("secret://{uuid}/{id}"),
            format!("secret:{uuid}/{id}"),
        ] {
            assert_eq!(
                SecretUri::parse(&text).unwrap().to_string(),
                format!("secret://{uuid}/{id}")
            );
        }
    }

    #[test]
    fn what_is_no_uri_is_refused_as_a_url_or_as_a_secret() {
        for (text, error) in [
            ("bad", "secret URI \"bad\" not valid"),
            ("", "secret URI \"\" not valid"),
            ("password=x", "secret URI \"password=x\" not valid"),
            (
                "secret:d0000000000000000035",
                "secret URI \"secret:d0000000000000000035\" not valid",
            ),
            ("http://x", "secret URI scheme \"http\" not valid"),
            (":x", "parse \":x\": missing protocol scheme"),
            (
                "a_b:c",
                "parse \"a_b:c\": first path segment in URL cannot contain colon",
            ),
        ] {
            assert_eq!(SecretUri::parse(text).unwrap_err(), error);
        }
    }
}
