//! What a client is told.

use std::collections::BTreeMap;

use super::Leader;
use crate::model::client::Client;
use crate::model::peer::UnitData;
use crate::observation::{ClientRelation, Databag, OwnSecret, Reading, RelationId};
use crate::plan::{MintedValue, Promise, RelationKey};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::{self, labels, schema};

impl Leader<'_> {
    /// Where a client is sent: to units that stay, work, and have what it needs.
    fn endpoints(&self, id: RelationId) -> Option<String> {
        if !self.model.config_is_good() {
            return None;
        }
        let by_number: BTreeMap<&u32, &UnitData> = self.everyone().collect();
        let known = self.lead.application.clients.get(&id);
        let late = |number: &u32| known.is_some_and(|known| known.late.contains(number));
        let told = self.told(id);
        // One that was lost while clients were told https, and is back, is to speak it first. What
        // they have been told of stays: the gateways take over from each other.
        let speaks = |unit: &UnitData| {
            let https = unit.tls.as_ref().is_some_and(|tls| tls.https);
            !self.is_tls() || https || told.is_some_and(|told| is_https_of(told, unit))
        };
        let addresses = by_number
            .iter()
            .filter(|(number, unit)| {
                let lost = self.watch.lost.contains(number);
                !unit.leaving && !lost && !late(number) && speaks(unit)
            })
            .filter_map(|(_, unit)| unit.address.as_deref());
        let scheme = if self.is_tls() { "https" } else { "http" };
        let text = wire::client::endpoints(scheme, addresses, self.model.config.rest_port);
        Some(text).filter(|text| !text.is_empty())
    }

    /// Where a client was sent last.
    fn told(&self, id: RelationId) -> Option<&str> {
        let relation = self.model.seen.clients.get(&id)?;
        let plain = relation.ours.as_ref()?.get(wire::ENDPOINTS);
        plain.map(String::as_str).or_else(|| {
            let secret = self.reading(&labels::extra(id))?.known()?;
            let secret = secret.content.get(wire::ENDPOINTS)?;
            Some(secret.expose().as_str())
        })
    }

    /// Takes our own unit out of the endpoints of clients, and those that go with it, if others are
    /// left in them.
    pub(super) fn send_elsewhere(&mut self) {
        for id in self.model.clients.keys() {
            let relation = &self.model.seen.clients[id];
            let told = relation
                .ours
                .as_ref()
                .filter(|bag| bag.contains_key(wire::ENDPOINTS));
            if let (Some(bag), Some(endpoints)) = (told, self.endpoints(*id)) {
                let mut wanted = bag.clone();
                wanted.insert(wire::ENDPOINTS.to_owned(), endpoints);
                self.set(*id, bag, &wanted);
            }
        }
    }

    /// For a client that was served and whose request cannot be understood now.
    pub(super) fn refresh_endpoints(&mut self, id: RelationId, client: &Client, bag: &Databag) {
        let mut wanted = bag.clone();
        if !self.tell_tls(id, client, bag, &mut wanted) {
            return;
        }
        if bag.contains_key(wire::ENDPOINTS)
            && let Some(endpoints) = self.endpoints(id)
        {
            wanted.insert(wire::ENDPOINTS.to_owned(), endpoints);
        }
        self.set(id, bag, &wanted);
    }

    pub(super) fn publish(
        &mut self,
        id: RelationId,
        client: &Client,
        relation: &ClientRelation,
        bag: &Databag,
        secret: Option<&OwnSecret>,
    ) {
        let published = bag.contains_key(wire::SECRET_USER);
        let mut wanted = bag.clone();
        let key = relation_key(id);
        if !self.tell_tls(id, client, bag, &mut wanted) {
            return;
        }
        let endpoints = self
            .endpoints(id)
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
            let Some(uri) = secret.and_then(|secret| secret.uri.as_ref()) else {
                return;
            };
            self.lead.promises.push(Promise::GrantSecret {
                label: labels::user(id),
                relation: key,
            });
            wanted.insert(wire::SECRET_USER.to_owned(), uri.clone());
        }
        // Only what we began: a databag without it was answered by somebody else.
        let data = bag.get(wire::client::DATA);
        if !published || data.is_some_and(|now| !wire::client::same_data(now, &relation.theirs)) {
            wanted.insert(
                wire::client::DATA.to_owned(),
                wire::client::data(&relation.theirs),
            );
        }
        if wanted != *bag
            && let Some(fault) = schema::provider().check(&wanted).first()
        {
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
            wire::SECRET_TLS,
            wire::SECRET_EXTRA,
            wire::TLS,
            wire::TLS_CA,
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
}

/// Whether one of these URLs is an https one of this unit.
fn is_https_of(endpoints: &str, unit: &UnitData) -> bool {
    let url = wire::client::endpoints("https", unit.address.as_deref().into_iter(), 0);
    let at = url.trim_end_matches('0');
    !at.is_empty() && endpoints.split(',').any(|url| url.starts_with(at))
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
