//! zip, read by its central directory from a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{Content, is_class, is_jar};
use crate::entry::{Entry, EntryKind, Ledger, Refusal, Verdict, printable};
use crate::error::BundleError;
use crate::limits::{Limit, Limits};
use crate::tree::{CopyError, Tree};

/// How a spooled zip was taken.
pub(super) enum Taken {
    /// It is itself a jar and is to be stored whole.
    Jar,
    /// Its entries are in the tree.
    Unpacked(Content),
}

/// Opens a zip whose directory is small enough to hold in memory.
///
/// # Errors
///
/// A limit, or damage.
pub(crate) fn open_zip(mut file: File, limits: &Limits) -> Result<ZipArchive<File>, BundleError> {
    // The end record is the last thing in a zip, so without it the rest is missing.
    let (count, size) = directory(&mut file).map_err(|source| BundleError::Truncated { source })?;
    if size > Limits::ZIP_DIRECTORY {
        return Err(BundleError::TooLarge(Limit::ZipDirectory(
            Limits::ZIP_DIRECTORY,
        )));
    }
    if count
        > limits
            .entries
            .max(Limits::default().entries)
            .saturating_mul(10)
    {
        return Err(BundleError::TooLarge(Limit::Entries(limits.entries)));
    }
    ZipArchive::new(file).map_err(damaged)
}

/// Takes a zip apart, or says that it is a jar. `spool` is its name in the tree, which goes before
/// anything is unpacked.
pub(super) fn unpack_zip(
    file: File,
    spool: &str,
    served: u64,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<Taken, BundleError> {
    let mut archive = open_zip(file, limits)?;
    if archive.is_empty() {
        return Ok(Taken::Unpacked(Content::Nothing));
    }
    let is_bare_jar = {
        let has = |test: fn(&str) -> bool| {
            archive
                .file_names_raw()
                .any(|name| std::str::from_utf8(name).is_ok_and(test))
        };
        has(|name| name == "META-INF/MANIFEST.MF") || (has(is_class) && !has(is_jar))
    };
    if is_bare_jar {
        return Ok(Taken::Jar);
    }
    tree.discard(spool)?;
    if archive.len() as u64 > limits.entries {
        return Err(BundleError::TooLarge(Limit::Entries(limits.entries)));
    }
    // The reader keeps one entry per name, so the second of two has to be noticed here.
    if archive.has_duplicate_names() {
        let refusal = Refusal {
            name: "zip directory".into(),
            reason: "names a file twice".into(),
        };
        return Err(BundleError::Refused(refusal));
    }
    if archive.has_overlapping_entries().map_err(damaged)? {
        let refusal = Refusal {
            name: "zip directory".into(),
            reason: "has overlapping entries".into(),
        };
        return Err(BundleError::Refused(refusal));
    }
    let mut ledger = Ledger::new(limits);
    let allowed = served.saturating_mul(limits.ratio).max(limits.ratio_grace);
    for index in 0..archive.len() {
        unpack_entry(&mut archive, index, &mut ledger, limits, tree)?;
        if tree.bytes() > allowed {
            return Err(BundleError::TooLarge(Limit::Ratio(limits.ratio)));
        }
    }
    let content = if tree.is_empty() {
        Content::Nothing
    } else {
        Content::Entries
    };
    Ok(Taken::Unpacked(content))
}

fn unpack_entry(
    archive: &mut ZipArchive<File>,
    index: usize,
    ledger: &mut Ledger<'_>,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<(), BundleError> {
    // The Unix mode with all its bits; packers that have none leave zeros.
    // The raw entry first: its metadata can be judged even where its content cannot be read.
    let (name, mode, size, encrypted, known) = {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let known = matches!(
            entry.compression(),
            CompressionMethod::Stored | CompressionMethod::Deflated
        );
        let mode = entry.external_attributes() >> 16;
        (
            entry.name_raw().to_owned(),
            mode,
            entry.size(),
            entry.encrypted(),
            known,
        )
    };
    let refused = |reason| {
        BundleError::Refused(Refusal {
            name: printable(&name),
            reason: Cow::Borrowed(reason),
        })
    };
    let kind = match mode & 0o170_000 {
        _ if name.ends_with(b"/") => EntryKind::Directory,
        0 | 0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::SymbolicLink,
        0o010_000 => EntryKind::Fifo,
        0o020_000 | 0o060_000 => EntryKind::Device,
        _ => EntryKind::Other,
    };
    let judged = Entry {
        name: &name,
        kind,
        mode: mode & 0o7777,
        size,
    };
    match ledger.judge(&judged)? {
        Verdict::Root => Ok(()),
        Verdict::Directory(_) if size > 0 => Err(refused("is a directory with content")),
        Verdict::Directory(path) => tree.directory(&path),
        Verdict::File(_) if encrypted => Err(refused("is encrypted")),
        Verdict::File(_) if !known => Err(refused("is compressed by an unknown method")),
        Verdict::File(path) => {
            let mut entry = archive.by_index(index).map_err(damaged)?;
            // The file is complete, so whatever does not decode is damage, not truncation.
            tree.file(&path, &mut entry, size, limits)
                .map_err(|error| match error {
                    CopyError::Read(source) => BundleError::Damaged { source },
                    CopyError::Short => BundleError::Damaged {
                        source: io::ErrorKind::UnexpectedEof.into(),
                    },
                    CopyError::Stop(error) => error,
                })
        }
    }
}

fn damaged(error: ZipError) -> BundleError {
    BundleError::Damaged {
        source: io::Error::other(error),
    }
}

/// Entries and size of the central directory, as the end record (or its 64-bit form) gives them.
fn directory(file: &mut File) -> io::Result<(u64, u64)> {
    const RECORD: usize = 22;
    const LOCATOR: usize = 20;
    let length = file.seek(SeekFrom::End(0))?;
    // The record may be followed by a comment of 65535 bytes.
    let window = length.min((RECORD + LOCATOR + 0xffff) as u64);
    file.seek(SeekFrom::Start(length - window))?;
    let mut tail = Vec::new();
    file.by_ref().take(window).read_to_end(&mut tail)?;
    file.rewind()?;
    let at = (0..tail.len().saturating_sub(RECORD - 1))
        .rev()
        .find(|at| tail[*at..].starts_with(b"PK\x05\x06"))
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "zip without end record"))?;
    let number = |from: usize, bytes: usize, of: &[u8]| {
        of[from..from + bytes]
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let (count, size) = (number(at + 10, 2, &tail), number(at + 12, 4, &tail));
    let locator = at
        .checked_sub(LOCATOR)
        .filter(|at| tail[*at..].starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        file.seek(SeekFrom::Start(number(locator + 8, 8, &tail)))?;
        let mut record = [0_u8; 56];
        file.read_exact(&mut record)?;
        file.rewind()?;
        return Ok((number(32, 8, &record), number(40, 8, &record)));
    }
    Ok((count, size))
}
