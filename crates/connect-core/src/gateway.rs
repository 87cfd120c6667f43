//! The two files the charm writes for the gateway and the one file the gateway writes back.
//!
//! Both sides use these types, so a key is spelled once. The files are JSON, replaced by rename,
//! and re-read by the gateway within a second of a change; an unreadable or invalid file changes
//! nothing there (fail closed: the last good one stays) and shows in [`State::fault`].
//!
//! Expected flow: the charm writes [`Settings`] and [`Users`]; the gateway serves them and writes
//! [`State`] whenever one of its fields changes; a systemd path unit on the state file wakes the
//! charm, which reads [`State`] as a fact and only then promises anything that rests on it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The configuration key under which the gateway records a connector's owner.
///
/// Kafka Connect passes unknown keys through unchanged, so the tag lives in the connector's own
/// configuration: `<model uuid>:<application>:<relation id>`.
pub const OWNER_KEY: &str = "juju.client";

/// What the gateway serves and where: `gateway.json`.
///
/// Holds the internal credential, hence mode 0640 and a redacted `Debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where clients and operators come in.
    pub client_door: ClientDoor,
    /// Where the other units' workers and gateways come in; absent until this unit has a
    /// certificate of the internal CA.
    pub peer_door: Option<PeerDoor>,
    /// Our own worker, on loopback.
    pub worker: Worker,
    /// The other units' peer doors, for requests that our own worker cannot take now.
    pub peers: Vec<Peer>,
    /// Longest time, in milliseconds, that one request is tried before its failure is passed on.
    pub retry_limit_ms: u64,
    /// Where metrics are served; absent for nowhere.
    #[serde(default)]
    pub metrics: Option<Metrics>,
    /// What is logged.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Path of the users file ([`Users`]).
    pub users_file: String,
    /// Path of the state file ([`State`]), in a directory the gateway may write.
    pub state_file: String,
}

/// The door for clients and operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientDoor {
    /// Addresses to listen on, IPv4 and IPv6.
    pub listen: Vec<SocketAddr>,
    /// What is spoken there.
    #[serde(default)]
    pub protocol: Protocol,
    /// The certificate; needed unless `protocol` is [`Protocol::Http`].
    #[serde(default)]
    pub tls: Option<ClientTls>,
}

/// What a door speaks with new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
    /// Either, as the first byte of the connection says: while clients move from one to the other.
    Both,
}

/// The client door's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// PEM file with the certificate, then the intermediate ones.
    pub certificate_file: String,
    /// PEM file with the private key; may be the same file, which is then replaced in one go.
    pub key_file: String,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub minimum_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Addresses to listen on, plain HTTP.
    pub listen: Vec<SocketAddr>,
}

/// The least important lines that are logged. Changes and refused logins always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What does not work.
    Error,
    /// What may soon not work.
    Warn,
    /// Each request.
    #[default]
    Info,
    /// Each try of a request.
    Debug,
}

/// The door for the other units: always TLS, only their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerDoor {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// PEM file with this unit's certificate, issued by the internal CA.
    pub certificate_file: String,
    /// PEM file with the certificate's private key.
    pub key_file: String,
    /// PEM file with the internal CA, to verify other units' peer doors; while it is rotated, with
    /// the old and the new one.
    pub ca_file: String,
    /// Source addresses that are let in (our own included: a worker may forward to itself).
    pub allowed: Vec<IpAddr>,
}

/// Our own worker's listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// The loopback address of the worker's only listener.
    pub address: SocketAddr,
    /// The credential that our worker knows and that peers present to us.
    pub internal: Credential,
    /// Accepted from peers as well, and presented to a worker that refuses the first: the next or
    /// the previous one, while it is rotated.
    #[serde(default)]
    pub internal_other: Option<Credential>,
}

/// Another unit's gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// The unit's name, for logs.
    pub unit: String,
    /// Its peer door.
    pub address: SocketAddr,
}

/// A user name with its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// User name.
    pub username: String,
    /// Password, in clear: the gateway has to present it to the worker.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, [redacted])", self.username)
    }
}

/// Who may come in through the client door: `users.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Fingerprint of `users`, made by the charm; echoed in [`State::users_generation`].
    pub generation: String,
    /// The users, sorted by name.
    pub users: Vec<User>,
}

/// One REST user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name as sent in HTTP basic authentication; for a client `relation-<id>`.
    pub name: String,
    /// Lower-case hex SHA-256 of each password accepted now: one, or the new and the old one while
    /// a rotation has its grace time. Client passwords are random (more than 128 bits), so a fast
    /// hash is enough; comparison is in constant time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passwords_sha256: Vec<String>,
    /// Argon2id hash, as a PHC string, of each password that a person chose: a fast hash of such a
    /// one could be guessed from a stolen file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passwords_argon2id: Vec<String>,
    /// The owner tag of connectors this user creates ([`OWNER_KEY`]); absent for an operator.
    pub owner: Option<String>,
    /// Which connectors the user may see and change.
    #[serde(default)]
    pub access: Access,
}

/// Which connectors a user may see and change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Every connector, and the workers' loggers.
    #[default]
    All,
    /// Those that carry the user's own [`User::owner`], which must be there.
    Own,
}

/// What the gateway says of itself and of the worker: `state.json`.
///
/// Written by rename when any field changes, never periodically.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct State {
    /// [`Users::generation`] of the users now served; empty before the first good file.
    pub users_generation: String,
    /// SHA-256 (hex) of the bytes of the settings file now served.
    pub settings_generation: String,
    /// The client door accepts connections.
    pub client_door: bool,
    /// The peer door accepts connections.
    pub peer_door: bool,
    /// What the open client door speaks with new connections; absent while it is closed.
    pub client_protocol: Option<Protocol>,
    /// The certificate that the client door presents.
    pub client_certificate: Option<Certificate>,
    /// The certificate that the peer door presents.
    pub peer_certificate: Option<Certificate>,
    /// SHA-256 (hex) of each CA that peers' doors are verified with, sorted.
    pub trusted_cas: Vec<String>,
    /// The metrics port accepts connections.
    pub metrics: bool,
    /// The worker's `/health` answered 200 within the last seconds.
    pub worker_healthy: bool,
    /// The credential that the worker's `/health` accepted last.
    pub worker_takes: Option<InternalUser>,
    /// Why the newest files are not served as written, if so; one line, no secret.
    pub fault: Option<String>,
}

/// A certificate that a door presents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 (hex) of the certificate itself (DER).
    pub sha256: String,
    /// Its serial number (hex).
    pub serial: String,
    /// When it expires, in seconds since 1970.
    pub not_after: i64,
}

/// One of the internal credentials in [`Worker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InternalUser {
    /// [`Worker::internal`].
    Internal,
    /// [`Worker::internal_other`].
    InternalOther,
}
