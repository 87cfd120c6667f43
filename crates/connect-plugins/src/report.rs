//! What the unpacking process tells the one that started it: one JSON text on its standard output.
//! The reader believes none of it: names are made printable, texts are cut, and the files are looked
//! at anew.

use std::io;

use serde::{Deserialize, Serialize};

use crate::confine::Confinement;
use crate::contract::Contract;
use crate::entry::{Refusal, printable};
use crate::error::BundleError;
use crate::limits::Limit;

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) confinement: Confinement,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Empty,
    Unpacked(Contract),
    Failed(Failure),
}

/// The errors that unpacking can end with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    EmptyBody,
    HtmlPage,
    NotAnArchive,
    Truncated(String),
    Damaged(String),
    TooLarge(Limit),
    Refused(Refusal),
    NoCode,
    Write {
        action: String,
        path: String,
        errno: Option<i32>,
    },
    Other(String),
}

impl From<Result<Option<Contract>, BundleError>> for Outcome {
    fn from(result: Result<Option<Contract>, BundleError>) -> Self {
        match result {
            Ok(None) => Self::Empty,
            Ok(Some(contract)) => Self::Unpacked(contract),
            Err(error) => Self::Failed(error.into()),
        }
    }
}

impl From<BundleError> for Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other errors are those of downloads, which unpacking does not know"
    )]
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::EmptyBody => Self::EmptyBody,
            BundleError::HtmlPage => Self::HtmlPage,
            BundleError::NotAnArchive => Self::NotAnArchive,
            BundleError::Truncated { source } => Self::Truncated(source.to_string()),
            BundleError::Damaged { source } => Self::Damaged(source.to_string()),
            BundleError::TooLarge(limit) => Self::TooLarge(limit),
            BundleError::Refused(refusal) => Self::Refused(refusal),
            BundleError::NoCode => Self::NoCode,
            BundleError::Write {
                action,
                path,
                source,
            } => Self::Write {
                action: action.into_owned(),
                path: path.to_string_lossy().into_owned(),
                errno: source.raw_os_error(),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Failure> for BundleError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::EmptyBody => Self::EmptyBody,
            Failure::HtmlPage => Self::HtmlPage,
            Failure::NotAnArchive => Self::NotAnArchive,
            Failure::Truncated(words) => Self::Truncated {
                source: io::Error::other(short(&words)),
            },
            Failure::Damaged(words) => Self::Damaged {
                source: io::Error::other(short(&words)),
            },
            Failure::TooLarge(limit) => Self::TooLarge(limit),
            Failure::Refused(refusal) => Self::Refused(Refusal {
                name: short(&refusal.name),
                reason: short(&refusal.reason).into(),
            }),
            Failure::NoCode => Self::NoCode,
            Failure::Write {
                action,
                path,
                errno,
            } => Self::Write {
                action: short(&action).into(),
                path: short(&path).into(),
                source: errno.map_or_else(
                    || io::Error::other("no reason given"),
                    io::Error::from_raw_os_error,
                ),
            },
            Failure::Other(words) => Self::Unpacker {
                what: short(&words),
            },
        }
    }
}

fn short(text: &str) -> String {
    printable(text.as_bytes())
}
