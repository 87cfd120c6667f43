//! What clients are told about TLS.

use std::collections::{BTreeMap, BTreeSet};

use super::barrier::Units;
use super::{Leader, mint_of};
use crate::fingerprint;
use crate::model::client::{Client, Request};
use crate::model::peer::{ApplicationTls, UnitData};
use crate::observation::{Databag, Reading, RelationId};
use crate::plan::{Promise, RelationKey};
use crate::secret::Secret;
use crate::wire::x509::Certificate;
use crate::wire::{self, labels};

const DISABLED: &str = "disabled";

/// Which fields about TLS go where.
struct Fields {
    secret: BTreeMap<String, String>,
    plain: BTreeMap<String, String>,
}

impl Leader<'_> {
    /// Switches all clients over once every unit that they are told of answers the other protocol
    /// too, and keeps the CAs up to date.
    pub(super) fn tls(&mut self) {
        let before = self.lead.application.tls.take();
        let authorities = self.certificates();
        let wanted = self.model.tls.relation.is_some();
        let now = self.model.seen.now;
        let enabled = before.as_ref().is_some_and(|told| told.enabled);
        let ready = |unit: &UnitData| match (&unit.tls, wanted) {
            (Some(tls), true) => tls.https,
            (Some(tls), false) => tls.plain,
            (None, wanted) => !wanted,
        };
        let told_of = |unit: &UnitData| unit.address.is_some();
        let switch = wanted != enabled
            && !self.model.tls.parting
            && self.present().any(|(_, unit)| told_of(unit))
            && self.units(|unit| !told_of(unit) || ready(unit)).is_empty();
        let known = before.as_ref().map(|told| told.authorities.clone());
        let known = known.unwrap_or_default();
        let tls = ApplicationTls {
            enabled: enabled != switch,
            since: match &before {
                _ if switch && self.lead.application.clients.is_empty() => 0,
                _ if switch => now,
                Some(told) => told.since,
                None => 0,
            },
            authorities: authorities
                .iter()
                .map(|authority| {
                    let name = fingerprint::short(&authority.der);
                    let since = known.get(&name).copied().unwrap_or(now);
                    (name, since)
                })
                .collect(),
        };
        // Once all is over, nothing reminds of it but the clients' secrets.
        let is_over = !tls.enabled && tls.authorities.is_empty() && !wanted;
        self.authorities = authorities;
        self.lead.application.tls = Some(tls).filter(|_| !is_over);
    }

    /// Clients are told https.
    pub(super) fn is_tls(&self) -> bool {
        let told = self.lead.application.tls.as_ref();
        told.is_some_and(|told| told.enabled)
    }

    /// Units without https, while it is to come: nobody new is given a password before, for it would
    /// cross the network in clear.
    pub(super) fn without_tls(&self) -> Units {
        if self.is_tls() || self.model.tls.relation.is_none() {
            return Units::new();
        }
        let unready = self.units(|unit| unit.tls.as_ref().is_some_and(|tls| tls.https));
        if unready.is_empty() {
            // They are, and their addresses are about to be known.
            return self.units(|unit| unit.address.is_some());
        }
        unready
    }

    /// The CAs of all units' certificates, of those in use and of those to come.
    fn certificates(&self) -> BTreeSet<Certificate> {
        self.everyone()
            .filter(|(_, unit)| !unit.leaving)
            .filter_map(|(_, unit)| unit.tls.as_ref())
            .flat_map(|tls| tls.authorities.iter().chain(&tls.others))
            .flat_map(|text| Certificate::all(text))
            .collect()
    }

    /// Which fields belong into the secret: those that the client asked for, or that are there
    /// already while its request cannot be understood.
    fn secret_fields(&self, id: RelationId, client: &Client) -> BTreeSet<String> {
        if let Request::Absent | Request::Held(_) = client.request
            && let Some(Reading::Known(found)) = self.reading(&labels::tls(id))
        {
            return found.content.keys().cloned().collect();
        }
        let asked = wire::client::tls_fields(client);
        asked.into_iter().map(ToOwned::to_owned).collect()
    }

    fn tls_fields(&self, id: RelationId, client: &Client, bag: &Databag) -> Option<Fields> {
        let is_told = bag.contains_key(wire::SECRET_TLS) || bag.contains_key(wire::TLS);
        if !self.is_tls() && !is_told {
            return None;
        }
        let (tls, ca) = if self.is_tls() {
            let texts: Vec<String> = self.authorities.iter().map(Certificate::pem).collect();
            ("enabled", texts.concat().trim_end().to_owned())
        } else {
            (DISABLED, DISABLED.to_owned())
        };
        let secret = self.secret_fields(id, client);
        let all = [(wire::TLS, tls.to_owned()), (wire::TLS_CA, ca)];
        let (secret, plain) = all
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .partition(|(key, _)| secret.contains(key));
        Some(Fields { secret, plain })
    }

    /// Adds what a client is told about TLS to its databag and secret. False while the secret is
    /// yet to be made: then nothing about it may be said.
    pub(super) fn tell_tls(
        &mut self,
        id: RelationId,
        client: &Client,
        bag: &Databag,
        wanted: &mut Databag,
    ) -> bool {
        let Some(Fields { secret, plain }) = self.tls_fields(id, client, bag) else {
            return true;
        };
        // What was told in plain text before it was asked for in a secret would grow stale.
        wanted.retain(|key, _| !secret.contains_key(key));
        if !secret.is_empty() {
            let label = labels::tls(id);
            let content: BTreeMap<String, Secret<String>> = secret
                .into_iter()
                .map(|(key, value)| (key, Secret::new(value)))
                .collect();
            match self.reading(&label).cloned() {
                Some(Reading::Known(found)) => {
                    if !bag.contains_key(wire::SECRET_TLS) {
                        let Some(uri) = found.uri else { return false };
                        self.lead.promises.push(Promise::GrantSecret {
                            label: label.clone(),
                            relation: RelationKey {
                                endpoint: wire::CONNECT_CLIENT.to_owned(),
                                id,
                            },
                        });
                        wanted.insert(wire::SECRET_TLS.to_owned(), uri);
                    }
                    if found.content != content {
                        self.lead
                            .promises
                            .push(Promise::SetSecret { label, content });
                    }
                }
                Some(Reading::Absent) if !bag.contains_key(wire::SECRET_TLS) => {
                    let description = format!("TLS of the REST API for connect-client:{id}");
                    self.lead.minted.push(mint_of(label, description, content));
                    return false;
                }
                // Lost or unreadable now: the rest is told all the same.
                Some(Reading::Absent | Reading::Unreadable(_)) | None => {}
            }
        }
        wanted.extend(plain);
        true
    }
}
