//! What is told to the outside, in the order in which it is written.

use super::clients::Lead;
use super::{Promise, RelationKey, unit};
use crate::model::Model;
use crate::model::peer::{Peers, UnitData};
use crate::observation::{Databag, Life};
use crate::wire;

/// Collects the promises.
#[must_use]
pub fn collect(
    model: &Model<'_>,
    now: Option<(&Peers, &UnitData)>,
    lead: Option<Lead>,
) -> Vec<Promise> {
    let mut promises = Vec::new();
    let raw = model.seen.peers.as_ref();
    if let (Some((peers, now)), Some(raw)) = (now, raw) {
        let changes = wire::changes(
            &raw.ours,
            &wire::peer::write_unit(now),
            &wire::peer::UNIT_KEYS,
        );
        if !changes.is_empty() {
            promises.push(Promise::SetUnitData {
                relation: peers.relation.clone(),
                changes,
            });
        }
    }
    if model.seen.leader && !model.seen.is_leaving() {
        promises.extend(kafka_requests(model));
        promises.extend(transfer_requests(model));
    }
    if let (Some(lead), Some(raw), Some((peers, _))) = (lead, raw, now) {
        promises.extend(lead.promises);
        let changes = wire::changes(
            &raw.application,
            &wire::peer::write_application(&lead.application),
            &wire::peer::APPLICATION_KEYS,
        );
        if !changes.is_empty() {
            promises.push(Promise::SetApplicationData {
                relation: peers.relation.clone(),
                changes,
            });
        }
    }
    promises.extend(ports(model));
    if let Some((peers, now)) = now
        && let Some(version) = &now.version
        && peers.ours.version.as_ref() != Some(version)
    {
        promises.push(Promise::SetWorkloadVersion {
            version: version.clone(),
        });
    }
    promises
}

/// What Kafka is asked for. Only keys that are not there: Kafka 4 fails on a request that changes.
fn kafka_requests(model: &Model<'_>) -> impl Iterator<Item = Promise> {
    model
        .seen
        .kafka
        .iter()
        .filter(|(_, relation)| relation.life == Life::Live)
        .filter_map(|(id, relation)| {
            let ours = relation.ours.as_ref()?;
            let missing: Databag = wire::kafka::request()
                .into_iter()
                .filter(|(key, _)| !ours.contains_key(key))
                .collect();
            (!missing.is_empty()).then(|| Promise::SetApplicationData {
                relation: RelationKey {
                    endpoint: wire::KAFKA_CLIENT.to_owned(),
                    id: *id,
                },
                changes: missing
                    .into_iter()
                    .map(|(key, value)| (key, Some(value)))
                    .collect(),
            })
        })
}

/// Which version of `certificate_transfer` we read.
fn transfer_requests(model: &Model<'_>) -> impl Iterator<Item = Promise> {
    let live = model
        .seen
        .transfers
        .iter()
        .filter(|(_, relation)| relation.life == Life::Live);
    live.filter_map(|(id, relation)| {
        let wanted = wire::transfer::request();
        let keys: Vec<&str> = wanted.keys().map(String::as_str).collect();
        let changes = wire::changes(relation.ours.as_ref()?, &wanted, &keys);
        (!changes.is_empty()).then(|| Promise::SetApplicationData {
            relation: RelationKey {
                endpoint: wire::RECEIVE_CA_CERT.to_owned(),
                id: *id,
            },
            changes,
        })
    })
}

/// The client door's port, once the gateway runs, and no other.
fn ports(model: &Model<'_>) -> Vec<Promise> {
    if !model.config_is_good() || !unit::gateway_runs(model) {
        return Vec::new();
    }
    let wanted = model.config.rest_port;
    let opened: Vec<u16> = model
        .seen
        .opened_ports
        .iter()
        .filter_map(|text| text.strip_suffix("/tcp")?.parse().ok())
        .collect();
    let mut promises: Vec<Promise> = opened
        .iter()
        .filter(|port| **port != wanted)
        .map(|port| Promise::ClosePort { port: *port })
        .collect();
    if !opened.contains(&wanted) {
        promises.push(Promise::OpenPort { port: wanted });
    }
    promises
}
