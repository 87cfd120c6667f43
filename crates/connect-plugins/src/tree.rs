//! Writes what an archive asks for, and nothing outside its own directory.
//!
//! Every path has been judged by `entry` before; the kernel checks once more (`openat2` beneath the
//! root, no links followed), so a mistake there is an error here, never a write elsewhere.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::error::BundleError;
use crate::limits::{Limit, Limits};

/// Directories: everybody may look in. Files: everybody may read, nobody may run.
pub(crate) const DIRECTORY_MODE: u32 = 0o755;
pub(crate) const FILE_MODE: u32 = 0o644;

/// Why copying an entry ended.
pub(crate) enum CopyError {
    /// The archive could not be read.
    Read(io::Error),
    /// It has fewer bytes than it declares.
    Short,
    /// This pass is over.
    Stop(BundleError),
}

/// The directory of one bundle while it is written.
pub(crate) struct Tree {
    root: OwnedFd,
    /// For messages only.
    path: PathBuf,
    directories: BTreeSet<String>,
    /// Files written, in the order of the archive.
    files: Vec<String>,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Tree {
    /// Opens the root, which exists and is empty.
    pub(crate) fn open(path: &Path) -> Result<Self, BundleError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())
            .map_err(|error| BundleError::write("open directory", path)(error.into()))?;
        Ok(Self {
            root,
            path: path.to_owned(),
            directories: BTreeSet::new(),
            files: Vec::new(),
            bytes: 0,
            buffer: vec![0; 64 << 10],
        })
    }

    /// The files written so far.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty()
    }

    /// Makes a directory and those above it, where they are missing.
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), BundleError> {
        if self.directories.contains(path) {
            return Ok(());
        }
        let (parent, name) = split(path);
        if let Some(parent) = parent {
            self.directory(parent)?;
        }
        let failed = || BundleError::write("create directory", self.path.join(path));
        let parent = self
            .open_directory(parent)
            .map_err(|error| failed()(error))?;
        rustix::fs::mkdirat(&parent, name, Mode::from(DIRECTORY_MODE))
            .and_then(|()| self.open_at(path, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()))
            .and_then(|made| rustix::fs::fchmod(&made, Mode::from(DIRECTORY_MODE)))
            .map_err(|error| failed()(error.into()))?;
        self.directories.insert(path.to_owned());
        Ok(())
    }

    /// Writes a file of exactly `declared` bytes.
    pub(crate) fn file(
        &mut self,
        path: &str,
        content: &mut dyn Read,
        declared: u64,
        limits: &Limits,
    ) -> Result<(), CopyError> {
        if let (Some(parent), _) = split(path) {
            self.directory(parent).map_err(CopyError::Stop)?;
        }
        let failed = |action| BundleError::write(action, self.path.join(path));
        let mode = Mode::from(FILE_MODE);
        let file = self
            .open_at(path, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, mode)
            .map_err(|error| CopyError::Stop(failed("create file")(error.into())))?;
        // The umask may have taken bits away that the worker's user needs.
        rustix::fs::fchmod(&file, mode)
            .map_err(|error| CopyError::Stop(failed("set the mode of")(error.into())))?;
        let mut file = File::from(file);
        let mut written = 0_u64;
        loop {
            let count = content.read(&mut self.buffer).map_err(CopyError::Read)?;
            if count == 0 {
                break;
            }
            written += count as u64;
            self.bytes += count as u64;
            let limit = if written > limits.file {
                Limit::File(limits.file)
            } else if self.bytes > limits.unpacked {
                Limit::Unpacked(limits.unpacked)
            } else {
                file.write_all(&self.buffer[..count])
                    .map_err(|error| CopyError::Stop(failed("write file")(error)))?;
                continue;
            };
            return Err(CopyError::Stop(BundleError::TooLarge(limit)));
        }
        if written != declared {
            return Err(CopyError::Short);
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Counts a file in that was written to the root without us, under a name of its own. It stays
    /// in its directory: Landlock knows moves between directories only from its second version on.
    pub(crate) fn adopt(&mut self, from: &str, name: &str, bytes: u64) -> Result<(), BundleError> {
        rustix::fs::renameat(&self.root, from, &self.root, name)
            .map_err(|error| BundleError::write("move file", from)(error.into()))?;
        self.files.push(name.to_owned());
        self.bytes += bytes;
        Ok(())
    }

    /// Deletes a file that was written to the root without us.
    pub(crate) fn discard(&self, name: &str) -> Result<(), BundleError> {
        rustix::fs::unlinkat(&self.root, name, rustix::fs::AtFlags::empty())
            .map_err(|error| BundleError::write("delete file", name)(error.into()))
    }

    fn open_directory(&self, path: Option<&str>) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        Ok(self.open_at(path.unwrap_or("."), flags, Mode::empty())?)
    }

    fn open_at(&self, path: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let beneath =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, mode, beneath)
    }
}

/// Makes one directory with the mode everybody may look into, whatever the umask.
pub(crate) fn make_directory(path: &Path) -> Result<(), BundleError> {
    rustix::fs::mkdir(path, Mode::from(DIRECTORY_MODE))
        .and_then(|()| rustix::fs::chmod(path, Mode::from(DIRECTORY_MODE)))
        .map_err(|error| BundleError::write("create directory", path)(error.into()))
}

fn split(path: &str) -> (Option<&str>, &str) {
    match path.rsplit_once('/') {
        Some((parent, name)) => (Some(parent), name),
        None => (None, path),
    }
}
