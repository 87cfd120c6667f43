//! Downloads from release mirrors: proxies as Juju gives them, content checked against a digest.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use connect_plugins::Proxies;
use sha2::{Digest as _, Sha512};

use super::fs::{FsError, failed};

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The client could not be set up, such as with a proxy that is no URL.
    #[error("cannot prepare to download {url}")]
    Prepare {
        /// URL.
        url: String,
        /// Reason.
        source: reqwest::Error,
    },
    /// The server did not answer, or stopped half-way.
    #[error("cannot download {url}")]
    Transfer {
        /// URL.
        url: String,
        /// Reason.
        source: reqwest::Error,
    },
    /// It answered something else.
    #[error("cannot download {url}: the server answered {status}")]
    Status {
        /// URL.
        url: String,
        /// Status code.
        status: u16,
    },
    /// Not what was asked for.
    #[error("cannot use what {url} serves: its SHA-512 is {found}")]
    Digest {
        /// URL.
        url: String,
        /// What it is instead.
        found: String,
    },
    /// Larger than anything expected.
    #[error("cannot use what {url} serves: it is larger than {LARGEST} bytes")]
    TooLarge {
        /// URL.
        url: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] FsError),
    /// The runtime could not be started.
    #[error("cannot start a download")]
    Runtime {
        /// Reason.
        source: std::io::Error,
    },
}

/// Time to connect, and longest silence.
const CONNECT: Duration = Duration::from_secs(15);
const STALL: Duration = Duration::from_secs(30);
/// A Kafka release has about 130 MB.
const LARGEST: u64 = 1 << 30;

/// Downloads `url` into the file `to` and checks it against `sha512` (lower-case hex).
///
/// # Errors
///
/// See [`DownloadError`]; the file is then not to be used.
pub fn download(
    url: &str,
    sha512: &str,
    to: &Path,
    proxies: &Proxies,
) -> Result<(), DownloadError> {
    connect_plugins::install_tls_provider();
    runtime()
        .map_err(|source| DownloadError::Runtime { source })?
        .block_on(transfer(url, sha512, to, proxies))
}

/// A runtime for one download or several at once.
///
/// # Errors
///
/// The operating system refuses.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

async fn transfer(
    url: &str,
    sha512: &str,
    to: &Path,
    proxies: &Proxies,
) -> Result<(), DownloadError> {
    let prepare = |source: reqwest::Error| DownloadError::Prepare {
        url: url.to_owned(),
        source: source.without_url(),
    };
    let transfer = |source: reqwest::Error| DownloadError::Transfer {
        url: url.to_owned(),
        source: source.without_url(),
    };
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT)
        .read_timeout(STALL);
    let direct = || {
        proxies
            .no_proxy
            .as_deref()
            .and_then(reqwest::NoProxy::from_string)
    };
    if let Some(proxy) = &proxies.http {
        client = client.proxy(
            reqwest::Proxy::http(proxy)
                .map_err(prepare)?
                .no_proxy(direct()),
        );
    }
    if let Some(proxy) = &proxies.https {
        client = client.proxy(
            reqwest::Proxy::https(proxy)
                .map_err(prepare)?
                .no_proxy(direct()),
        );
    }
    let client = client.build().map_err(prepare)?;
    let mut response = client.get(url).send().await.map_err(transfer)?;
    if !response.status().is_success() {
        return Err(DownloadError::Status {
            url: url.to_owned(),
            status: response.status().as_u16(),
        });
    }
    let mut file = File::create(to).map_err(failed("create", to))?;
    let mut digest = Sha512::new();
    let mut bytes = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(transfer)? {
        bytes += chunk.len() as u64;
        if bytes > LARGEST {
            return Err(DownloadError::TooLarge {
                url: url.to_owned(),
            });
        }
        digest.update(&chunk);
        file.write_all(&chunk).map_err(failed("write", to))?;
    }
    let found = hex(&digest.finalize());
    if found == sha512 {
        Ok(())
    } else {
        Err(DownloadError::Digest {
            url: url.to_owned(),
            found,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
