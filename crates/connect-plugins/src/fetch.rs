//! The pass from a URL to a directory in the store.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::contract::{self, Contract};
use crate::decode::decode;
use crate::digest::Digest;
use crate::download::download;
use crate::error::{BundleError, Stage};
use crate::limits::Limits;
use crate::pipe::{Gauge, PIECES, Piece, Served};
use crate::safe_url::SafeUrl;
use crate::sniff::Format;
use crate::store::{self, BUNDLE, CONTRACT, PATH};
use crate::tree::{self, FILE_MODE, Tree};
use crate::unpack::{self, BARE_JAR, Content, Taken};

/// How to reach servers that are not reached directly. Values are URLs as Juju gives them.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For http URLs.
    pub http: Option<String>,
    /// For https URLs.
    pub https: Option<String>,
    /// Comma-separated hosts, domain suffixes and CIDR ranges that are reached directly.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    /// Proxy URLs may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// A pace of a server. Only the time that is spent waiting for it counts, not our own unpacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// So many bytes at least,
    pub bytes: u64,
    /// in each such stretch of time.
    pub within: Duration,
}

/// How long each part of a download may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Making one connection.
    pub connect: Duration,
    /// From the start to the head of the response, redirects included.
    pub first_byte: Duration,
    /// Without a byte of the body.
    pub stall: Duration,
    /// The slowest body that is worth waiting for.
    pub slowest: Pace,
    /// The whole download, the waiting for our own unpacking included.
    pub total: Duration,
}

impl Default for Timeouts {
    /// The server is another charm's unit or a file server: it answers in a second or not at all.
    /// While we wait a hook stands still, and with it every other client, so that no server that
    /// gives next to nothing may keep us longer than about ten seconds. Total: 1 GiB at 2 MiB/s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            stall: Duration::from_secs(5),
            slowest: Pace {
                bytes: 128 << 10,
                within: Duration::from_secs(8),
            },
            total: Duration::from_mins(10),
        }
    }
}

/// One bundle to fetch.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Where it is.
    pub url: SafeUrl,
    /// The store.
    pub store: PathBuf,
    /// Where it is unpacked first; on the same file system as the store and not inside it.
    pub staging: PathBuf,
    /// What it may cost.
    pub limits: Limits,
    /// Proxies; without them the environment's are *not* used either.
    pub proxies: Option<Proxies>,
    /// PEM bundles to trust beside the machine's.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Patience.
    pub timeouts: Timeouts,
}

impl FetchOptions {
    /// Options with every default.
    #[must_use]
    pub fn new(url: SafeUrl, store: impl Into<PathBuf>, staging: impl Into<PathBuf>) -> Self {
        Self {
            url,
            store: store.into(),
            staging: staging.into(),
            limits: Limits::default(),
            proxies: None,
            extra_ca_pem: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }
}

/// A bundle that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the bytes as served.
    pub digest: Digest,
    /// What it offers.
    pub contract: Contract,
    /// `ETag` of the response, for asking conditionally later.
    pub etag: Option<String>,
    /// `Last-Modified` of the response, likewise.
    pub last_modified: Option<String>,
}

/// What came of a URL that serves something acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The bundle is in the store.
    Stored(Stored),
    /// A valid archive without any entry: the client brings no plugin. Nothing is stored.
    Empty,
}

/// Fetches, checks and unpacks one bundle into the store.
///
/// Needs a tokio runtime with time and IO (a current-thread one will do; the decoding has a
/// blocking thread of its own) and [`crate::install_tls_provider`]. Several may run at once.
///
/// # Guarantees
///
/// The store changes by one rename, after everything is checked and synced. On an error, or when
/// the future is dropped, store and staging are as before (after a drop: as soon as the thread
/// notices). Fetching what the store has is success and changes nothing.
///
/// # Errors
///
/// See [`BundleError`]; [`BundleError::fault`] says whose move it is.
pub async fn fetch(options: FetchOptions) -> Result<Admitted, BundleError> {
    options
        .url
        .check()
        .map_err(|reason| BundleError::Url { reason })?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let place = Place {
        store: options.store.clone(),
        staging: options.staging.clone(),
        limits: options.limits.clone(),
    };
    let pass = tokio::task::spawn_blocking(move || place.take(receiver));
    let total = options.timeouts.total;
    let downloaded = timeout(total, download(&options, sender))
        .await
        .unwrap_or_else(|_| {
            let authority = options.url.authority();
            Err(BundleError::Timeout {
                authority,
                stage: Stage::Total,
                limit: total,
            })
        });
    let taken = pass.await.map_err(|error| BundleError::Internal {
        source: error.into(),
    })?;
    match (downloaded, taken) {
        // The reader only saw the channel close; the download knows why.
        (Err(error), Err(Ended::Lost) | Ok(_)) | (_, Err(Ended::Error(error))) => Err(error),
        (Ok(_), Err(Ended::Lost)) => Err(BundleError::Internal {
            source: "the download ended without its end".into(),
        }),
        (Ok(_), Ok(None)) => Ok(Admitted::Empty),
        (Ok(validators), Ok(Some((digest, contract)))) => Ok(Admitted::Stored(Stored {
            digest,
            contract,
            etag: validators.etag,
            last_modified: validators.last_modified,
        })),
    }
}

/// Why a pass ended without a result.
enum Ended {
    /// The download failed.
    Lost,
    /// The pass failed by itself.
    Error(BundleError),
}

struct Place {
    store: PathBuf,
    staging: PathBuf,
    limits: Limits,
}

impl Place {
    /// The blocking half. `None` is a valid archive without entries.
    fn take(&self, pieces: mpsc::Receiver<Piece>) -> Result<Option<(Digest, Contract)>, Ended> {
        let gauge = Rc::new(Gauge::default());
        let served = Served::new(pieces, Rc::clone(&gauge));
        // An error after the download was lost is only its echo.
        self.pass(served, &gauge).map_err(|error| {
            if gauge.lost.get() {
                Ended::Lost
            } else {
                Ended::Error(error)
            }
        })
    }

    fn pass(
        &self,
        served: Served,
        gauge: &Rc<Gauge>,
    ) -> Result<Option<(Digest, Contract)>, BundleError> {
        for directory in [&self.store, &self.staging] {
            store::make_store_directory(directory)
                .map_err(BundleError::write("create directory", directory))?;
        }
        // Deletes itself with everything below, unless what matters was renamed out of it.
        let work = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(&self.staging)
            .map_err(BundleError::write("create a directory in", &self.staging))?;
        let item = work.path().join("item");
        tree::make_directory(&item)?;
        tree::make_directory(&item.join(PATH))?;
        let location = item.join(PATH).join(BUNDLE);
        let mut tree = Tree::create(&location)?;

        let content = self.unpack(&served, gauge, &work, &mut tree)?;
        let digest = served
            .finish()
            .map_err(|error| unpack::broken(gauge, error))?;
        if content == Content::Nothing {
            return Ok(None);
        }
        let contract = contract::read(&location, tree.files(), tree.bytes(), &self.limits)?;
        write_contract(&item.join(CONTRACT), &contract)?;
        store::sync_everything(&item).map_err(BundleError::write("sync", &item))?;
        let aside = work.path().join("replaced");
        let contract = store::admit(&item, &aside, &self.store, &digest, contract)?;
        Ok(Some((digest, contract)))
    }

    fn unpack(
        &self,
        served: &Served,
        gauge: &Rc<Gauge>,
        work: &TempDir,
        tree: &mut Tree,
    ) -> Result<Content, BundleError> {
        let decoded = decode(served.clone(), gauge, &self.limits)
            .map_err(|error| unpack::broken(gauge, error))?;
        match decoded.format {
            Format::Tar => unpack::unpack_tar(decoded.reader, gauge, &self.limits, tree),
            Format::Zip => self.spool(decoded.reader, gauge, work.path(), tree),
            Format::Html => Err(BundleError::HtmlPage),
            Format::Unknown if decoded.empty => Err(BundleError::EmptyBody),
            // Compressed more often than anybody does.
            Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2 | Format::Unknown => {
                Err(BundleError::NotAnArchive)
            }
        }
    }

    /// A zip is read from its end, so it is written to disk first; the bound is that of the
    /// download. Reading it to its end is also what completes the digest.
    fn spool(
        &self,
        mut reader: impl io::Read,
        gauge: &Gauge,
        work: &Path,
        tree: &mut Tree,
    ) -> Result<Content, BundleError> {
        let path = work.join("spool");
        let failed = |action| BundleError::write(action, &path);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed("create file"))?;
        let bytes = io::copy(&mut reader, &mut file).map_err(|error| {
            // A full disk comes back from here too.
            match error.raw_os_error() {
                Some(_) => failed("write file")(error),
                None => unpack::broken(gauge, error),
            }
        })?;
        let again = file.try_clone().map_err(failed("read file"))?;
        match unpack::unpack_zip(again, bytes, &self.limits, tree)? {
            Taken::Unpacked(content) => Ok(content),
            Taken::Jar if bytes > self.limits.file => Err(BundleError::TooLarge(
                crate::limits::Limit::File(self.limits.file),
            )),
            Taken::Jar => {
                rustix::fs::fchmod(&file, rustix::fs::Mode::from(FILE_MODE))
                    .map_err(|error| failed("set the mode of")(error.into()))?;
                tree.adopt(&path, BARE_JAR, bytes)?;
                Ok(Content::Entries)
            }
        }
    }
}

fn write_contract(path: &Path, contract: &Contract) -> Result<(), BundleError> {
    let failed = |action| BundleError::write(action, path);
    let mut text = serde_json::to_vec_pretty(contract)
        .map_err(|error| failed("write file")(io::Error::other(error)))?;
    text.push(b'\n');
    fs::write(path, text).map_err(failed("write file"))?;
    let file = File::open(path).map_err(failed("open file"))?;
    rustix::fs::fchmod(&file, rustix::fs::Mode::from(FILE_MODE))
        .map_err(|error| failed("set the mode of")(error.into()))
}
