//! What a URL served last: the bundle, and how to ask whether it changed.
//!
//! One small file per URL beside the bundles. Losing one costs a download, no more: it says nothing
//! that is not asked of the server again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::safe_url::SafeUrl;
use crate::store;

/// The folder in the store. Hidden, as everything there that is no bundle.
const FOLDER: &str = ".references";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) digest: Digest,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Reference {
    /// What is known of a URL, if its bundle is in the store and the server gave a way to ask.
    pub(crate) fn load(store: &Path, url: &SafeUrl) -> Option<Self> {
        let text = fs::read(path(store, url)).ok()?;
        let known: Self = serde_json::from_slice(&text).ok()?;
        let askable = known.etag.is_some() || known.last_modified.is_some();
        (askable && store::has(store, &known.digest)).then_some(known)
    }

    /// Remembers it, by one rename.
    pub(crate) fn save(&self, store: &Path, url: &SafeUrl) -> io::Result<()> {
        store::make_store_directory(&store.join(FOLDER))?;
        let mut file = tempfile::NamedTempFile::new_in(store.join(FOLDER))?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(path(store, url))?;
        Ok(())
    }

    /// Forgets every URL that served this bundle.
    pub(crate) fn forget(store: &Path, digest: &Digest) -> io::Result<()> {
        let entries = match fs::read_dir(store.join(FOLDER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            let known = fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice::<Self>(&text).ok());
            // What cannot be read helps nobody either.
            if known.is_none_or(|known| known.digest == *digest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// By the hash of the whole URL: it may hold a password, which is not for a file's name.
fn path(store: &Path, url: &SafeUrl) -> PathBuf {
    let hash = Digest::of(&Sha256::digest(url.expose().as_str()));
    store.join(FOLDER).join(format!("{hash}.json"))
}
