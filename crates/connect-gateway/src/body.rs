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
    let now = Instant::now();
    Either::Right(Stream {
        inner,
        left: most_bytes,
        end: now + limits::BODY_WHOLE_TIMEOUT,
        timer: Box::pin(tokio::time::sleep_until(now + limits::BODY_IDLE_TIMEOUT)),
    })
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
    timer: Pin<Box<Sleep>>,
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
                let next = (Instant::now() + limits::BODY_IDLE_TIMEOUT).min(self.end);
                self.timer.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self
                .timer
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(BodyError::Stalled))),
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
/// # Errors
/// [`BodyError`] if it is larger than `most_bytes`, stalls or breaks.
pub async fn collect(inner: Incoming, most_bytes: usize) -> Result<Bytes, BodyError> {
    let most = most_bytes as u64;
    if inner.size_hint().lower() > most {
        return Err(BodyError::TooLarge(most));
    }
    let Either::Right(mut stream) = stream(inner, most) else {
        return Ok(Bytes::new());
    };
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|error| match error {
            BodyError::TooLarge(_) => BodyError::TooLarge(most),
            other @ (BodyError::Stalled | BodyError::Broken(_)) => other,
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut all = Vec::with_capacity(first.len() + rest.len());
    all.extend_from_slice(&first);
    all.append(&mut rest);
    Ok(all.into())
}
