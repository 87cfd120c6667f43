//! The two container formats, each turned into judged entries.

mod pass;
mod tar;
mod zip;

use std::error::Error;
use std::io;
use std::path::Path;

pub use self::pass::unpack;
use self::tar::unpack_tar;
pub(crate) use self::zip::open_zip;
use self::zip::{Taken, unpack_zip};
use crate::entry::Stop;
use crate::error::BundleError;
use crate::gauge::Gauge;
use crate::tree::CopyError;

/// What an archive turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// No entry at all.
    Nothing,
    /// Something.
    Entries,
}

/// The jar a bare jar is stored as.
pub(crate) const BARE_JAR: &str = "plugin.jar";

impl From<Stop> for BundleError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => Self::Refused(refusal),
            Stop::Limit(limit) => Self::TooLarge(limit),
        }
    }
}

/// Names what an error of a decoder means: a limit that a reader noted, an archive that ended
/// early, or damage.
pub(crate) fn broken(gauge: &Gauge, source: io::Error) -> BundleError {
    if let Some(limit) = gauge.limit.get() {
        return BundleError::TooLarge(limit);
    }
    if is_end(&source) {
        BundleError::Truncated { source }
    } else {
        BundleError::Damaged { source }
    }
}

/// Whether an error is, or came of, an early end. Decoders wrap what their source said.
fn is_end(error: &(dyn Error + 'static)) -> bool {
    let mut link = Some(error);
    while let Some(at) = link {
        match at.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => return true,
            // What an IO error wraps is not its source.
            Some(io) => link = io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => link = at.source(),
        }
    }
    false
}

/// Names why copying one entry ended.
pub(crate) fn not_copied(gauge: &Gauge, error: CopyError) -> BundleError {
    match error {
        CopyError::Read(source) => broken(gauge, source),
        CopyError::Short => broken(gauge, io::ErrorKind::UnexpectedEof.into()),
        CopyError::Stop(error) => error,
    }
}

/// Whether a file is a jar, by its name.
pub(crate) fn is_jar(path: &str) -> bool {
    has_extension(path, "jar")
}

/// Whether a file is a class, by its name.
pub(crate) fn is_class(path: &str) -> bool {
    has_extension(path, "class")
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
