//! Why a bundle is not in the store.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;
use crate::entry::Refusal;
use crate::limits::{Limit, Size};
use crate::options::Pace;

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client must publish another URL.
    Url,
    /// The server does not serve the bundle now; it may later, so ask again in a later hook.
    Server,
    /// The content is no bundle. The client must serve another one; it may do so at the same URL,
    /// so asking again now and then is right.
    Content,
    /// This machine: full disk, no permission, no CA store.
    Machine,
}

/// Whether asking the same URL again is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may be better by itself: ask again soon, then less and less often.
    Transient,
    /// Only a change helps: of the URL, of the content behind it, or of our configuration. Ask when
    /// one of the first two is looked for anyway.
    Permanent,
}

/// Which of the four time limits passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Making the connection.
    Connect,
    /// From the request to the response's head.
    FirstByte,
    /// Between two pieces of the body.
    Stall,
    /// The whole download.
    Total,
}

/// Why a request got no response, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkCause {
    /// Nobody listens there.
    Refused,
    /// The host's name has no address.
    Name,
    /// No route to the host or its network.
    Unreachable,
    /// TLS failed; most often the certificate is not trusted.
    Tls,
    /// The connection ended before the response was complete.
    Closed,
    /// The answer is not HTTP, or its head is larger than a client takes.
    NotHttp,
    /// Something else; the source has it.
    Other,
}

impl fmt::Display for NetworkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Name => "its name does not resolve",
            Self::Unreachable => "no route to it",
            Self::Tls => "TLS failed (is its certificate trusted?)",
            Self::Closed => "it closed the connection early",
            Self::NotHttp => "its answer is not usable HTTP",
            Self::Other => "the request failed",
        })
    }
}

/// Why a bundle is not in the store.
///
/// `Display` is one line fit for a status: complete without its sources, and without any credential.
/// What is wrong comes before where, since a status may be cut at its end.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The URL cannot be fetched from at all.
    #[error("cannot use plugin-url: {reason}")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No response, or not all of it.
    #[error("cannot download: {cause} ({authority})")]
    Network {
        /// Host and port that were asked.
        authority: String,
        /// What happened.
        cause: NetworkCause,
        /// The client's own words, without the URL.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A time limit passed.
    #[error("cannot download: {} ({authority})", timeout(*.stage, *.limit))]
    Timeout {
        /// Host and port that were asked.
        authority: String,
        /// Which limit.
        stage: Stage,
        /// Its value.
        limit: Duration,
    },
    /// The body comes in, but so slowly that nobody should wait for it.
    #[error("cannot download: it sends less than {} ({authority})", pace(.slowest))]
    Slow {
        /// Host and port that were asked.
        authority: String,
        /// The limit.
        slowest: Pace,
    },
    /// The server answered, but not with a bundle.
    #[error("cannot download: it answered {code}{} ({authority})", phrase(*.code))]
    Status {
        /// Host and port that answered.
        authority: String,
        /// HTTP status code.
        code: u16,
    },
    /// A redirect that is not followed.
    #[error("cannot download: {reason} ({authority})")]
    Redirect {
        /// Host and port that were asked first.
        authority: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The operator's list of hosts does not have this one.
    #[error("cannot download: the operator allows no plugins from there ({authority})")]
    HostNotAllowed {
        /// Host and port that were to be asked.
        authority: String,
    },
    /// The content is not what the URL's fragment asks for.
    #[error("cannot use the plugin: its SHA-256 is not the one in plugin-url but {digest}")]
    NotPinned {
        /// That of what was served.
        digest: Digest,
    },
    /// The operator's list of digests does not have this one.
    #[error("cannot use the plugin: the operator does not allow its SHA-256, {digest}")]
    NotAllowed {
        /// That of what was served.
        digest: Digest,
    },
    /// 200 with a body of no bytes.
    #[error("cannot use the plugin: the server sent an empty body")]
    EmptyBody,
    /// A web page under the plugin's URL.
    #[error("cannot use the plugin: the server sent an HTML page, not an archive")]
    HtmlPage,
    /// Neither an archive nor anything else we know.
    #[error("cannot use the plugin: it is not a tar, zip or jar archive")]
    NotAnArchive,
    /// The archive ends before its end.
    #[error("cannot unpack the plugin: the archive is truncated")]
    Truncated {
        /// The decoder's own words.
        source: io::Error,
    },
    /// The archive's bytes make no sense.
    #[error("cannot unpack the plugin: the archive is damaged")]
    Damaged {
        /// The decoder's own words.
        source: io::Error,
    },
    /// A limit was reached.
    #[error("cannot unpack the plugin: {0}")]
    TooLarge(Limit),
    /// An entry that must not be unpacked.
    #[error("cannot unpack the plugin: {0}")]
    Refused(Refusal),
    /// A valid archive with entries, but no code among them.
    #[error("cannot use the plugin: there is no jar or class in the archive")]
    NoCode,
    /// The process that unpacks came to no answer. Its content may have brought it there.
    #[error("cannot unpack the plugin: the unpacking process failed: {what}")]
    Unpacker {
        /// How it ended.
        what: String,
    },
    /// This machine could not write what it should.
    #[error("cannot {action} `{}`", path.display())]
    Write {
        /// What was tried, such as "create file".
        action: Cow<'static, str>,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The HTTP client cannot be built: proxy or CA certificates are not usable.
    #[error("cannot set up downloads: {reason}")]
    Client {
        /// Which part.
        reason: &'static str,
        /// The client's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Our own code failed: a bug.
    #[error("cannot unpack the plugin: internal error")]
    Internal {
        /// The task's end.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BundleError {
    /// Whose move it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Url { .. } | Self::HostNotAllowed { .. } => Fault::Url,
            Self::Network { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::EmptyBody
            | Self::HtmlPage => Fault::Server,
            Self::NotAnArchive
            | Self::NotPinned { .. }
            | Self::NotAllowed { .. }
            | Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::TooLarge(_)
            | Self::Refused(_)
            | Self::NoCode
            | Self::Unpacker { .. } => Fault::Content,
            Self::Write { .. } | Self::Client { .. } | Self::Internal { .. } => Fault::Machine,
        }
    }

    /// Whether asking again is of use.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Network { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            // What an application says while it starts or is not ready.
            | Self::EmptyBody
            | Self::HtmlPage
            // Most often a connection that ended without saying so.
            | Self::Truncated { .. }
            | Self::Write { .. }
            | Self::Internal { .. } => Retry::Transient,
            // The plugin may yet be put there (404), the server may come back (5xx); that a URL's
            // password is wrong it does not get over.
            Self::Status { code, .. } => match code {
                404 | 408 | 425 | 429 | 500.. => Retry::Transient,
                _ => Retry::Permanent,
            },
            Self::Url { .. }
            | Self::HostNotAllowed { .. }
            | Self::NotPinned { .. }
            | Self::NotAllowed { .. }
            | Self::Redirect { .. }
            | Self::NotAnArchive
            | Self::Damaged { .. }
            | Self::TooLarge(_)
            | Self::Refused(_)
            | Self::NoCode
            | Self::Unpacker { .. }
            | Self::Client { .. } => Retry::Permanent,
        }
    }

    pub(crate) fn write(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write {
            action: action.into(),
            path,
            source,
        }
    }
}

fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}

fn pace(slowest: &Pace) -> String {
    format!("{} in {}", Size(slowest.bytes), seconds(slowest.within))
}

fn timeout(stage: Stage, limit: Duration) -> String {
    let limit = seconds(limit);
    match stage {
        Stage::Connect => format!("no connection within {limit}"),
        Stage::FirstByte => format!("no answer within {limit}"),
        Stage::Stall => format!("it sent nothing for {limit}"),
        Stage::Total => format!("not complete within {limit}"),
    }
}

/// The words of the codes an operator meets; a bare number says enough for the others.
fn phrase(code: u16) -> &'static str {
    match code {
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        _ => "",
    }
}
