//! Who may come in through this unit's gateway.

use std::collections::BTreeMap;

use crate::fingerprint;
use crate::gateway::{Access, User};
use crate::model::client::username;
use crate::model::config::{ClientAccess, Config};
use crate::model::operators::Operators;
use crate::model::password::is_plain;
use crate::model::{Model, peer::KnownClient};
use crate::observation::{Hook, OwnSecret, Reading, RelationId};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::{self, labels};

/// The users file as it should be.
#[derive(Debug)]
pub struct Users {
    /// Its bytes: names, hashes, owner tags.
    pub bytes: Vec<u8>,
    /// Its generation.
    pub generation: String,
    /// The newest credential of each client in it, as a fingerprint.
    pub fingerprints: BTreeMap<RelationId, String>,
}

/// A client's username and password, if the secret holds both.
#[must_use]
pub fn credential(id: RelationId, secret: &OwnSecret) -> Option<&Secret<String>> {
    let name = secret.content.get(wire::USERNAME)?;
    let password = secret.content.get(wire::PASSWORD)?;
    (*name.expose() == username(id) && is_plain(password.expose())).then_some(password)
}

/// The users of all clients whose relation stays and whose credentials exist.
///
/// Absent when a secret, or an option about access, cannot be read now: the gateway then goes on with
/// what it has, except while a client is being removed, when keeping it out comes first.
#[must_use]
pub fn goal(model: &Model<'_>, findings: &mut Vec<Finding>) -> Option<Users> {
    let peers = model.peers.as_ref()?;
    let seen = model.seen;
    if seen.is_leaving() {
        // Clients come here until they have read that they should not.
        return None;
    }
    let mut users = BTreeMap::new();
    let mut fingerprints = BTreeMap::new();
    let unclear = ["client-access", "admin-clients"];
    let problems = &model.config_problems;
    let mut complete = !problems
        .iter()
        .any(|problem| unclear.contains(&problem.option.as_str()));
    for (id, client) in &model.clients {
        let known = peers.application.clients.get(id);
        let (fingerprint, hashes): (String, Vec<String>) =
            match seen.secrets.get(&labels::user(*id)) {
                Some(Reading::Known(secret)) => {
                    let Some(password) = credential(*id, secret) else {
                        continue;
                    };
                    let next = next_password(model, *id);
                    let newest = next.unwrap_or(password);
                    let hash = |password: &Secret<String>| {
                        fingerprint::sha256(password.expose().as_bytes())
                    };
                    (
                        fingerprint::credential(&username(*id), newest.expose()),
                        [next, Some(password)]
                            .into_iter()
                            .flatten()
                            .map(hash)
                            .collect(),
                    )
                }
                Some(Reading::Unreadable(fault)) => {
                    findings.push(Finding::new(
                        Id::ClientSecretUnreadable,
                        [("relation", &id.to_string()), ("fault", fault)],
                    ));
                    complete = false;
                    continue;
                }
                Some(Reading::Absent) => continue,
                // Not looked up: the leader has told all of it.
                None => match known.filter(|known| known.is_settled()) {
                    Some(known) => (known.user.clone(), vec![known.sha256.clone()]),
                    None => continue,
                },
            };
        fingerprints.insert(*id, fingerprint);
        let mut passwords_sha256: Vec<String> = Vec::new();
        let old = known.and_then(|known| old_hash(known, seen.now));
        // Databags and secrets are not read at one moment: a rotation that ended between the two has
        // the new password in the secret, and the one before only in what the leader told last.
        let told = known.map(|known| known.sha256.clone());
        let told = told.filter(|hash| !hash.is_empty());
        for hash in hashes.into_iter().chain(told).chain(old) {
            if !passwords_sha256.contains(&hash) {
                passwords_sha256.push(hash);
            }
        }
        let owner = owner_tag(&seen.identity.model_uuid, &client.application, *id);
        let name = username(*id);
        users.insert(
            name.clone(),
            User {
                name,
                passwords_sha256,
                passwords_argon2id: Vec::new(),
                owner: Some(owner),
                access: access(&model.config, &client.application),
            },
        );
    }
    match seen.secrets.get(labels::OPERATORS) {
        Some(Reading::Known(secret)) => {
            users.extend(Operators::read(&secret.content).iter().flat_map(operators));
        }
        Some(Reading::Unreadable(fault)) => {
            findings.push(Finding::new(Id::OperatorsUnreadable, [("fault", fault)]));
            complete = false;
        }
        Some(Reading::Absent) | None => {}
    }
    let removing = matches!(
        &seen.hook,
        Hook::RelationBroken { endpoint, .. } if endpoint == wire::CONNECT_CLIENT
    );
    if !complete && !removing {
        return None;
    }
    let (bytes, generation) = crate::render::gateway::users(users);
    Some(Users {
        bytes,
        generation,
        fingerprints,
    })
}

/// Who sees and changes everything, and owns nothing.
fn operators(operators: &Operators) -> Vec<(String, User)> {
    let user = |(name, hash): (&str, &str)| {
        let user = User {
            name: name.to_owned(),
            passwords_sha256: Vec::new(),
            passwords_argon2id: vec![hash.to_owned()],
            owner: None,
            access: Access::All,
        };
        (name.to_owned(), user)
    };
    operators.users().map(user).collect()
}

/// The password that is to replace a client's.
#[must_use]
pub fn next_password<'a>(model: &'a Model<'_>, id: RelationId) -> Option<&'a Secret<String>> {
    match model.seen.secrets.get(&labels::next(id)) {
        Some(Reading::Known(secret)) => credential(id, secret),
        Some(Reading::Absent | Reading::Unreadable(_)) | None => None,
    }
}

fn old_hash(known: &KnownClient, now: u64) -> Option<String> {
    let old = known.old.as_ref()?;
    (old.until > now).then(|| old.sha256.clone())
}

/// What the options let a client of this application see.
fn access(config: &Config, application: &str) -> Access {
    match config.client_access {
        ClientAccess::Shared => Access::All,
        ClientAccess::Own if config.admin_clients.contains(application) => Access::All,
        ClientAccess::Own => Access::Own,
    }
}

/// What the gateway writes into the configuration of a client's connectors.
#[must_use]
pub fn owner_tag(model_uuid: &str, application: &str, id: RelationId) -> String {
    format!("{model_uuid}:{application}:{id}")
}
