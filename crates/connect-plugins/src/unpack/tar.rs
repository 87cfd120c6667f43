//! tar, read forwards.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use tar::{Archive, EntryType};

use super::{Content, broken, not_copied};
use crate::entry::{Entry, EntryKind, Ledger, Refusal, Verdict, printable};
use crate::error::BundleError;
use crate::gauge::Gauge;
use crate::limits::{Limit, Limits};
use crate::tree::Tree;

/// Unpacks every entry and reads the stream to its end, so that a checksum after the last entry is
/// checked too.
pub(super) fn unpack_tar(
    reader: Box<dyn Read>,
    gauge: &Rc<Gauge>,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<Content, BundleError> {
    let state = Rc::new(Headers {
        left: Cell::new(Some(Limits::TAR_HEADERS)),
        end: Cell::new(false),
    });
    let mut archive = Archive::new(HeaderBudget {
        inner: BufReader::with_capacity(64 << 10, reader),
        headers: Rc::clone(&state),
        gauge: Rc::clone(gauge),
    });
    let mut ledger = Ledger::new(limits);
    let mut entries = archive.entries().map_err(|error| broken(gauge, error))?;
    loop {
        state.left.set(Some(Limits::TAR_HEADERS));
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| {
            if state.end.get() {
                broken(gauge, io::ErrorKind::UnexpectedEof.into())
            } else {
                broken(gauge, error)
            }
        })?;
        state.left.set(None);
        let kind = kind(entry.header().entry_type());
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            // Comments of `git archive`. Nothing in it is obeyed.
            io::copy(
                &mut entry.by_ref().take(Limits::TAR_HEADERS),
                &mut io::sink(),
            )
            .map_err(|error| broken(gauge, error))?;
            continue;
        }
        let name = entry.path_bytes().into_owned();
        let refused = |reason| {
            BundleError::Refused(Refusal {
                name: printable(&name),
                reason: Cow::Borrowed(reason),
            })
        };
        match extended(&mut entry).map_err(|error| broken(gauge, error))? {
            Extended::Plain => {}
            Extended::Sparse => return Err(refused("is a sparse file")),
            Extended::Twice => return Err(refused("has the same extended header twice")),
        }
        // Some packers leave the field blank; ours are the modes on disk anyway.
        let mode = entry.header().mode().unwrap_or(0);
        let size = entry.size();
        let judged = Entry {
            name: &name,
            kind,
            mode,
            size,
        };
        match ledger.judge(&judged)? {
            Verdict::Root => {}
            Verdict::Directory(_) if size > 0 => {
                return Err(refused("is a directory with content"));
            }
            Verdict::Directory(path) => tree.directory(&path)?,
            Verdict::File(path) => tree
                .file(&path, &mut entry, size, limits)
                .map_err(|error| not_copied(gauge, error))?,
        }
    }
    if state.end.get() {
        // The zero block that ends every tar is missing.
        return Err(broken(gauge, io::ErrorKind::UnexpectedEof.into()));
    }
    state.left.set(None);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| broken(gauge, error))?;
    Ok(if tree.is_empty() {
        Content::Nothing
    } else {
        Content::Entries
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else tar has is refused"
)]
fn kind(kind: EntryType) -> EntryKind {
    match kind {
        EntryType::Regular => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::SymbolicLink,
        EntryType::Link => EntryKind::HardLink,
        EntryType::Char | EntryType::Block => EntryKind::Device,
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::GNUSparse => EntryKind::Sparse,
        _ => EntryKind::Other,
    }
}

/// What the extended headers of an entry come to.
enum Extended {
    Plain,
    /// GNU tar can describe a sparse file in them, behind the face of a plain file.
    Sparse,
    /// Of two values some programs take the first and some the last.
    Twice,
}

fn extended<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Extended> {
    let Some(extensions) = entry.pax_extensions()? else {
        return Ok(Extended::Plain);
    };
    let mut keys = BTreeSet::new();
    for extension in extensions {
        let key = extension?.key_bytes();
        if key.starts_with(b"GNU.sparse.") {
            return Ok(Extended::Sparse);
        }
        if !keys.insert(key) {
            return Ok(Extended::Twice);
        }
    }
    Ok(Extended::Plain)
}

struct Headers {
    /// Bytes the headers before the next entry may still take; `None` while content is read.
    left: Cell<Option<u64>>,
    /// The stream ended while a header was wanted.
    end: Cell<bool>,
}

/// Bounds what the tar reader keeps in memory: it collects long names and extended headers whole,
/// whatever size they declare.
struct HeaderBudget<R> {
    inner: R,
    headers: Rc<Headers>,
    gauge: Rc<Gauge>,
}

impl<R: Read> Read for HeaderBudget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.headers.left.get() else {
            return self.inner.read(buffer);
        };
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.headers.end.set(true);
        }
        if let Some(left) = left.checked_sub(count as u64) {
            self.headers.left.set(Some(left));
            return Ok(count);
        }
        self.gauge
            .limit
            .set(Some(Limit::TarHeaders(Limits::TAR_HEADERS)));
        Err(io::Error::other("a limit was reached"))
    }
}
