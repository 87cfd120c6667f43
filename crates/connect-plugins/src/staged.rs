//! Looks at what the unpacking process left, believing nothing, and makes it ours.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid};

use crate::entry::{Entry, EntryKind, Ledger, Refusal, printable};
use crate::error::BundleError;
use crate::limits::Limits;
use crate::tree::{DIRECTORY_MODE, FILE_MODE};

/// What a tree holds.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Paths of all files.
    pub(crate) files: Vec<String>,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

/// Takes the tree at `root` over: every directory and file gets our owner and mode, and whatever is
/// neither, or would not have been let in by its name and size, is an error.
///
/// Each directory is taken over before it is listed, so nobody changes what was looked at.
///
/// # Errors
///
/// A refusal or limit; the kernel's answer.
pub(crate) fn take_over(root: &Path, limits: &Limits) -> Result<Staged, BundleError> {
    let mut ledger = Ledger::new(limits);
    let mut staged = Staged::default();
    let mut waiting = vec![String::new()];
    while let Some(path) = waiting.pop() {
        let shown = root.join(&path);
        let directory = open(root, &path)
            .map_err(|error| BundleError::write("open directory", &shown)(error.into()))?;
        own(&directory).map_err(BundleError::write("take over", &shown))?;
        let listed = Dir::read_from(&directory)
            .map_err(|error| BundleError::write("list", &shown)(error.into()))?;
        for entry in listed {
            let entry = entry.map_err(|error| BundleError::write("list", &shown)(error.into()))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut full = path.clone().into_bytes();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend(name);
            if let Some(below) = one(&directory, name, &full, &mut ledger, &mut staged, root)? {
                waiting.push(below);
            }
        }
    }
    staged.files.sort();
    Ok(staged)
}

/// Looks at one entry; a directory is handed back.
fn one(
    directory: &OwnedFd,
    name: &[u8],
    full: &[u8],
    ledger: &mut Ledger<'_>,
    staged: &mut Staged,
    root: &Path,
) -> Result<Option<String>, BundleError> {
    let shown = || -> PathBuf { root.join(printable(full)) };
    let failed = |action| move |error: rustix::io::Errno| (action, io::Error::from(error));
    let wrap =
        |(action, error): (&'static str, io::Error)| BundleError::write(action, shown())(error);
    let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("look at"))
        .map_err(wrap)?;
    let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there may be is refused"
    )]
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if found.st_nlink != 1 => EntryKind::HardLink,
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::SymbolicLink,
        _ => EntryKind::Other,
    };
    ledger.judge(&Entry {
        name: full,
        kind,
        mode: found.st_mode & 0o7777,
        size: if kind == EntryKind::File { size } else { 0 },
    })?;
    let text = String::from_utf8(full.to_owned()).map_err(|_| {
        BundleError::Refused(Refusal {
            name: printable(full),
            reason: "has a name that is not UTF-8".into(),
        })
    })?;
    if kind == EntryKind::Directory {
        return Ok(Some(text));
    }
    if rustix::process::geteuid().is_root() {
        rustix::fs::chownat(
            directory,
            name,
            Some(Uid::ROOT),
            Some(Gid::ROOT),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(failed("take over"))
        .map_err(wrap)?;
    }
    // A plain file in a directory that is ours by now: nobody puts a link in its place.
    rustix::fs::chmodat(directory, name, Mode::from(FILE_MODE), AtFlags::empty())
        .map_err(failed("set the mode of"))
        .map_err(wrap)?;
    staged.files.push(text);
    staged.bytes = staged.bytes.saturating_add(size);
    Ok(None)
}

fn open(root: &Path, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Everything above is ours already.
    rustix::fs::openat(CWD, root.join(path), flags, Mode::empty())
}

fn own(directory: &OwnedFd) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(directory, Some(Uid::ROOT), Some(Gid::ROOT))?;
    }
    Ok(rustix::fs::fchmod(directory, Mode::from(DIRECTORY_MODE))?)
}
