//! Certificates for the client door, as far as they can be understood.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::observation::RelationId;
use crate::secret::Secret;
use crate::wire::x509::{Certificate, Request};

/// What is known of certificates.
#[derive(Debug, Default)]
pub struct Tls {
    /// The relation they come from, while it stays.
    pub relation: Option<RelationId>,
    /// That relation goes on without our unit, which is going away.
    pub parting: bool,
    /// Our private key, once there is one.
    pub key: Option<Key>,
    /// The key's secret is there and cannot be read now, so nothing about the door is judged.
    pub key_unreadable: Option<String>,
    /// What we asked for, if it can be understood.
    pub request: Option<Request>,
    /// What we got.
    pub answer: Answer,
}

/// A private key.
#[derive(Debug)]
pub struct Key {
    /// PEM, PKCS #8.
    pub private: Secret<String>,
    /// Public half (DER, `SubjectPublicKeyInfo`).
    pub public: Vec<u8>,
}

/// What a provider of certificates says to our request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Nothing (any more).
    #[default]
    Nothing,
    /// A certificate of ours.
    Issued(Identity),
    /// Ours is not to be used any more; the request stands, and another one may come.
    Revoked,
    /// No, with the reason.
    Refused(String),
    /// Something that cannot be used; the text says what.
    Faulty(String),
}

/// A certificate with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then its issuers without the root: what a server sends.
    pub chain: Vec<Certificate>,
    /// The certificates to trust, so that it is accepted.
    pub authorities: BTreeSet<Certificate>,
}

impl Identity {
    /// The certificate itself.
    #[must_use]
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// PEM of the chain.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(Certificate::pem).collect()
    }
}

/// What a certificate has to be good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Common name, at most 64 characters.
    pub common_name: String,
    /// Addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// DNS names.
    pub names: BTreeSet<String>,
}

impl Subject {
    /// Whether a request asks for exactly this.
    #[must_use]
    pub fn is_asked_for_by(&self, request: &Request) -> bool {
        self.common_name == request.common_name
            && self.addresses == request.addresses
            && self.names == request.names
    }
}
