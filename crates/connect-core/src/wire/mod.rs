//! Databags and secret contents, to and from the model: every wire key is spelled here.

pub mod certificates;
pub mod client;
pub mod kafka;
pub mod labels;
pub mod peer;
pub mod pem;
pub mod schema;
pub mod transfer;
pub mod x509;

use std::collections::BTreeMap;

use crate::observation::Databag;

/// Endpoint towards our clients.
pub const CONNECT_CLIENT: &str = "connect-client";
/// Endpoint towards Kafka.
pub const KAFKA_CLIENT: &str = "kafka-client";
/// Endpoint towards whoever issues our certificates.
pub const CERTIFICATES: &str = "certificates";
/// Endpoint towards whoever hands over CA certificates to trust.
pub const RECEIVE_CA_CERT: &str = "receive-ca-cert";
/// Endpoint between our units.
pub const WORKERS: &str = "workers";

/// Field and secret key.
pub const USERNAME: &str = "username";
/// Field and secret key.
pub const PASSWORD: &str = "password";
/// Field and secret key.
pub const TLS: &str = "tls";
/// Field and secret key.
pub const TLS_CA: &str = "tls-ca";
/// Field.
pub const ENDPOINTS: &str = "endpoints";
/// Databag key with a secret's URI.
pub const SECRET_USER: &str = "secret-user";
/// Databag key with a secret's URI.
pub const SECRET_TLS: &str = "secret-tls";
/// Databag key with a secret's URI.
pub const SECRET_EXTRA: &str = "secret-extra";
/// Secret key of the internal CA's certificate.
pub const CA_CERTIFICATE: &str = "ca-certificate";
/// Secret key of the internal CA's private key.
pub const CA_KEY: &str = "ca-key";
/// Secret key of the private key that a unit's certificate is for.
pub const PRIVATE_KEY: &str = "private-key";
/// Secret key of its public half.
pub const PUBLIC_KEY: &str = "public-key";

/// What has to be written so that `now` becomes `wanted`, as far as `keys` go.
#[must_use]
pub fn changes(now: &Databag, wanted: &Databag, keys: &[&str]) -> BTreeMap<String, Option<String>> {
    keys.iter()
        .filter(|key| now.get(**key) != wanted.get(**key))
        .map(|key| ((*key).to_owned(), wanted.get(*key).cloned()))
        .collect()
}
