//! What a fetch is told.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::digest::Digest;
use crate::limits::Limits;
use crate::safe_url::SafeUrl;

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

/// What an operator lets in. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Hosts to fetch from, redirects included: names and addresses, or `.example.com` for all below
    /// it. None: any.
    pub hosts: Option<BTreeSet<String>>,
    /// Contents. None: any.
    pub digests: Option<BTreeSet<Digest>>,
}

impl Allowed {
    /// Whether plugins may come from this host.
    pub(crate) fn host(&self, host: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| {
            hosts.iter().any(|allowed| {
                host.eq_ignore_ascii_case(allowed)
                    || allowed.starts_with('.')
                        && host
                            .to_ascii_lowercase()
                            .ends_with(&allowed.to_ascii_lowercase())
            })
        })
    }

    /// Whether this content is let in.
    pub(crate) fn digest(&self, digest: &Digest) -> bool {
        self.digests
            .as_ref()
            .is_none_or(|digests| digests.contains(digest))
    }
}

/// How many bundles are downloaded and unpacked at the same time, among all fetches that share it.
/// Servers are asked at once: one that does not answer keeps nobody waiting.
#[derive(Clone, Debug)]
pub struct Places(Arc<Semaphore>);

/// Eight, each with a process of some 10 MiB.
impl Default for Places {
    fn default() -> Self {
        Self::new(8)
    }
}

impl Places {
    /// So many at the same time, each with a process that unpacks; at least one.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self(Arc::new(Semaphore::new(number.max(1))))
    }

    /// Waits for a place, which is free again when what it returns is dropped.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.acquire().await.ok()
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
    /// What the operator lets in.
    pub allowed: Allowed,
    /// Who does the unpacking.
    pub unpacker: Unpacker,
    /// Shared with other fetches, clones of these options among them, so that many bundles do not
    /// take all of the machine.
    pub places: Places,
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
            allowed: Allowed::default(),
            unpacker: Unpacker::default(),
            places: Places::default(),
        }
    }
}

/// A bundle in a file of this machine, to be taken into the store.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The file.
    pub path: PathBuf,
    /// The store.
    pub store: PathBuf,
    /// Where it is unpacked first; on the same file system as the store and not inside it.
    pub staging: PathBuf,
    /// What it may cost.
    pub limits: Limits,
    /// Who does the unpacking.
    pub unpacker: Unpacker,
}

/// What both ways into the store have in common.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) store: PathBuf,
    pub(crate) staging: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) unpacker: Unpacker,
    pub(crate) pin: Option<Digest>,
    pub(crate) allowed: Allowed,
}

impl From<&FetchOptions> for Admission {
    fn from(options: &FetchOptions) -> Self {
        Self {
            store: options.store.clone(),
            staging: options.staging.clone(),
            limits: options.limits.clone(),
            unpacker: options.unpacker.clone(),
            pin: options.url.pin().cloned(),
            allowed: options.allowed.clone(),
        }
    }
}

impl From<&FileOptions> for Admission {
    fn from(options: &FileOptions) -> Self {
        Self {
            store: options.store.clone(),
            staging: options.staging.clone(),
            limits: options.limits.clone(),
            unpacker: options.unpacker.clone(),
            pin: None,
            allowed: Allowed::default(),
        }
    }
}

/// The program that unpacks, in a process of its own without any privilege. Its `main` calls
/// [`crate::unpack_if_asked`] before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacker {
    /// The program.
    pub program: PathBuf,
    /// Arguments before ours.
    pub arguments: Vec<OsString>,
    /// User and group it runs as; only root can ask for another than its own.
    pub user: Option<(u32, u32)>,
}

impl Default for Unpacker {
    /// This very program, whatever became of its file since it was started.
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            arguments: Vec::new(),
            user: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Allowed;

    #[test]
    fn hosts_are_allowed_by_name_or_domain() {
        let allowed = Allowed {
            hosts: Some(
                ["repo.example.com", ".Intern.example", "10.0.0.7"]
                    .map(str::to_owned)
                    .into(),
            ),
            digests: None,
        };
        for (host, expect) in [
            ("repo.example.com", true),
            ("REPO.example.com", true),
            ("evil-repo.example.com", false),
            ("a.intern.example", true),
            ("intern.example", false),
            ("evilintern.example", false),
            ("10.0.0.7", true),
            ("10.0.0.70", false),
        ] {
            assert_eq!(allowed.host(host), expect, "{host}");
        }
        assert!(Allowed::default().host("anything"));
    }
}
