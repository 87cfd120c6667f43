//! Bodies: whole ones, and streams that may neither stall nor grow without end.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::limits;

/// The body of everything the gateway sends, to clients and to workers.
pub type Body = Either<Full<Bytes>, Stream>;

/// A body held in memory.
#[must_use]
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A body that is passed through as it arrives.
#[must_use]
pub fn stream(inner: Incoming, most_bytes: u64) -> Body {
    Either::Right(Stream::new(inner, most_bytes))
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("cannot take a body of more than {0} bytes")]
    TooLarge(u64),
    /// No byte for too long, or too slow in all.
    #[error("cannot wait any longer for the rest of the body")]
    Stalled,
    /// The connection broke.
    #[error("cannot read the rest of the body")]
    Broken(#[source] hyper::Error),
}

/// A body passing through.
#[derive(Debug)]
pub struct Stream {
    inner: Incoming,
    left: u64,
    end: Instant,
    /// Runs while nothing comes: most bodies are there already.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    fn new(inner: Incoming, most_bytes: u64) -> Self {
        Self {
            inner,
            left: most_bytes,
            end: Instant::now() + limits::BODY_WHOLE_TIMEOUT,
            timer: None,
        }
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                let Some(left) = self.left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(BodyError::TooLarge(self.left))));
                };
                self.left = left;
                self.timer = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let end = self.end;
                let timer = self.timer.get_or_insert_with(|| {
                    let next = Instant::now() + limits::BODY_IDLE_TIMEOUT;
                    Box::pin(tokio::time::sleep_until(next.min(end)))
                });
                let late = timer.as_mut().poll(context);
                late.map(|()| Some(Err(BodyError::Stalled)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a body to its end.
///
/// Of one that is too large the rest is read and dropped, within bounds: most clients read the
/// refusal only after they have sent everything.
///
/// # Errors
/// [`BodyError`] if it is larger than `most_bytes`, stalls or breaks.
pub async fn collect(inner: Incoming, most_bytes: usize) -> Result<Bytes, BodyError> {
    let most = most_bytes as u64;
    if inner.size_hint().lower() > most {
        discard(inner).await;
        return Err(BodyError::TooLarge(most));
    }
    let mut body = Stream::new(inner, u64::MAX);
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > most_bytes {
            drop((first, all));
            discard(body.inner).await;
            return Err(BodyError::TooLarge(most));
        }
        // One piece is the usual case and is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Reads on and drops what comes, for a while.
pub async fn discard(mut inner: Incoming) {
    if inner.size_hint().lower() > limits::DISCARDED_BYTES {
        return;
    }
    let mut left = limits::DISCARDED_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = inner.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or not, nobody wants the rest.
    let _ = tokio::time::timeout(limits::DISCARD_TIMEOUT, reading).await;
}
