//! A private key and what is asked for with it: a certificate of somebody else's.

use connect_core::model::tls::Subject;
use connect_core::secret::Secret;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::exec;
use super::x509::{CertificateError, failed};

/// A key pair, both PEM.
#[derive(Debug)]
pub struct TlsKey {
    /// Private, PKCS #8.
    pub private: Secret<String>,
    /// Public.
    pub public: String,
}

/// X.500 unique identifier: makes a request differ from the one before it, which is how providers
/// tell that a new certificate is wanted.
const UNIQUE_IDENTIFIER: &[u64] = &[2, 5, 4, 45];

/// Makes an RSA key of 2048 bits, the kind that every provider takes.
///
/// # Errors
///
/// `openssl`, which is on every Ubuntu, does not run: our own library makes no RSA keys.
pub fn mint_key() -> Result<TlsKey, CertificateError> {
    let bits = "rsa_keygen_bits:2048";
    let arguments = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", bits];
    let private = exec::run("openssl", &arguments, &[]).map_err(CertificateError::Program)?;
    let pair = KeyPair::from_pem(&private).map_err(failed("read a new key"))?;
    Ok(TlsKey {
        private: Secret::new(private),
        public: pair.public_key_pem(),
    })
}

/// Makes the request for a certificate, PEM.
///
/// # Errors
///
/// The key is none, or a name is not one.
pub fn request(
    key: &Secret<String>,
    subject: &Subject,
    id: &str,
) -> Result<String, CertificateError> {
    let pair = KeyPair::from_pem(key.expose()).map_err(failed("read the private key"))?;
    let action = "make a certificate request";
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject.common_name.as_str());
    name.push(
        DnType::CustomDnType(UNIQUE_IDENTIFIER.to_vec()),
        DnValue::Utf8String(id.to_owned()),
    );
    params.distinguished_name = name;
    for address in &subject.addresses {
        params.subject_alt_names.push(SanType::IpAddress(*address));
    }
    for name in &subject.names {
        let name = name.as_str().try_into().map_err(failed(action))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    let request = params.serialize_request(&pair).map_err(failed(action))?;
    request.pem().map_err(failed(action))
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_core::wire::x509::{Request, public_key_der};

    #[test]
    fn a_request_asks_for_what_it_should_with_the_key_it_was_made_with() {
        let key = mint_key().unwrap();
        assert!(
            key.private
                .expose()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
        let subject = Subject {
            common_name: "10.0.0.1".to_owned(),
            addresses: ["10.0.0.1", "fd00::1"].map(|ip| ip.parse().unwrap()).into(),
            names: ["kc-0", "host.example"].map(str::to_owned).into(),
        };
        let first = request(&key.private, &subject, "1").unwrap();
        let read = Request::parse(&first).unwrap();
        assert!(subject.is_asked_for_by(&read));
        assert_eq!(Some(read.public_key), public_key_der(&key.public));
        // RSA signatures are the same for the same text: only the identifier makes a difference.
        assert_eq!(request(&key.private, &subject, "1").unwrap(), first);
        assert_ne!(request(&key.private, &subject, "2").unwrap(), first);
    }
}
