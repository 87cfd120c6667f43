//! The gateway's files.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::fingerprint;
use crate::gateway::{
    ClientDoor, ClientTls, Credential, LogLevel, Metrics, Peer, PeerDoor, Protocol, Settings, User,
    Users, Worker,
};
use crate::layout::Layout;
use crate::limits;
use crate::model::Internal;
use crate::model::config::Config;

/// What `gateway.json` is made of.
#[derive(Debug)]
pub struct GatewayInput<'a> {
    /// Options.
    pub config: &'a Config,
    /// What the client door speaks.
    pub protocol: Protocol,
    /// Internal user.
    pub internal: &'a Internal,
    /// Accepted besides, while it is rotated.
    pub internal_other: Option<&'a Internal>,
    /// Bind addresses towards clients.
    pub client_bind: &'a [IpAddr],
    /// Bind addresses towards other units.
    pub peer_bind: &'a [IpAddr],
    /// Where the other units may come from.
    pub allowed: Vec<IpAddr>,
    /// The other units: name and address.
    pub peers: Vec<(String, IpAddr)>,
    /// The certificate is there.
    pub has_certificate: bool,
}

/// The sockets of a door, sorted, each once: the same in the settings and in the socket unit, since
/// the gateway knows the sockets handed to it by their addresses.
#[must_use]
pub fn sockets(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| SocketAddr::new(*address, port))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// `gateway.json`.
#[must_use]
pub fn settings(input: &GatewayInput<'_>, layout: &Layout) -> Vec<u8> {
    let config = input.config;
    let mut allowed: Vec<IpAddr> = input
        .peer_bind
        .iter()
        .copied()
        .chain(input.allowed.iter().copied())
        .collect();
    allowed.sort();
    allowed.dedup();
    json(&Settings {
        client_door: ClientDoor {
            listen: sockets(input.client_bind, config.rest_port),
            protocol: input.protocol,
            tls: (input.protocol != Protocol::Http).then(|| ClientTls {
                certificate_file: layout.client_pem(),
                key_file: layout.client_pem(),
                minimum_version: config.tls_minimum_version,
            }),
        },
        peer_door: input.has_certificate.then(|| PeerDoor {
            listen: sockets(input.peer_bind, config.peer_port),
            certificate_file: layout.peer_certificate(),
            key_file: layout.peer_key(),
            ca_file: layout.internal_ca(),
            allowed,
        }),
        worker: Worker {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), limits::WORKER_PORT),
            internal: credential(input.internal),
            internal_other: input.internal_other.map(credential),
        },
        peers: input
            .peers
            .iter()
            .map(|(unit, ip)| Peer {
                unit: unit.clone(),
                address: SocketAddr::new(*ip, config.peer_port),
            })
            .collect(),
        retry_limit_ms: config.retry_limit_s * 1000,
        metrics: config.metrics_port.map(|port| Metrics {
            listen: sockets(
                &[input.peer_bind, &[IpAddr::V4(Ipv4Addr::LOCALHOST)]].concat(),
                port,
            ),
        }),
        log_level: LogLevel::Info,
        users_file: layout.gateway_users(),
        state_file: layout.gateway_state(),
    })
}

fn credential(internal: &Internal) -> Credential {
    Credential {
        username: internal.username.clone(),
        password: internal.password.expose().clone(),
    }
}

/// `users.json` with its generation.
#[must_use]
pub fn users(users: BTreeMap<String, User>) -> (Vec<u8>, String) {
    let users: Vec<User> = users.into_values().collect();
    let generation = fingerprint::short(&json(&users));
    (
        json(&Users {
            generation: generation.clone(),
            users,
        }),
        generation,
    )
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .expect("structs of texts, numbers and lists always serialise");
    bytes.push(b'\n');
    bytes
}
