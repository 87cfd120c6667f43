//! The unpacking process: confines itself, unpacks its standard input into its current directory,
//! and says on its standard output what came of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use crate::confine::confine;
use crate::limits::Limits;
use crate::report::Report;
use crate::unpack::unpack;

/// The first of our arguments; the second one is the limits as JSON.
pub(crate) const ASKED: &str = "unpack-plugin-from-standard-input";

/// Does the unpacking, if that is what this process was started for; otherwise returns at once.
///
/// Call it first in the `main` of a program that is to be an [`crate::Unpacker`], while there is one
/// thread.
#[must_use]
pub fn unpack_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != ASKED);
    arguments.next()?;
    Some(match run(arguments.next()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run(limits: Option<OsString>) -> io::Result<()> {
    let limits = limits.and_then(|text| text.into_string().ok());
    let limits: Limits = serde_json::from_str(&limits.unwrap_or_default())?;
    let confinement = confine(limits.compressed.max(limits.unpacked));
    let source = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let outcome = unpack(source, Path::new("."), &limits);
    let report = Report {
        confinement,
        outcome: outcome.into(),
    };
    let text = serde_json::to_vec(&report)?;
    io::stdout().write_all(&text)
}
