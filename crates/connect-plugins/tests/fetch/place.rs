//! A store, a staging directory and a server for one test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connect_plugins::{
    Admitted, BundleError, FetchOptions, Pace, SafeUrl, Stored, Timeouts, Unpacker, fetch,
    install_tls_provider,
};
use testkit::{Behaviour, MisbehavingServer};

pub(crate) struct Place {
    pub(crate) server: MisbehavingServer,
    root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(MisbehavingServer::start().unwrap())
    }

    pub(crate) fn with(server: MisbehavingServer) -> Self {
        install_tls_provider();
        Self {
            server,
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.root.path().join("staging")
    }

    pub(crate) fn options(&self, url: &str) -> FetchOptions {
        let url = SafeUrl::parse(url).unwrap();
        let mut options = FetchOptions::new(url, self.store(), self.staging());
        options.unpacker = unpacker();
        // Loopback answers at once; a limit a test waits for is set by that test.
        options.timeouts = Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            slowest: Pace {
                bytes: 1,
                within: Duration::from_secs(5),
            },
            total: Duration::from_secs(15),
        };
        options
    }

    /// Serves once and fetches.
    pub(crate) fn fetch(&self, behaviour: Behaviour) -> Result<Admitted, BundleError> {
        self.server.on("/plugin", behaviour);
        run(self.options(&self.server.url("/plugin")))
    }

    pub(crate) fn fetch_stored(&self, body: Vec<u8>) -> Stored {
        match self.fetch(Behaviour::ok(body)).unwrap() {
            Admitted::Stored(stored) => stored,
            other @ (Admitted::Unchanged(_) | Admitted::Empty) => panic!("not new: {other:?}"),
        }
    }

    /// The store has exactly these digests, and staging nothing.
    #[track_caller]
    pub(crate) fn assert_holds(&self, digests: &[&str]) {
        assert_eq!(
            children(&self.staging()),
            BTreeSet::new(),
            "left in staging"
        );
        let expected: BTreeSet<_> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        let mut held = children(&self.store());
        held.remove(".references");
        assert_eq!(held, expected, "in the store");
        let beside: BTreeSet<_> = ["plugins", "staging"].map(str::to_owned).into();
        assert!(children(self.root.path()).is_subset(&beside), "beside them");
    }
}

/// The test program, since this one is the test runner's.
pub(crate) fn unpacker() -> Unpacker {
    Unpacker {
        program: env!("CARGO_BIN_EXE_fetch-plugin").into(),
        ..Unpacker::default()
    }
}

#[expect(
    clippy::unwrap_in_result,
    reason = "the test ends where there is no runtime"
)]
pub(crate) fn run(options: FetchOptions) -> Result<Admitted, BundleError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(fetch(options))
}

pub(crate) fn children(directory: &Path) -> BTreeSet<String> {
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect(),
        Err(_) => BTreeSet::new(),
    }
}

/// Every file below, with its mode and size, as one line each.
pub(crate) fn listing(directory: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut lines = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let shown = path.strip_prefix(directory).unwrap().display().to_string();
            lines.push(format!("{shown} {:o}", found.permissions().mode()));
            if found.is_dir() {
                waiting.push(path);
            }
        }
    }
    lines.sort();
    lines
}
