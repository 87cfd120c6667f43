//! How much a bundle may ask for: every number with its unit and its reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one bundle may cost this machine. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes served. The largest published connector archives are about 300 MiB.
    pub compressed: u64,
    /// Bytes written to disk, and bytes a decompressor may give.
    pub unpacked: u64,
    /// Files and directories, implied directories included. Connector archives have hundreds;
    /// loose class files may be thousands.
    pub entries: u64,
    /// Unpacked bytes per served byte. Text reaches about 20, jars 1.1.
    pub ratio: u64,
    /// Unpacked bytes before the ratio is asked: a small archive may well be mostly zeros (tar
    /// pads to 10 KiB), and this much is harmless.
    pub ratio_grace: u64,
    /// Bytes of one path inside the bundle, well below what the kernel takes for a whole path.
    pub path: usize,
    /// Components of one path.
    pub depth: usize,
    /// Bytes of one file.
    pub file: u64,
    /// Bytes a decompressor may take for its dictionary. Enough for `zstd -20` and `xz -8`.
    pub decoder_memory: u64,
}

impl Limits {
    /// The defaults, with one size for what is served, for what it unpacks to and for each file.
    #[must_use]
    pub fn with_max_mib(mib: u64) -> Self {
        let bytes = mib.saturating_mul(1 << 20);
        Self {
            compressed: bytes,
            unpacked: bytes,
            file: bytes,
            ..Self::default()
        }
    }

    /// Bytes of headers between two tar entries (long names, extended headers). They are held in
    /// memory; real ones are a few KiB.
    pub(crate) const TAR_HEADERS: u64 = 256 << 10;
    /// Bytes of a zip's central directory. It is held in memory; 64 MiB of jar have about 2 MiB.
    pub(crate) const ZIP_DIRECTORY: u64 = 16 << 20;
    /// Bytes of one ServiceLoader manifest or class file that is read for the contract.
    pub(crate) const CONTRACT_FILE: u64 = 1 << 20;
    /// Classes in a contract. A hundred is a lot.
    pub(crate) const CONTRACT_CLASSES: usize = 10_000;
    /// Warnings in a contract.
    pub(crate) const WARNINGS: usize = 200;
    /// Bytes of class files that are looked at where manifests are missing: a second's work.
    pub(crate) const SCANNED_BYTES: u64 = 256 << 20;
    /// Classes that are remembered meanwhile, each a few hundred bytes of memory.
    pub(crate) const SCANNED_CLASSES: usize = 60_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed: 1 << 30,
            unpacked: 2 << 30,
            entries: 20_000,
            ratio: 200,
            ratio_grace: 32 << 20,
            path: 512,
            depth: 32,
            file: 1 << 30,
            decoder_memory: 40 << 20,
        }
    }
}

/// The limit that a bundle reached, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// [`Limits::compressed`].
    Compressed(u64),
    /// [`Limits::unpacked`].
    Unpacked(u64),
    /// [`Limits::entries`].
    Entries(u64),
    /// [`Limits::ratio`].
    Ratio(u64),
    /// [`Limits::path`].
    Path(usize),
    /// [`Limits::depth`].
    Depth(usize),
    /// [`Limits::file`].
    File(u64),
    /// [`Limits::decoder_memory`].
    DecoderMemory(u64),
    /// Headers of one tar entry.
    TarHeaders(u64),
    /// Central directory of a zip.
    ZipDirectory(u64),
    /// Classes in the manifests.
    Classes(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed(bytes) => write!(f, "the archive is larger than {}", Size(*bytes)),
            Self::Unpacked(bytes) => write!(f, "it unpacks to more than {}", Size(*bytes)),
            Self::Entries(count) => write!(f, "it has more than {count} entries"),
            Self::Ratio(times) => {
                write!(f, "it unpacks to more than {times} times what was served")
            }
            Self::Path(bytes) => write!(f, "a path is longer than {bytes} bytes"),
            Self::Depth(levels) => write!(f, "a path is deeper than {levels} levels"),
            Self::File(bytes) => write!(f, "a file is larger than {}", Size(*bytes)),
            Self::DecoderMemory(bytes) => {
                write!(
                    f,
                    "decompressing it takes more than {} of memory",
                    Size(*bytes)
                )
            }
            Self::TarHeaders(bytes) => {
                write!(
                    f,
                    "the headers of one entry are larger than {}",
                    Size(*bytes)
                )
            }
            Self::ZipDirectory(bytes) => {
                write!(f, "the directory of a zip is larger than {}", Size(*bytes))
            }
            Self::Classes(count) => write!(f, "its manifests name more than {count} classes"),
        }
    }
}

/// Bytes as a person writes them: whole units, without rounding anything away.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}
