//! A certificate authority for one test.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};

/// A root, and the authority under it that issues.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    intermediate: String,
    root: String,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        connect_gateway::install_tls_provider();
        let root_key = KeyPair::generate().unwrap();
        let root = authority("root");
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let params = authority("issuing");
        let intermediate = params
            .signed_by(&key, &Issuer::new(root, root_key))
            .unwrap()
            .pem();
        Self {
            issuer: Issuer::new(params, key),
            intermediate,
            root: root_pem,
        }
    }

    /// Writes a new certificate for the address with its key, each by rename; its serial number.
    pub(crate) fn issue(&self, address: IpAddr, directory: &Path, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![address.to_string()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let serial = serial(certificate.der());
        let chain = certificate.pem() + &self.intermediate;
        for (ending, text) in [("key", key.serialize_pem()), ("pem", chain)] {
            let path = directory.join(format!("{name}.{ending}"));
            connect_gateway::files::replace(&path, text.as_bytes()).unwrap();
        }
        serial
    }

    /// The root's certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.root
    }

    /// What a client needs to trust it.
    pub(crate) fn client(&self) -> Arc<rustls::ClientConfig> {
        self.client_with(&[&TLS13, &TLS12])
    }

    /// A client that speaks these versions only.
    pub(crate) fn client_with(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap())
            .unwrap();
        let config = rustls::ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        // A resumed session would show the certificate of the first.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }
}

/// The serial number as the gateway tells it.
pub(crate) fn serial(certificate: &CertificateDer<'_>) -> String {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    format!("{:x}", parsed.tbs_certificate.serial)
}
