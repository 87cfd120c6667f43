//! What a server may do with a request. As JSON, each is an object with its name under `do`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

/// A body, or where to read it at each request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// These bytes.
    #[serde(skip)]
    Bytes(Arc<[u8]>),
    /// This text.
    Text(String),
    /// The content of this file; a relative path starts at the script's folder.
    File(PathBuf),
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl<T: Into<Vec<u8>>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into().into())
    }
}

impl Body {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn load(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => std::fs::read(path),
        }
    }
}

/// What to do with a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    tag = "do"
)]
pub enum Behaviour {
    /// 200 with the body and its length.
    Ok {
        /// Served.
        body: Body,
        /// More headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// 200 with an `ETag`, or 304 for who has that already, as a file server does it.
    Tagged {
        /// Served.
        body: Body,
        /// The tag, quotes and all.
        etag: String,
    },
    /// An error page.
    Status {
        /// Status code.
        code: u16,
        /// The page; a small HTML one if left out.
        #[serde(default)]
        body: Option<Body>,
    },
    /// One redirect.
    Redirect {
        /// Status code; 307 is what the integrators of the field answer with.
        #[serde(default = "temporary")]
        code: u16,
        /// `Location`: absolute, or a path.
        to: String,
    },
    /// So many redirects to the same path, and then to another.
    RedirectChain {
        /// Redirects in all.
        times: usize,
        /// Where the last one leads.
        to: String,
    },
    /// Redirects to itself for ever.
    RedirectLoop,
    /// Closes without a word.
    CloseBeforeHead,
    /// Promises the body and closes in the middle.
    CloseMidBody {
        /// Promised.
        body: Body,
        /// Bytes sent.
        after: usize,
    },
    /// Takes the request and says nothing.
    StallBeforeHead,
    /// Sends the head and then nothing.
    StallBeforeBody,
    /// Sends part of the body and then nothing.
    StallMidBody {
        /// Promised.
        body: Body,
        /// Bytes sent.
        after: usize,
    },
    /// Sends the body in small pieces.
    Trickle {
        /// Served.
        body: Body,
        /// Bytes at a time.
        bytes: usize,
        /// Pause between pieces, in milliseconds.
        every_ms: u64,
    },
    /// A length that is not the body's: more is a promise broken, less hides the rest.
    ContentLength {
        /// Sent whole.
        body: Body,
        /// Claimed.
        claim: u64,
    },
    /// Chunked, without a length.
    Chunked {
        /// Served.
        body: Body,
        /// Bytes per chunk.
        size: usize,
    },
    /// Chunked, and cut off between two chunks.
    ChunkedCut {
        /// Promised.
        body: Body,
        /// Bytes sent.
        after: usize,
    },
    /// Chunked, with a chunk size that is no number.
    ChunkedGarbage,
    /// Neither length nor chunks: the end of the connection is the end of the body.
    UntilClose {
        /// Served.
        body: Body,
    },
    /// `Content-Encoding: gzip` that nobody asked for.
    Gzipped {
        /// Served, compressed.
        body: Body,
    },
    /// A prefix, then zeros without end.
    Endless {
        /// The start.
        #[serde(default)]
        body: Body,
    },
    /// 200 with nothing.
    Empty,
    /// 204.
    NoContent,
    /// A first line that is not HTTP.
    Garbage,
    /// Headers without end.
    EndlessHead,
    /// 401 without this user, else the body.
    Basic {
        /// `user:password`, base64.
        credentials: String,
        /// Served.
        body: Body,
    },
    /// One after the other, request by request; the last one stays.
    Sequence {
        /// The steps.
        steps: Vec<Self>,
    },
}

fn temporary() -> u16 {
    307
}

impl Behaviour {
    /// 200 with a body.
    pub fn ok(body: impl Into<Body>) -> Self {
        Self::Ok {
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// An error page.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: None }
    }

    /// One redirect.
    #[must_use]
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Redirect {
            code: temporary(),
            to: to.into(),
        }
    }

    /// What the n-th request (from 0) gets.
    pub(crate) fn nth(&self, n: usize) -> Self {
        let Self::Sequence { steps } = self else {
            return self.clone();
        };
        match steps.get(n.min(steps.len().saturating_sub(1))) {
            Some(step) => step.nth(0),
            None => Self::status(404),
        }
    }
}
