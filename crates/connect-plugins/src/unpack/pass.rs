//! From a stream of bytes to a directory of files and what they offer: the part that reads what
//! nobody trusts. It runs in the confined process.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use super::{BARE_JAR, Content, Taken, broken, unpack_tar, unpack_zip};
use crate::contract::{self, Contract};
use crate::decode::decode;
use crate::error::BundleError;
use crate::gauge::{Gauge, Served};
use crate::limits::{Limit, Limits};
use crate::sniff::Format;
use crate::tree::Tree;

/// Where a zip lies until it is unpacked. The directory is empty then, so nothing is in its way.
const SPOOL: &str = ".spool";

/// Unpacks what `source` gives into `directory`, which is empty, and reads it to its end. `None` is
/// a valid archive without entries. On an error some of it may be in the directory.
///
/// # Errors
///
/// See [`BundleError`].
pub fn unpack(
    source: impl Read + 'static,
    directory: &Path,
    limits: &Limits,
) -> Result<Option<Contract>, BundleError> {
    let gauge = Rc::new(Gauge::default());
    let served = Served::new(source, Rc::clone(&gauge));
    let mut tree = Tree::open(directory)?;
    let content = entries(&served, &gauge, directory, limits, &mut tree)?;
    // What is behind the archive's end belongs to the digest, so whoever feeds us wants it read.
    io::copy(&mut served.clone(), &mut io::sink()).map_err(|error| broken(&gauge, error))?;
    if content == Content::Nothing {
        return Ok(None);
    }
    contract::read(directory, &mut tree, limits).map(Some)
}

fn entries(
    served: &Served,
    gauge: &Rc<Gauge>,
    directory: &Path,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<Content, BundleError> {
    let decoded = decode(served.clone(), gauge, limits).map_err(|error| broken(gauge, error))?;
    match decoded.format {
        Format::Tar => unpack_tar(decoded.reader, gauge, limits, tree),
        Format::Zip => spool(decoded.reader, gauge, directory, limits, tree),
        Format::Html => Err(BundleError::HtmlPage),
        Format::Unknown if decoded.empty => Err(BundleError::EmptyBody),
        // Compressed more often than anybody does.
        Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2 | Format::Unknown => {
            Err(BundleError::NotAnArchive)
        }
    }
}

/// A zip is read from its end, so it is written to disk first; the bound is that of the download.
fn spool(
    reader: Box<dyn Read>,
    gauge: &Gauge,
    directory: &Path,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<Content, BundleError> {
    let path = directory.join(SPOOL);
    let failed = |action| BundleError::write(action, &path);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(failed("create file"))?;
    let mut reader = BufReader::with_capacity(128 << 10, reader);
    let bytes = io::copy(&mut reader, &mut file).map_err(|error| {
        // A full disk comes back from here too.
        match error.raw_os_error() {
            Some(_) => failed("write file")(error),
            None => broken(gauge, error),
        }
    })?;
    match unpack_zip(file, SPOOL, bytes, limits, tree)? {
        Taken::Unpacked(content) => Ok(content),
        Taken::Jar if bytes > limits.file => Err(BundleError::TooLarge(Limit::File(limits.file))),
        Taken::Jar => {
            tree.adopt(SPOOL, BARE_JAR, bytes)?;
            Ok(Content::Entries)
        }
    }
}
