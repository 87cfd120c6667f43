//! The gateway: its settings and its certificate.

use std::net::IpAddr;

use super::{FileGoal, GatewayGoal, file, owner, unit};
use crate::fingerprint;
use crate::layout::{
    GATEWAY_CLIENT_SOCKET, GATEWAY_PEER_SOCKET, GATEWAY_SERVICE, GATEWAY_USER, Layout,
};
use crate::model::Model;
use crate::model::peer::UnitData;
use crate::plan::Step;
use crate::plan::internal::authorities;
use crate::plan::tls::Door;
use crate::render::gateway::{self, GatewayInput};
use crate::render::units;
use crate::status::{Finding, Id};

/// The gateway's files; absent while something they need is, and once this unit leaves: it hands
/// over to the units it knew, which go from its relation one after the other.
pub(super) fn goal(
    model: &Model<'_>,
    door: &Door,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> Option<GatewayGoal> {
    let seen = model.seen;
    let peers = model.peers.as_ref()?;
    let internal = model.internal.as_ref()?;
    if seen.is_leaving() {
        return None;
    }
    let addresses = &model.addresses;
    for (binding, found) in [
        ("connect-client", &addresses.client),
        ("workers", &addresses.peer),
    ] {
        if found.is_empty() {
            findings.push(Finding::new(Id::NetworkWaiting, [("binding", binding)]));
            return None;
        }
    }
    if !model.config_is_good() {
        return None;
    }
    let certificate = certificate(model, layout);
    let ca = file(
        layout.internal_ca(),
        0o640,
        GATEWAY_USER,
        authorities(model),
    );
    let input = GatewayInput {
        config: &model.config,
        protocol: door.protocol,
        internal,
        internal_other: model.internal_other.as_ref(),
        client_bind: &addresses.client,
        peer_bind: &addresses.peer,
        allowed: peers
            .others
            .values()
            .flat_map(UnitData::addresses)
            .collect(),
        peers: peers
            .others
            .iter()
            .filter_map(|(number, unit)| {
                Some((
                    format!("{}/{number}", seen.identity.application),
                    unit.peer_address?,
                ))
            })
            .collect(),
        // Written before the settings, in the same round.
        has_certificate: true,
    };
    let service = file(
        unit(layout, GATEWAY_SERVICE),
        0o644,
        "root",
        units::gateway(layout),
    );
    let config = &model.config;
    let sockets = [
        (
            GATEWAY_CLIENT_SOCKET,
            units::Door::Client,
            gateway::sockets(&addresses.client, config.rest_port),
        ),
        (
            GATEWAY_PEER_SOCKET,
            units::Door::Peer,
            gateway::sockets(&addresses.peer, config.peer_port),
        ),
    ]
    .map(|(name, door, listen)| {
        file(
            unit(layout, name),
            0o644,
            "root",
            units::socket(door, &listen),
        )
    });
    let settings = file(
        layout.gateway_settings(),
        0o640,
        GATEWAY_USER,
        gateway::settings(&input, layout),
    );
    let client_pem = door.pem.as_ref().map(|pem| FileGoal {
        path: layout.client_pem(),
        mode: 0o640,
        owner: owner("root", GATEWAY_USER),
        content: pem.clone(),
    });
    Some(GatewayGoal {
        // Whatever the settings name is written before them.
        files: [ca, service]
            .into_iter()
            .chain(sockets)
            .chain(client_pem)
            .chain([settings])
            .collect(),
        remove: door.identity.is_none().then(|| layout.client_pem()),
        certificate,
    })
}

/// The certificate of the peer door, if the one that is here is not for these addresses and CA.
fn certificate(model: &Model<'_>, layout: &Layout) -> Option<(Step, FileGoal)> {
    let internal = model.internal.as_ref()?;
    let name = model.seen.identity.unit();
    let addresses: Vec<IpAddr> = model.addresses.of_peer().into_iter().collect();
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let identity = fingerprint::sha256(
        format!("{name}\n{}\n{}", listed.join(" "), internal.ca_certificate).as_bytes(),
    );
    let note = file(
        layout.peer_identity(),
        0o644,
        "root",
        format!("{identity}\n"),
    );
    let files = &model.seen.host.files;
    let noted = files
        .get(&note.path)
        .is_some_and(|fact| fact.sha256 == fingerprint::sha256(note.content.expose()));
    let there = [layout.peer_certificate(), layout.peer_key()]
        .iter()
        .all(|path| files.contains_key(path));
    if noted && there {
        return None;
    }
    let step = Step::IssueCertificate {
        ca_certificate: internal.ca_certificate.clone(),
        ca_key: internal.ca_key.clone(),
        addresses,
        name,
        certificate_path: layout.peer_certificate(),
        key_path: layout.peer_key(),
        owner: owner("root", GATEWAY_USER),
    };
    Some((step, note))
}
