//! TLS configurations, made from the PEM files that the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect_core::gateway::{Certificate, TlsVersion};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use crate::files::fingerprint;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, unreadable or not PEM.
    #[error("cannot read PEM from {}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Not a single certificate in it.
    #[error("cannot find a certificate in {}", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// Certificates or key that do not fit or cannot be used.
    #[error("cannot use the certificate in {}", path.display())]
    Use {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Something other than an X.509 certificate.
    #[error("cannot understand the certificate in {}", path.display())]
    Understand {
        /// Which file.
        path: PathBuf,
    },
}

/// What a door needs to speak TLS.
#[derive(Debug)]
pub struct Pair {
    /// For connections accepted from now on.
    pub server: Arc<ServerConfig>,
    /// The certificate that clients see.
    pub certificate: Certificate,
}

impl Pair {
    /// Reads a certificate with its chain, and the key that belongs to it.
    ///
    /// # Errors
    /// [`TlsError`], for the caller to keep what it has.
    pub fn load(
        certificate_file: &Path,
        key_file: &Path,
        minimum: TlsVersion,
    ) -> Result<Self, TlsError> {
        let chain = certificates(certificate_file)?;
        let certificate = describe(certificate_file, &chain)?;
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|source| TlsError::Pem {
            path: key_file.to_owned(),
            source,
        })?;
        let versions: &[&SupportedProtocolVersion] = match minimum {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let mut server = ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|source| TlsError::Use {
                path: certificate_file.to_owned(),
                source,
            })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            server: Arc::new(server),
            certificate,
        })
    }
}

/// What other units' peer doors are verified with.
pub struct Roots {
    /// For requests to them.
    pub connector: TlsConnector,
    /// SHA-256 of each CA, sorted.
    pub fingerprints: Vec<String>,
}

impl Roots {
    /// Reads one or more CA certificates.
    ///
    /// # Errors
    /// [`TlsError`], for the caller to keep what it has.
    pub fn load(ca_file: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut fingerprints = Vec::new();
        for certificate in certificates(ca_file)? {
            fingerprints.push(fingerprint(&certificate));
            roots.add(certificate).map_err(|source| TlsError::Use {
                path: ca_file.to_owned(),
                source,
            })?;
        }
        fingerprints.sort();
        fingerprints.dedup();
        let mut client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            fingerprints,
        })
    }
}

/// At least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::Pem {
        path: path.to_owned(),
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(error)?
        .collect::<Result<_, _>>()
        .map_err(error)?;
    if found.is_empty() {
        return Err(TlsError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

fn describe(path: &Path, chain: &[CertificateDer<'_>]) -> Result<Certificate, TlsError> {
    let understood = chain.first().and_then(|leaf| {
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        Some(Certificate {
            sha256: fingerprint(leaf),
            serial: format!("{:x}", parsed.tbs_certificate.serial),
            not_after: parsed.validity().not_after.timestamp(),
        })
    });
    understood.ok_or_else(|| TlsError::Understand {
        path: path.to_owned(),
    })
}
