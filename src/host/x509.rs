//! The internal CA and the certificates it issues: ECDSA P-256.

use std::net::IpAddr;

use connect_core::fingerprint;
use connect_core::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::exec::ExecError;

/// A certificate or key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The library refuses.
    #[error("cannot {action}")]
    Library {
        /// What was to be done.
        action: &'static str,
        /// Reason.
        source: rcgen::Error,
    },
    /// A program that makes keys does not.
    #[error("cannot make a private key")]
    Program(#[source] ExecError),
}

pub(super) fn failed(action: &'static str) -> impl FnOnce(rcgen::Error) -> CertificateError {
    move |source| CertificateError::Library { action, source }
}

/// A certificate with its key, both PEM.
#[derive(Debug)]
pub struct Pair {
    /// Certificate.
    pub certificate: String,
    /// Private key, PKCS #8.
    pub key: Secret<String>,
}

/// Makes a self-signed CA. It has no end that anybody will see: it is trusted by the units of one
/// application only, and replaced with the secret it lives in.
///
/// # Errors
///
/// The cryptographic library refuses.
pub fn mint_authority(name: &str) -> Result<Pair, CertificateError> {
    let action = "make an internal CA";
    let key = KeyPair::generate().map_err(failed(action))?;
    // Whoever trusts an old and a new one must be able to tell them apart by name.
    let unique = fingerprint::short(key.public_key_raw());
    let mut params = long_lived(&format!("{name} {unique}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed(action))?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: Secret::new(key.serialize_pem()),
    })
}

/// Issues a certificate for a unit: it serves under its addresses and shows itself to other units.
///
/// # Errors
///
/// The CA's certificate or key is not what [`mint_authority`] makes.
pub fn issue(
    authority: &str,
    authority_key: &Secret<String>,
    name: &str,
    addresses: &[IpAddr],
) -> Result<Pair, CertificateError> {
    let key =
        KeyPair::from_pem(authority_key.expose()).map_err(failed("read the internal CA's key"))?;
    let issuer = Issuer::from_ca_cert_pem(authority, key)
        .map_err(failed("read the internal CA's certificate"))?;
    let action = "issue a certificate";
    let mut params = long_lived(name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    // A DNS name has no slash.
    let host = name.replace('/', "-");
    params.subject_alt_names = vec![SanType::DnsName(host.try_into().map_err(failed(action))?)];
    params
        .subject_alt_names
        .extend(addresses.iter().copied().map(SanType::IpAddress));
    let key = KeyPair::generate().map_err(failed(action))?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed(action))?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: Secret::new(key.serialize_pem()),
    })
}

fn long_lived(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // The clocks of two machines differ; nothing is served before this charm exists.
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2076, 1, 1);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_authority_issues_is_its_own() {
        let authority = mint_authority("internal CA of kc").unwrap();
        let addresses = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let pair = issue(&authority.certificate, &authority.key, "kc/0", &addresses).unwrap();
        assert!(pair.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(pair.key.expose().contains("PRIVATE KEY"));
        let again = issue(&authority.certificate, &authority.key, "kc/0", &addresses).unwrap();
        assert_ne!(pair.key.expose(), again.key.expose());
        let error = issue("no PEM", &authority.key, "kc/0", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the internal CA's certificate"
        );
    }
}
