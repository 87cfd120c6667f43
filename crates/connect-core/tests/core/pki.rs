//! Authorities and certificates for tests, and a unit that asks for them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use connect_core::model::tls::{Key, Subject};
use connect_core::secret::Secret;
use connect_core::wire::x509::public_key_der;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};

/// Whoever signs. Two of one name are two authorities.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

fn moment(params: &mut CertificateParams, from: u64, to: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(to);
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let pem = params.self_signed(&key).unwrap().pem().trim().to_owned();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = certificate.pem().trim().to_owned();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Signs a request in PEM.
    pub fn sign(&self, request: &str, from: u64, to: u64) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(request).unwrap();
        moment(&mut request.params, from, to);
        let certificate = request.signed_by(&self.issuer).unwrap();
        certificate.pem().trim().to_owned()
    }
}

/// A new private key with its public half, as a unit's secret holds them.
pub fn new_key() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (key.serialize_pem(), key.public_key_pem())
}

pub fn key(private: &str) -> Key {
    let pair = KeyPair::from_pem(private).unwrap();
    Key {
        private: Secret::new(private.to_owned()),
        public: public_key_der(&pair.public_key_pem()).unwrap(),
    }
}

/// The request that the shell makes.
pub fn request(private: &str, subject: &Subject, id: &str) -> String {
    let pair = KeyPair::from_pem(private).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, subject.common_name.as_str());
    name.push(DnType::CustomDnType(vec![2, 5, 4, 45]), id);
    for address in &subject.addresses {
        params.subject_alt_names.push(SanType::IpAddress(*address));
    }
    for name in &subject.names {
        let name = SanType::DnsName(name.as_str().try_into().unwrap());
        params.subject_alt_names.push(name);
    }
    params.serialize_request(&pair).unwrap().pem().unwrap()
}

pub fn subject(address: &str) -> Subject {
    Subject {
        common_name: address.to_owned(),
        addresses: BTreeSet::from([address.parse::<IpAddr>().unwrap()]),
        names: BTreeSet::from(["kafka-connect-0".to_owned()]),
    }
}
