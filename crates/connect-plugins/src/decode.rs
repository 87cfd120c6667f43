//! Decompression of a recognised stream, with bounded memory, bounded output and a bounded ratio.

use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use crate::gauge::Gauge;
use crate::limits::{Limit, Limits};
use crate::sniff::{Format, PREFIX, sniff};

/// Decompressors one inside the other. Two: a server may gzip a tar.gz once more as its transfer
/// encoding, and the bytes are taken as served.
const LAYERS: usize = 2;

/// The stream below all compression, at its start again, and what it is.
pub(crate) struct Decoded {
    pub(crate) format: Format,
    pub(crate) reader: Box<dyn Read>,
    /// Not a single byte was served.
    pub(crate) empty: bool,
}

/// Recognises `source` and decompresses it until something else appears.
///
/// # Errors
///
/// Those of the source and the decoders; see [`Gauge`] for limits.
pub(crate) fn decode(
    source: impl Read + 'static,
    gauge: &Rc<Gauge>,
    limits: &Limits,
) -> io::Result<Decoded> {
    let mut reader: Box<dyn Read> = Box::new(source);
    let mut layers = 0;
    loop {
        let mut prefix = Vec::with_capacity(PREFIX);
        reader
            .by_ref()
            .take(PREFIX as u64)
            .read_to_end(&mut prefix)?;
        let format = sniff(&prefix);
        let empty = prefix.is_empty() && layers == 0;
        let whole = io::Cursor::new(prefix).chain(reader);
        let plain: Box<dyn Read> = match format {
            _ if layers == LAYERS => {
                return Ok(Decoded {
                    format,
                    reader: Box::new(whole),
                    empty,
                });
            }
            Format::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Format::Bzip2 => Box::new(MultiBzDecoder::new(whole)),
            Format::Xz => {
                let kib = u32::try_from(limits.decoder_memory >> 10).unwrap_or(u32::MAX);
                Box::new(Xz {
                    inner: XzReader::new_mem_limit(whole, true, kib),
                    gauge: Rc::clone(gauge),
                    memory: limits.decoder_memory,
                })
            }
            Format::Zstd => Box::new(Zstd::new(whole, Rc::clone(gauge), limits.decoder_memory)),
            Format::Tar | Format::Zip | Format::Html | Format::Unknown => {
                // A zip needs seeking, so it is only taken as served, which the caller checks.
                let format = if layers > 0 && format == Format::Zip {
                    Format::Unknown
                } else {
                    format
                };
                return Ok(Decoded {
                    format,
                    reader: Box::new(whole),
                    empty,
                });
            }
        };
        reader = Box::new(Counted {
            inner: plain,
            count: 0,
            unpacked: limits.unpacked,
            ratio: limits.ratio,
            grace: limits.ratio_grace,
            gauge: Rc::clone(gauge),
        });
        layers += 1;
    }
}

/// Counts what a decompressor gives.
struct Counted<R> {
    inner: R,
    count: u64,
    unpacked: u64,
    ratio: u64,
    grace: u64,
    gauge: Rc<Gauge>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        let allowed = self.gauge.served.get().saturating_mul(self.ratio);
        let limit = if self.count > self.unpacked {
            Limit::Unpacked(self.unpacked)
        } else if self.count > self.grace && self.count > allowed {
            Limit::Ratio(self.ratio)
        } else {
            return Ok(count);
        };
        Err(stop(&self.gauge, limit))
    }
}

fn stop(gauge: &Gauge, limit: Limit) -> io::Error {
    gauge.limit.set(Some(limit));
    io::Error::other("a limit was reached")
}

/// xz whose memory limit is told apart from damage.
struct Xz<R> {
    inner: R,
    gauge: Rc<Gauge>,
    memory: u64,
}

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::OutOfMemory {
                stop(&self.gauge, Limit::DecoderMemory(self.memory))
            } else {
                error
            }
        })
    }
}

/// All frames of a zstd stream: data, skippable, concatenated; checksums compared.
struct Zstd<R> {
    source: BufReader<R>,
    frame: FrameDecoder,
    open: bool,
    gauge: Rc<Gauge>,
    memory: u64,
}

impl<R: Read> Zstd<R> {
    fn new(source: R, gauge: Rc<Gauge>, memory: u64) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(memory);
        Self {
            source: BufReader::with_capacity(32 << 10, source),
            frame,
            open: false,
            gauge,
            memory,
        }
    }

    /// Opens the next frame; `false` at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.frame.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.source).take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(stop(&self.gauge, Limit::DecoderMemory(self.memory)));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.open {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.open = true;
            }
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                self.frame
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let count = self.frame.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let written = self.frame.get_checksum_from_data();
            if written.is_some() && written != self.frame.get_calculated_checksum() {
                return Err(io::Error::other("zstd checksum mismatch"));
            }
            self.open = false;
        }
    }
}
