//! The content-addressed store: directories that appear whole, never change, and go whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use crate::contract::Contract;
use crate::digest::Digest;
use crate::error::BundleError;
use crate::reference::Reference;
use crate::tree::DIRECTORY_MODE;

pub(crate) const CONTRACT: &str = "contract.json";
pub(crate) const PATH: &str = "path";
pub(crate) const BUNDLE: &str = "bundle";

/// The store on disk could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.into();
    move |source| StoreError {
        action,
        path,
        source,
    }
}

/// The directory to put into the worker's `plugin.path` for a bundle: its only child is the plugin
/// location, so all files of the bundle share one class loader.
#[must_use]
pub fn plugin_path_entry(store: &Path, digest: &Digest) -> PathBuf {
    store.join(digest.as_str()).join(PATH)
}

/// Reads the contract recorded beside a bundle.
///
/// # Errors
///
/// No such bundle, or its record is not readable.
pub fn load_contract(store: &Path, digest: &Digest) -> Result<Contract, StoreError> {
    let path = store.join(digest.as_str()).join(CONTRACT);
    let text = fs::read(&path).map_err(failed("read", &path))?;
    serde_json::from_slice(&text).map_err(|error| {
        failed("understand", path)(io::Error::new(io::ErrorKind::InvalidData, error))
    })
}

/// Every complete bundle of a store, by digest. A store that does not exist is empty; what is not a
/// complete bundle is left out, and replaced when its digest is fetched again.
///
/// # Errors
///
/// The store exists but cannot be listed.
pub fn list(store: &Path) -> Result<BTreeMap<Digest, Contract>, StoreError> {
    let mut bundles = BTreeMap::new();
    for name in children(store)? {
        let Some(digest) = name.to_str().and_then(|name| name.parse::<Digest>().ok()) else {
            continue;
        };
        if plugin_path_entry(store, &digest).join(BUNDLE).is_dir()
            && let Ok(contract) = load_contract(store, &digest)
        {
            bundles.insert(digest, contract);
        }
    }
    Ok(bundles)
}

/// Deletes a bundle: out of the store by one rename into `staging`, then file by file. A bundle
/// that is not there is success. A crash in between leaves debris only in `staging`.
///
/// # Errors
///
/// The rename or the deletion failed.
pub fn remove(store: &Path, staging: &Path, digest: &Digest) -> Result<(), StoreError> {
    let from = store.join(digest.as_str());
    Reference::forget(store, digest).map_err(failed("forget", &from))?;
    make_store_directory(staging).map_err(failed("create directory", staging))?;
    let aside = tempfile::Builder::new()
        .prefix("remove-")
        .tempdir_in(staging)
        .map_err(failed("create a directory in", staging))?;
    match fs::rename(&from, aside.path().join("bundle")) {
        Ok(()) => aside.close().map_err(failed("delete", from)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("move aside", from)(error)),
    }
}

/// Moves a bundle to another directory of bundles on the same file system, by one rename: off the
/// plugin path while a worker still has it open, or back. Whichever of the two has it already, the
/// target has it afterwards and the source has not; that neither has it is an error.
///
/// # Errors
///
/// There is no such bundle, or the rename failed.
pub fn move_bundle(
    from: &Path,
    to: &Path,
    staging: &Path,
    digest: &Digest,
) -> Result<(), StoreError> {
    let (source, target) = (from.join(digest.as_str()), to.join(digest.as_str()));
    make_store_directory(to).map_err(failed("create directory", to))?;
    match rustix::fs::renameat_with(CWD, &source, CWD, &target, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Both have the same content, by its name.
        Err(rustix::io::Errno::EXIST) => remove(from, staging, digest),
        Err(rustix::io::Errno::NOENT) if target.is_dir() => Ok(()),
        Err(error) => Err(failed("move", source)(error.into())),
    }
}

/// Deletes everything in the staging directory: what crashed fetches and removals left. Call it
/// while none is running. A directory that does not exist is clean.
///
/// # Errors
///
/// Something could not be deleted.
pub fn sweep_staging(staging: &Path) -> Result<(), StoreError> {
    for name in children(staging)? {
        let path = staging.join(name);
        let directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let deleted = if directory {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        deleted.map_err(failed("delete", path))?;
    }
    Ok(())
}

/// Moves a finished directory into the store. Losing a race to the same content is success, and
/// gives the contract that is there; an incomplete directory in the way is replaced.
pub(crate) fn admit(
    item: &Path,
    aside: &Path,
    store: &Path,
    digest: &Digest,
    contract: Contract,
) -> Result<Contract, BundleError> {
    let target = store.join(digest.as_str());
    // Twice at most: once more after an incomplete directory was moved aside.
    for _ in 0..2 {
        match rustix::fs::renameat_with(CWD, item, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => {
                sync_directory(store).map_err(BundleError::write("sync directory", store))?;
                return Ok(contract);
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(BundleError::write("move bundle to", target)(error.into())),
        }
        if let Some(stored) = list_one(store, digest) {
            return Ok(stored);
        }
        fs::rename(&target, aside).map_err(BundleError::write("replace", &target))?;
    }
    let busy = io::ErrorKind::ResourceBusy.into();
    Err(BundleError::write("move bundle to", target)(busy))
}

/// Whether a complete bundle is there.
pub(crate) fn has(store: &Path, digest: &Digest) -> bool {
    list_one(store, digest).is_some()
}

fn list_one(store: &Path, digest: &Digest) -> Option<Contract> {
    plugin_path_entry(store, digest)
        .join(BUNDLE)
        .is_dir()
        .then_some(())?;
    load_contract(store, digest).ok()
}

/// Writes a bundle to disk, by syncing its whole file system: once instead of once per file, of
/// which there may be thousands.
pub(crate) fn sync_everything(below: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(below)?)?)
}

/// Warnings of connectors that another bundle of the store has in the same version: the worker picks
/// one of the two. Plugins without a version say nothing about sameness.
pub(crate) fn rivals(store: &Path, digest: &Digest, contract: &Contract) -> Vec<String> {
    // A warning less is better than no bundle.
    let others = list(store).unwrap_or_default();
    let mut warnings = Vec::new();
    for class in contract.classes.iter().filter(|it| it.kind.is_connector()) {
        let same = |(other, rival): &(&Digest, &Contract)| {
            *other != digest
                && rival
                    .classes
                    .iter()
                    .any(|it| it.class == class.class && it.version == class.version)
        };
        if let (Some(version), Some((other, _))) = (&class.version, others.iter().find(same)) {
            let other = &other.as_str()[..12];
            let class = &class.class;
            warnings.push(format!(
                "`{class}` {version} is also in bundle {other}, with other content"
            ));
        }
    }
    warnings
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Makes a directory of the store, and those above it, where missing; everybody may look in.
pub(crate) fn make_store_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
}

fn children(directory: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", directory)(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()
        .map_err(failed("list", directory))
}
