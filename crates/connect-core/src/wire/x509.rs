//! X.509: just enough of certificates and certificate requests to judge them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::pem;

/// A certificate, parsed. No signature is checked: whoever connects does that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    /// All of it.
    pub der: Vec<u8>,
    /// Whom it is for (DER of the name).
    pub subject: Vec<u8>,
    /// Who issued it (DER of the name).
    pub issuer: Vec<u8>,
    /// Its public key (DER, `SubjectPublicKeyInfo`).
    pub public_key: Vec<u8>,
    /// First second, since the epoch, at which it is good.
    pub not_before: u64,
    /// Last second, since the epoch, at which it is good.
    pub not_after: u64,
    /// May issue others.
    pub is_ca: bool,
}

impl Certificate {
    /// Parses DER bytes.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        Some(Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
            not_before: seconds(parsed.validity().not_before.timestamp()),
            not_after: seconds(parsed.validity().not_after.timestamp()),
            is_ca: parsed.is_ca(),
        })
    }

    /// Every certificate in a PEM text that can be parsed, in order.
    #[must_use]
    pub fn all(text: &str) -> Vec<Self> {
        let blocks = pem::certificates(text);
        blocks.iter().filter_map(|der| Self::parse(der)).collect()
    }

    /// Its own issuer: a root, as far as names say.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// PEM, ending with a line feed.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::block("CERTIFICATE", &self.der)
    }
}

/// A certificate request, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// All of it.
    pub der: Vec<u8>,
    /// The public key (DER, `SubjectPublicKeyInfo`).
    pub public_key: Vec<u8>,
    /// Common name.
    pub common_name: String,
    /// Addresses asked for.
    pub addresses: BTreeSet<IpAddr>,
    /// DNS names asked for.
    pub names: BTreeSet<String>,
}

impl Request {
    /// Parses the one PEM block of a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let der = request_der(text)?;
        let (_, parsed) = X509CertificationRequest::from_der(&der).ok()?;
        let info = &parsed.certification_request_info;
        let mut addresses = BTreeSet::new();
        let mut names = BTreeSet::new();
        for extension in parsed.requested_extensions().into_iter().flatten() {
            let ParsedExtension::SubjectAlternativeName(alternatives) = extension else {
                continue;
            };
            for name in &alternatives.general_names {
                if let GeneralName::DNSName(name) = name {
                    names.insert((*name).to_owned());
                } else if let GeneralName::IPAddress(bytes) = name {
                    addresses.extend(address(bytes));
                }
            }
        }
        let common_name = info
            .subject
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let public_key = info.subject_pki.raw.to_vec();
        Some(Self {
            der: der.clone(),
            public_key,
            common_name,
            addresses,
            names,
        })
    }
}

/// The DER bytes of the one certificate request in a PEM text, however it is wrapped: providers
/// write requests back in a form of their own.
#[must_use]
pub fn request_der(text: &str) -> Option<Vec<u8>> {
    // Both labels are in use.
    ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
        .iter()
        .find_map(|label| pem::blocks(label, text).into_iter().next())
}

/// The DER bytes of a public key in PEM.
#[must_use]
pub fn public_key_der(text: &str) -> Option<Vec<u8>> {
    pem::blocks("PUBLIC KEY", text).into_iter().next()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
