//! What the leader does for clients, from their request to their last connector.
//!
//! **Flow.** A valid request, its bundle loaded by every healthy unit: credentials are minted. The
//! leader's gateway serves them at once; the peer databag announces the client, and the other
//! units follow. Once all of them say that they serve the user, `endpoints`, `secret-user` and
//! `data` are published together, and are from then on only kept up to date.
//!
//! **Rotation.** The new password is minted into a secret of its own that nobody is granted; the
//! units accept both; then the client's secret gets its new revision under the same URI, and the
//! old password stays good for [`limits::ROTATION_GRACE_S`] as a hash in the peer databag.
//!
//! **Removal.** Only a client that the peer databag knew, whose relation is gone while we stay,
//! loses its connectors; until they are gone it is a tombstone, which any leader works off.

use std::collections::BTreeMap;

use super::bundles::Bundles;
use super::users::{credential, next_password, owner_tag};
use super::{Entropy, Mint, MintedValue, Promise, RelationKey, Step, rolling};
use crate::fingerprint;
use crate::limits;
use crate::model::client::{Client, Request, username};
use crate::model::password::generate;
use crate::model::peer::{
    ApplicationData, KnownClient, NO_BUNDLE, OldPassword, Peers, Tombstone, UnitData,
};
use crate::model::{Model, password};
use crate::observation::{ClientRelation, Databag, Hook, OwnSecret, Reading, RelationId};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::{self, labels, schema};

/// The leader's part of a plan.
#[derive(Debug, Default)]
pub struct Lead {
    /// Secrets to mint.
    pub minted: Vec<Mint>,
    /// Connectors to delete.
    pub steps: Vec<Step>,
    /// Promises to clients, and changes of their secrets.
    pub promises: Vec<Promise>,
    /// The peer application databag as it should be.
    pub application: ApplicationData,
    /// When to look again, in seconds.
    pub wake_after_s: Vec<u64>,
}

struct Leader<'a> {
    model: &'a Model<'a>,
    peers: &'a Peers,
    now: &'a UnitData,
    bundles: &'a Bundles,
    entropy: &'a mut dyn Entropy,
    findings: &'a mut Vec<Finding>,
    lead: Lead,
}

/// Plans the leader's part. `now` is what our own unit says of itself in this round.
pub fn lead(
    model: &Model<'_>,
    peers: &Peers,
    now: &UnitData,
    bundles: &Bundles,
    entropy: &mut dyn Entropy,
    findings: &mut Vec<Finding>,
) -> Lead {
    let lead = Lead {
        application: peers.application.clone(),
        ..Lead::default()
    };
    if now.leaving {
        // Another unit will lead; what looks like a client that left may be our own farewell.
        return lead;
    }
    let mut leader = Leader {
        model,
        peers,
        now,
        bundles,
        entropy,
        findings,
        lead,
    };
    leader.internal();
    for (id, client) in &model.clients {
        leader.client(*id, client);
    }
    leader.forget();
    leader.tombstones();
    leader.lead.application.turn = rolling::grant(model, peers, now);
    if leader.lead.application != peers.application {
        leader.lead.application.generation = peers.application.generation + 1;
    }
    leader.lead
}

impl Leader<'_> {
    fn reading(&self, label: &str) -> Option<&Reading<OwnSecret>> {
        self.model.seen.secrets.get(label)
    }

    fn mint(&mut self, label: String, description: String, content: BTreeMap<String, MintedValue>) {
        self.lead.minted.push(Mint {
            label,
            description,
            content,
        });
    }

    fn internal(&mut self) {
        if matches!(self.reading(labels::INTERNAL), Some(Reading::Absent)) {
            let content = BTreeMap::from([
                (
                    wire::USERNAME.to_owned(),
                    MintedValue::Text(Secret::new("internal".to_owned())),
                ),
                (
                    wire::PASSWORD.to_owned(),
                    MintedValue::Text(generate(self.entropy)),
                ),
                (wire::CA_CERTIFICATE.to_owned(), MintedValue::CaCertificate),
                (wire::CA_KEY.to_owned(), MintedValue::CaKey),
            ]);
            self.mint(
                labels::INTERNAL.to_owned(),
                "Internal REST user and CA of the Kafka Connect workers".to_owned(),
                content,
            );
        }
        if self.model.seen.minted.contains(labels::INTERNAL) {
            self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
        }
    }

    fn client(&mut self, id: RelationId, client: &Client) {
        let relation = &self.model.seen.clients[&id];
        let Some(bag) = &relation.ours else { return };
        let published = bag.contains_key(wire::SECRET_USER);
        let name = [
            ("relation", id.to_string()),
            ("application", client.application.clone()),
        ];
        let found = |id| Finding {
            id,
            values: name.clone().into(),
        };
        if !published && (bag.contains_key(wire::USERNAME) || bag.contains_key(wire::PASSWORD)) {
            self.findings.push(found(Id::ClientPlain));
            self.refresh_endpoints(id, bag);
            return;
        }
        let secret = match self.reading(&labels::user(id)) {
            Some(Reading::Known(secret)) => secret.clone(),
            Some(Reading::Absent) if published => {
                self.findings.push(found(Id::ClientSecretLost));
                self.refresh_endpoints(id, bag);
                return;
            }
            Some(Reading::Absent) => {
                self.request(id, client);
                return;
            }
            Some(Reading::Unreadable(_)) | None => return,
        };
        let Some(password) = credential(id, &secret).cloned() else {
            self.repair(id, client);
            return;
        };
        let mut entry = KnownClient {
            application: client.application.clone(),
            user: fingerprint::credential(&username(id), password.expose()),
            digest: self.digest(id),
            next: None,
            old: self.old_password(id),
        };
        if published {
            self.rotate(id, &mut entry, &password);
        }
        self.lead.application.clients.insert(id, entry.clone());
        match &client.request {
            Request::Valid { .. } => {
                let mut waiting = self.unready(id);
                if waiting.is_empty() {
                    waiting = self.without_user(id, entry.next.as_ref().unwrap_or(&entry.user));
                }
                if published || waiting.is_empty() {
                    self.publish(id, client, relation, bag, &secret, published);
                } else {
                    self.waiting(id, client, &waiting);
                }
            }
            Request::Absent | Request::Held(_) if published => self.refresh_endpoints(id, bag),
            Request::Absent | Request::Held(_) => {}
        }
    }

    fn waiting(&mut self, id: RelationId, client: &Client, units: &[String]) {
        self.findings.push(Finding::new(
            Id::ClientWaiting,
            [
                ("relation", &id.to_string()),
                ("application", &client.application),
                ("units", &units.join(", ")),
            ],
        ));
    }

    /// A client without credentials: made once every unit is ready for it.
    fn request(&mut self, id: RelationId, client: &Client) {
        let Request::Valid { .. } = client.request else {
            return;
        };
        let waiting = self.unready(id);
        if !waiting.is_empty() {
            self.waiting(id, client, &waiting);
            return;
        }
        let password = generate(self.entropy);
        self.mint(
            labels::user(id),
            format!("REST user of connect-client:{id}"),
            credential_content(id, password)
                .into_iter()
                .map(|(key, value)| (key, MintedValue::Text(value)))
                .collect(),
        );
    }

    /// Units that have not loaded the client's bundle, or hold another one than we do, or are not
    /// healthy.
    fn unready(&self, id: RelationId) -> Vec<String> {
        let wanted = self.bundles.held.get(&id).map(|held| &held.digest);
        self.units(|unit| {
            let bundle = unit.bundles.get(&id);
            let loaded =
                bundle.is_some_and(|digest| digest == NO_BUNDLE || unit.loaded.contains(digest));
            loaded && bundle == wanted && unit.healthy
        })
    }

    fn without_user(&self, id: RelationId, fingerprint: &String) -> Vec<String> {
        self.units(|unit| unit.users.get(&id) == Some(fingerprint))
    }

    /// Names of the units that are not as they should be.
    fn units(&self, good: impl Fn(&UnitData) -> bool) -> Vec<String> {
        let identity = &self.model.seen.identity;
        let ours = std::iter::once((&identity.unit_number, self.now));
        let mut bad: Vec<u32> = ours
            .chain(&self.peers.others)
            .filter(|(_, unit)| !good(unit))
            .map(|(number, _)| *number)
            .collect();
        bad.sort_unstable();
        bad.iter()
            .map(|number| format!("{}/{number}", identity.application))
            .collect()
    }

    fn digest(&self, id: RelationId) -> String {
        let held = self.bundles.held.get(&id).map(|held| held.digest.clone());
        held.filter(|digest| digest != NO_BUNDLE)
            .unwrap_or_default()
    }

    fn old_password(&mut self, id: RelationId) -> Option<OldPassword> {
        let now = self.model.seen.now;
        let old = self.peers.application.clients.get(&id)?.old.clone()?;
        if old.until <= now {
            return None;
        }
        self.lead.wake_after_s.push(old.until - now);
        Some(old)
    }

    /// A secret that lost its password cannot have users any more, so a new one does no harm.
    fn repair(&mut self, id: RelationId, client: &Client) {
        let password = generate(self.entropy);
        self.lead.application.clients.insert(
            id,
            KnownClient {
                application: client.application.clone(),
                user: fingerprint::credential(&username(id), password.expose()),
                digest: self.digest(id),
                next: None,
                old: None,
            },
        );
        self.lead.promises.push(Promise::SetSecret {
            label: labels::user(id),
            content: credential_content(id, password),
        });
        self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
    }

    fn rotate(&mut self, id: RelationId, entry: &mut KnownClient, old: &Secret<String>) {
        let label = labels::next(id);
        let asked = matches!(
            &self.model.seen.hook, Hook::RotateRequested { relation } if *relation == id
        );
        let Some(next) = next_password(self.model, id).cloned() else {
            if asked {
                let password = generate(self.entropy);
                self.mint(
                    label,
                    format!("Next password of connect-client:{id}, being rotated"),
                    credential_content(id, password)
                        .into_iter()
                        .map(|(key, value)| (key, MintedValue::Text(value)))
                        .collect(),
                );
            }
            return;
        };
        let fingerprint = fingerprint::credential(&username(id), next.expose());
        // A secret must not be made and removed within one hook.
        let kept = !self.model.seen.minted.contains(&label);
        if kept && self.without_user(id, &fingerprint).is_empty() {
            let until = self.model.seen.now + limits::ROTATION_GRACE_S;
            let sha256 = fingerprint::sha256(old.expose().as_bytes());
            entry.old = Some(OldPassword { sha256, until });
            entry.user = fingerprint;
            self.lead.promises.push(Promise::SetSecret {
                label: labels::user(id),
                content: credential_content(id, next),
            });
            self.lead.promises.push(Promise::RemoveSecret { label });
            self.lead.wake_after_s.push(limits::ROTATION_GRACE_S);
        } else {
            entry.next = Some(fingerprint);
            self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
        }
    }

    fn endpoints(&self) -> Option<String> {
        if !self.model.config_is_good() {
            return None;
        }
        let ours = std::iter::once((&self.model.seen.identity.unit_number, self.now));
        let by_number: BTreeMap<&u32, &UnitData> = ours.chain(&self.peers.others).collect();
        let addresses = by_number
            .values()
            .filter(|unit| !unit.leaving)
            .filter_map(|unit| unit.address.as_deref());
        let text = wire::client::endpoints(addresses, self.model.config.rest_port);
        Some(text).filter(|text| !text.is_empty())
    }

    /// For a client that was served and whose request cannot be understood now.
    fn refresh_endpoints(&mut self, id: RelationId, bag: &Databag) {
        let mut wanted = bag.clone();
        if bag.contains_key(wire::ENDPOINTS)
            && let Some(endpoints) = self.endpoints()
        {
            wanted.insert(wire::ENDPOINTS.to_owned(), endpoints);
        }
        self.set(id, bag, &wanted);
    }

    fn publish(
        &mut self,
        id: RelationId,
        client: &Client,
        relation: &ClientRelation,
        bag: &Databag,
        secret: &OwnSecret,
        published: bool,
    ) {
        let mut wanted = bag.clone();
        let key = relation_key(id);
        let endpoints = self
            .endpoints()
            .or_else(|| bag.get(wire::ENDPOINTS).filter(|_| published).cloned());
        if wire::client::wants_extra(client) {
            let Some(endpoints) = endpoints else { return };
            let Some(uri) = self.extra(id, &endpoints) else {
                return;
            };
            if !bag.contains_key(wire::SECRET_EXTRA) {
                self.lead.promises.push(Promise::GrantSecret {
                    label: labels::extra(id),
                    relation: key.clone(),
                });
                wanted.insert(wire::SECRET_EXTRA.to_owned(), uri);
            }
            wanted.remove(wire::ENDPOINTS);
        } else if let Some(endpoints) = endpoints {
            wanted.insert(wire::ENDPOINTS.to_owned(), endpoints);
        } else if !published {
            return;
        }
        if !published {
            let Some(uri) = &secret.uri else { return };
            self.lead.promises.push(Promise::GrantSecret {
                label: labels::user(id),
                relation: key,
            });
            wanted.insert(wire::SECRET_USER.to_owned(), uri.clone());
        }
        // Only what we began: a databag without it was answered by somebody else.
        if !published || bag.contains_key(wire::client::DATA) {
            wanted.insert(
                wire::client::DATA.to_owned(),
                wire::client::data(&relation.theirs),
            );
        }
        if let Some(fault) = schema::provider().check(&wanted).first() {
            // A client must never be told anything outside the published contract.
            self.findings.push(Finding::new(
                Id::ClientHeld,
                [
                    ("relation", &id.to_string()),
                    ("application", &client.application),
                    ("field", &fault.field),
                    ("fault", &fault.text),
                ],
            ));
            self.lead.promises.retain(|promise| !grants(promise, id));
            return;
        }
        self.set(id, bag, &wanted);
    }

    /// The URI of the secret with the endpoints, its content kept up to date.
    fn extra(&mut self, id: RelationId, endpoints: &str) -> Option<String> {
        let label = labels::extra(id);
        let value = Secret::new(endpoints.to_owned());
        match self.reading(&label).cloned() {
            Some(Reading::Known(secret)) => {
                let content = BTreeMap::from([(wire::ENDPOINTS.to_owned(), value)]);
                if secret.content != content {
                    self.lead
                        .promises
                        .push(Promise::SetSecret { label, content });
                }
                secret.uri
            }
            Some(Reading::Absent) => {
                self.mint(
                    label,
                    format!("Endpoints for connect-client:{id}"),
                    BTreeMap::from([(wire::ENDPOINTS.to_owned(), MintedValue::Text(value))]),
                );
                None
            }
            Some(Reading::Unreadable(_)) | None => None,
        }
    }

    fn set(&mut self, id: RelationId, bag: &Databag, wanted: &Databag) {
        let keys = [
            wire::ENDPOINTS,
            wire::SECRET_USER,
            wire::SECRET_EXTRA,
            wire::client::DATA,
        ];
        let changes = wire::changes(bag, wanted, &keys);
        if !changes.is_empty() {
            self.lead.promises.push(Promise::SetApplicationData {
                relation: relation_key(id),
                changes,
            });
        }
    }

    /// Clients that the peer databag knows and whose relation is gone.
    fn forget(&mut self) {
        let seen = self.model.seen;
        for (id, known) in &self.peers.application.clients {
            if self.model.clients.contains_key(id) || self.model.parting.contains(id) {
                continue;
            }
            self.lead.application.clients.remove(id);
            if !self.model.config.keep_connectors {
                let tombstone = Tombstone {
                    application: known.application.clone(),
                };
                self.lead.application.tombstones.insert(*id, tombstone);
            }
            for label in [labels::user(*id), labels::extra(*id), labels::next(*id)] {
                if matches!(seen.secrets.get(&label), Some(Reading::Known(_))) {
                    self.lead.promises.push(Promise::RemoveSecret { label });
                }
            }
        }
    }

    fn tombstones(&mut self) {
        if self.model.config.keep_connectors {
            self.lead.application.tombstones.clear();
            return;
        }
        let connectors = self
            .model
            .seen
            .worker
            .known()
            .filter(|worker| worker.healthy)
            .and_then(|worker| worker.connectors.as_ref());
        for (id, tombstone) in self.lead.application.tombstones.clone() {
            let Some(connectors) = connectors else {
                self.still_deleting(id);
                continue;
            };
            let uuid = &self.model.seen.identity.model_uuid;
            let tag = owner_tag(uuid, &tombstone.application, id);
            let theirs: Vec<&String> = connectors
                .iter()
                .filter(|(name, connector)| match &connector.owner {
                    Some(owner) => *owner == tag,
                    None => is_named_for(name, id, uuid),
                })
                .map(|(name, _)| name)
                .collect();
            // While a gateway lets the user in, it could make another one.
            let user_is_out = self.units(|unit| !unit.users.contains_key(&id)).is_empty();
            if theirs.is_empty() && user_is_out {
                self.lead.application.tombstones.remove(&id);
                continue;
            }
            self.still_deleting(id);
            if !theirs.is_empty() {
                self.lead.wake_after_s.push(limits::RETRY_DELETE_S);
            }
            self.lead
                .steps
                .extend(theirs.into_iter().map(|name| Step::DeleteConnector {
                    client: id,
                    name: name.clone(),
                }));
        }
    }

    fn still_deleting(&mut self, id: RelationId) {
        self.findings.push(Finding::new(
            Id::DeletingConnectors,
            [("relation", &id.to_string())],
        ));
    }
}

fn grants(promise: &Promise, id: RelationId) -> bool {
    matches!(promise, Promise::GrantSecret { relation, .. } if relation.id == id)
}

fn relation_key(id: RelationId) -> RelationKey {
    RelationKey {
        endpoint: wire::CONNECT_CLIENT.to_owned(),
        id,
    }
}

fn credential_content(
    id: RelationId,
    password: Secret<String>,
) -> BTreeMap<String, Secret<String>> {
    debug_assert!(
        password::is_plain(password.expose()),
        "generated passwords are plain"
    );
    BTreeMap::from([
        (wire::USERNAME.to_owned(), Secret::new(username(id))),
        (wire::PASSWORD.to_owned(), password),
    ])
}

/// The naming convention of the existing requirer library: `<anything>_r<id>_<model>`. It holds
/// only within one model, where both sides of a relation share its id.
fn is_named_for(name: &str, id: RelationId, model_uuid: &str) -> bool {
    let model: String = model_uuid.chars().filter(|c| *c != '-').collect();
    !model.is_empty()
        && name
            .strip_suffix(&format!("_r{id}_{model}"))
            .is_some_and(|prefix| !prefix.is_empty())
}
