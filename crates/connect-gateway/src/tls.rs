//! TLS of the peer door, made from the PEM files that the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect_core::gateway::PeerDoor;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsConnector;

use crate::files::Stamp;

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
}

/// Both sides of TLS between units, and the stamps of the files they came from.
pub struct PeerTls {
    /// For the peer door.
    pub server: Arc<ServerConfig>,
    /// For requests to other units' peer doors.
    pub connector: TlsConnector,
}

/// The stamps of the three files.
#[must_use]
pub fn stamps(door: &PeerDoor) -> [Option<Stamp>; 3] {
    [&door.certificate_file, &door.key_file, &door.ca_file].map(|file| Stamp::of(Path::new(file)))
}

/// Reads the three files.
///
/// # Errors
/// [`TlsError`], for the caller to keep what it has.
pub fn load(door: &PeerDoor) -> Result<PeerTls, TlsError> {
    let chain_path = Path::new(&door.certificate_file);
    let key_path = Path::new(&door.key_file);
    let ca_path = Path::new(&door.ca_file);
    let chain = certificates(chain_path)?;
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(|source| TlsError::Pem {
        path: key_path.to_owned(),
        source,
    })?;
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Use {
            path: chain_path.to_owned(),
            source,
        })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_path)? {
        roots.add(certificate).map_err(|source| TlsError::Use {
            path: ca_path.to_owned(),
            source,
        })?;
    }
    let mut client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(PeerTls {
        server: Arc::new(server),
        connector: TlsConnector::from(Arc::new(client)),
    })
}

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
