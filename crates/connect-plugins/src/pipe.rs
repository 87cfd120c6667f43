//! Between the download (async) and the decoding (a blocking thread): a bounded channel read as a
//! stream of bytes that hashes what passes.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::digest::Digest;
use crate::limits::Limit;

/// Pieces in flight. hyper hands out at most about 400 KiB at once, so this bounds memory.
pub(crate) const PIECES: usize = 8;

/// What the download sends. A channel that closes without `End` means that it failed.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    End,
}

/// What the readers of one pass tell each other. An `io::Error` that travelled through a decoder
/// has lost its type, so whoever stops a pass notes the reason here.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Bytes taken from the download.
    pub(crate) served: Cell<u64>,
    /// The download failed.
    pub(crate) lost: Cell<bool>,
    /// The download was read to its end.
    pub(crate) ended: Cell<bool>,
    /// A reader reached this limit.
    pub(crate) limit: Cell<Option<Limit>>,
}

/// The served bytes. Clones share one position.
#[derive(Clone)]
pub(crate) struct Served(Rc<RefCell<Inner>>);

struct Inner {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    hash: Sha256,
    gauge: Rc<Gauge>,
}

impl Served {
    pub(crate) fn new(pieces: mpsc::Receiver<Piece>, gauge: Rc<Gauge>) -> Self {
        let inner = Inner {
            pieces,
            current: Bytes::new(),
            hash: Sha256::new(),
            gauge,
        };
        Self(Rc::new(RefCell::new(inner)))
    }

    /// Reads what is left, so that the digest covers every byte, and gives the digest.
    pub(crate) fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(Digest::of(&self.0.borrow().hash.clone().finalize()))
    }
}

impl Read for Served {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Read for Inner {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.gauge.ended.get() {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.hash.update(&bytes);
                    self.gauge
                        .served
                        .set(self.gauge.served.get() + bytes.len() as u64);
                    self.current = bytes;
                }
                Some(Piece::End) => self.gauge.ended.set(true),
                None => {
                    self.gauge.lost.set(true);
                    return Err(io::Error::other("the download failed"));
                }
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
