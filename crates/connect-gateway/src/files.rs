//! Reading the files the charm writes, and noticing that they were replaced.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use connect_core::gateway::{Protocol, Settings, Users};
use sha2::{Digest, Sha256};

use crate::internal::Internals;
use crate::limits;
use crate::users::{UserTable, UsersError};

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Missing, unreadable or too large.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not the JSON that the contract asks for. The parser's text may quote the file, so only the
    /// place is told.
    #[error("cannot parse {} at line {line}, column {column}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, from 1; 0 if the file as a whole is meant.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A user that cannot be served.
    #[error("cannot use {}", path.display())]
    Users {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: UsersError,
    },
    /// A setting that cannot be served.
    #[error("cannot use `{field}` of {}", path.display())]
    Setting {
        /// Which file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
    },
}

/// What changes when a file is replaced or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file; `None` if there is none or it cannot be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::new(&metadata))
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads the settings; the second value is the fingerprint of the file's bytes.
///
/// # Errors
/// [`FileError`], for the caller to keep what it has.
pub fn read_settings(path: &Path) -> Result<(Settings, String), FileError> {
    let bytes = read(path)?;
    let settings: Settings = parse(path, &bytes)?;
    let bad = |field| FileError::Setting {
        path: path.to_owned(),
        field,
    };
    if settings.client_door.listen.is_empty() {
        return Err(bad("client_door.listen"));
    }
    if settings
        .peer_door
        .as_ref()
        .is_some_and(|door| door.listen.is_empty())
    {
        return Err(bad("peer_door.listen"));
    }
    if settings
        .metrics
        .as_ref()
        .is_some_and(|metrics| metrics.listen.is_empty())
    {
        return Err(bad("metrics.listen"));
    }
    if !settings.worker.address.ip().is_loopback() {
        return Err(bad("worker.address"));
    }
    if Internals::new(&settings.worker).is_none() {
        return Err(bad("worker.internal"));
    }
    if settings.client_door.protocol != Protocol::Http && settings.client_door.tls.is_none() {
        return Err(bad("client_door.tls"));
    }
    for (field, file) in [
        ("users_file", &settings.users_file),
        ("state_file", &settings.state_file),
    ] {
        if !Path::new(file).is_absolute() {
            return Err(bad(field));
        }
    }
    Ok((settings, fingerprint(&bytes)))
}

/// Reads the users.
///
/// # Errors
/// [`FileError`], for the caller to keep what it has.
pub fn read_users(path: &Path) -> Result<UserTable, FileError> {
    parse_users(path, &read(path)?)
}

/// Reads the users from the file's bytes; the path is for the error.
///
/// # Errors
/// [`FileError`], for the caller to keep what it has.
pub fn parse_users(path: &Path, bytes: &[u8]) -> Result<UserTable, FileError> {
    let users: Users = parse(path, bytes)?;
    UserTable::new(&users).map_err(|source| FileError::Users {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file beside its target and renames it, so that a reader sees the old or the new one.
///
/// # Errors
/// [`io::Error`] of whichever step failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

/// Lower-case hexadecimal SHA-256.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, FileError> {
    serde_json::from_slice(bytes).map_err(|error| FileError::Parse {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let error = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(error)?;
    let mut bytes = Vec::new();
    file.take(limits::FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(error)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        return Err(error(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}
