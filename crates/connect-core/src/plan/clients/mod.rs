//! What the leader does for clients, from their request to their last connector.
//!
//! **Flow.** A valid request, its bundle loaded by every healthy unit: credentials are minted. The
//! leader's gateway serves them at once; the peer databag announces the client, and the other
//! units follow. Once all of them say that they serve the user, `endpoints`, `secret-user` and
//! `data` are published together, and are from then on only kept up to date.
//!
//! **Rotation.** The new password is minted into a secret of its own that nobody is granted; the
//! units accept both; then the client's secret gets its new revision under the same URI, and the
//! old password stays good for [`ROTATION_GRACE_S`](crate::limits::ROTATION_GRACE_S) as a hash in the peer databag.
//!
//! **Removal.** Only a client that the peer databag knew, whose relation is gone while we stay,
//! loses its connectors; until they are gone it is a tombstone, which any leader works off.

mod answer;
mod barrier;
mod internal;
mod operators;
mod removal;
mod rotation;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

use self::barrier::Units;
use super::bundles::Bundles;
use super::users::credential;
use super::watch::{self, Watch};
use super::{Entropy, Mint, MintedValue, Promise, SecretOwner, Step, adoption, turns};
use crate::fingerprint;
use crate::model::client::{Client, Request, username};
use crate::model::password::generate;
use crate::model::peer::{ApplicationData, KnownClient, NO_BUNDLE, Peers, UnitData};
use crate::model::{Model, password};
use crate::observation::{OwnSecret, Reading, RelationId};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::x509::Certificate;
use crate::wire::{self, labels};

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
    watch: Watch,
    lead: Lead,
    /// CAs that clients have to trust.
    authorities: BTreeSet<Certificate>,
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
    let application = ApplicationData {
        // Noted anew of whom it is still true.
        waiting: BTreeMap::new(),
        ..peers.application.clone()
    };
    let lead = Lead {
        application,
        ..Lead::default()
    };
    let restart = model.seen.hook.restart();
    let force = restart.is_some_and(|(_, _, force)| force);
    let mut leader = Leader {
        model,
        peers,
        now,
        bundles,
        entropy,
        findings,
        watch: watch::look(model, peers, now, force),
        lead,
        authorities: BTreeSet::new(),
    };
    if now.leaving {
        // Another unit will lead; what looks like a client that left may be our own farewell. That
        // clients are no longer sent here cannot wait for it.
        leader.send_elsewhere();
        return leader.lead;
    }
    leader.watch();
    leader
        .lead
        .application
        .groups
        .extend(adoption::claim(model));
    leader.internal();
    leader.operators();
    leader.tls();
    for (id, client) in &model.clients {
        leader.client(*id, client);
    }
    leader.forget();
    leader.tombstones();
    if let Some((id, true, _)) = restart {
        leader.lead.application.restart = Some(id.clone());
    }
    leader.turns();
    if leader.lead.application != peers.application {
        leader.lead.application.generation = peers.application.generation.saturating_add(1);
    }
    leader.lead
}

impl Leader<'_> {
    /// Units that are not well, and those that were so for too long.
    fn watch(&mut self) {
        self.lead.application.silent = self.watch.silent.clone();
        self.lead.application.passed = self.watch.passed.clone();
        self.lead.wake_after_s.extend(self.watch.wake_after_s);
        for number in &self.watch.lost {
            let unit = format!("{}/{number}", self.model.seen.identity.application);
            self.findings
                .push(Finding::new(Id::UnitLost, [("unit", unit.as_str())]));
        }
    }

    fn turns(&mut self) {
        let turns = turns::lead(
            self.model,
            self.peers,
            self.now,
            &self.watch,
            &self.bundles.wanted,
        );
        self.lead.application.turn = turns.turn;
        self.lead.application.wanted_since = turns.wanted_since;
        self.lead.wake_after_s.extend(turns.wake_after_s);
        self.findings.extend(turns.finding);
    }

    fn reading(&self, label: &str) -> Option<&Reading<OwnSecret>> {
        self.model.seen.secrets.get(label)
    }

    fn mint(&mut self, label: String, description: String, content: BTreeMap<String, MintedValue>) {
        self.lead.minted.push(Mint {
            owner: SecretOwner::Application,
            label,
            description,
            content,
        });
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
            self.refresh_endpoints(id, client, bag);
            return;
        }
        let secret = match self.reading(&labels::user(id)) {
            Some(Reading::Known(secret)) => Some(secret.clone()),
            Some(Reading::Absent) if published => {
                // Everybody is to look for it from now on, in every hook.
                if let Some(entry) = self.lead.application.clients.get_mut(&id) {
                    entry.sha256.clear();
                }
                self.findings.push(found(Id::ClientSecretLost));
                self.refresh_endpoints(id, client, bag);
                return;
            }
            Some(Reading::Absent) => {
                self.request(id, client);
                return;
            }
            Some(Reading::Unreadable(_)) => return,
            // Not looked up: nothing about it is to change.
            None => None,
        };
        let Some(mut entry) = self.entry(id, client, secret.as_ref(), published) else {
            return;
        };
        let mut missing = self.unready(id);
        missing.extend(self.without_user(id, entry.next.as_ref().unwrap_or(&entry.user)));
        // Ready after all.
        entry.late.retain(|unit| missing.contains(unit));
        let waits = matches!(client.request, Request::Valid { .. }) && !published;
        let held = waits && self.is_held(id, client, &mut entry, missing);
        self.lead.application.clients.insert(id, entry);
        match &client.request {
            Request::Valid { .. } if held => {}
            Request::Valid { .. } => {
                self.publish(id, client, relation, bag, secret.as_ref());
            }
            Request::Absent | Request::Held(_) if published => {
                self.refresh_endpoints(id, client, bag);
            }
            Request::Absent | Request::Held(_) => {}
        }
    }

    /// What the other units are told of a client with credentials; nothing if they were not good, or
    /// are not known in this hook.
    fn entry(
        &mut self,
        id: RelationId,
        client: &Client,
        secret: Option<&OwnSecret>,
        published: bool,
    ) -> Option<KnownClient> {
        let told = KnownClient {
            application: client.application.clone(),
            digest: self.digest(id),
            old: self.old_password(id),
            late: self.late(id),
            ..KnownClient::default()
        };
        let Some(secret) = secret else {
            let known = self.peers.application.clients.get(&id)?;
            return known.is_settled().then(|| KnownClient {
                user: known.user.clone(),
                sha256: known.sha256.clone(),
                ..told
            });
        };
        let Some(password) = credential(id, secret).cloned() else {
            self.repair(id, client);
            return None;
        };
        let mut entry = KnownClient {
            user: fingerprint::credential(&username(id), password.expose()),
            sha256: fingerprint::sha256(password.expose().as_bytes()),
            ..told
        };
        if published {
            self.rotate(id, &mut entry, &password);
        }
        Some(entry)
    }

    /// Units that a client is served without: those it was, or those that were waited for in vain
    /// before it had a user.
    fn late(&self, id: RelationId) -> Units {
        match self.peers.application.clients.get(&id) {
            Some(known) => known.late.clone(),
            None if self.is_overdue(id) => self.unready(id),
            None => Units::new(),
        }
    }

    /// Whether a client with a user has to wait before it is told of it.
    fn is_held(
        &mut self,
        id: RelationId,
        client: &Client,
        entry: &mut KnownClient,
        mut missing: Units,
    ) -> bool {
        missing.extend(self.without_tls());
        missing.retain(|unit| !entry.late.contains(unit));
        // Since it has a user the time runs anew.
        let application = &self.peers.application;
        let since = application.waiting.get(&id).copied();
        let since = since.filter(|_| application.clients.contains_key(&id));
        if self.holds(id, client, &missing, since) {
            return true;
        }
        entry.late.extend(missing);
        entry.late.extend(&self.watch.lost);
        false
    }

    /// A client without credentials: made once every unit is ready for it.
    fn request(&mut self, id: RelationId, client: &Client) {
        let Request::Valid { .. } = client.request else {
            return;
        };
        let unready = self.unready(id);
        let since = self.peers.application.waiting.get(&id).copied();
        if self.holds(id, client, &unready, since) {
            return;
        }
        let password = generate(self.entropy);
        self.lead.minted.push(mint_of(
            labels::user(id),
            format!("REST user of connect-client:{id}"),
            credential_content(id, password),
        ));
    }

    /// The client's bundle; the last one that every unit has loaded while another one comes.
    fn digest(&self, id: RelationId) -> String {
        let held = self.bundle(id).filter(|digest| *digest != NO_BUNDLE);
        let held = held.cloned();
        match self.peers.application.clients.get(&id) {
            Some(known) if !self.unready(id).is_empty() => known.digest.clone(),
            Some(_) => held.unwrap_or_default(),
            // A bundle that came in this very hook has been loaded by nobody.
            None => held
                .filter(|digest| self.is_loaded(digest))
                .unwrap_or_default(),
        }
    }
}

/// A secret of the application to make.
fn mint_of(label: String, description: String, content: BTreeMap<String, Secret<String>>) -> Mint {
    Mint {
        owner: SecretOwner::Application,
        label,
        description,
        content: content
            .into_iter()
            .map(|(key, value)| (key, MintedValue::Text(value)))
            .collect(),
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
