//! A zip writer that writes whatever it is told.

use std::io::Read as _;

/// One entry.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// Raw name.
    pub name: Vec<u8>,
    /// What it unpacks to.
    pub content: Vec<u8>,
    /// 0 stores, 8 deflates; any other stores under that number.
    pub method: u16,
    /// Unix mode with its type bits.
    pub mode: u32,
    /// General purpose flags.
    pub flags: u16,
    /// Size in the headers where it is not the content's.
    pub size: Option<u32>,
    /// Checksum in the headers where it is not the content's.
    pub crc: Option<u32>,
    /// Instead of content of its own, this entry points at the one with this number.
    pub same_as: Option<usize>,
}

impl ZipEntry {
    /// A plain deflated file.
    pub fn file(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            method: 8,
            mode: 0o100_644,
            flags: 0,
            size: None,
            crc: None,
            same_as: None,
        }
    }
}

/// Collects entries.
#[derive(Clone, Debug, Default)]
pub struct ZipBuilder {
    data: Vec<u8>,
    directory: Vec<u8>,
    offsets: Vec<usize>,
}

impl ZipBuilder {
    /// An archive without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A plain file.
    #[must_use]
    pub fn file(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(&ZipEntry::file(name, content))
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, name: &str) -> Self {
        let mode = 0o040_755;
        self.entry(&ZipEntry {
            method: 0,
            mode,
            ..ZipEntry::file(format!("{name}/"), "")
        })
    }

    /// Anything.
    #[must_use]
    pub fn entry(mut self, entry: &ZipEntry) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(&entry.content);
        let packed = if entry.method == 8 {
            deflate(&entry.content)
        } else {
            entry.content.clone()
        };
        let size = entry.size.unwrap_or_else(|| short(entry.content.len()));
        let mut common = Vec::new();
        for number in [20, entry.flags, entry.method, 0, 0x21] {
            common.extend(number.to_le_bytes());
        }
        for number in [
            entry.crc.unwrap_or_else(|| crc.sum()),
            short(packed.len()),
            size,
        ] {
            common.extend(number.to_le_bytes());
        }
        let name_length = u16::try_from(entry.name.len()).expect("test names are short");
        common.extend(name_length.to_le_bytes());
        common.extend([0, 0]);

        let offset = entry
            .same_as
            .map_or(self.data.len(), |number| self.offsets[number]);
        self.offsets.push(offset);
        if entry.same_as.is_none() {
            self.data.extend(b"PK\x03\x04");
            self.data.extend(&common);
            self.data.extend(&entry.name);
            self.data.extend(&packed);
        }
        self.directory.extend(b"PK\x01\x02");
        // Made by Unix, so that the mode counts.
        self.directory.extend([20, 3]);
        self.directory.extend(&common);
        self.directory.extend([0; 6]);
        self.directory.extend((entry.mode << 16).to_le_bytes());
        self.directory.extend(short(offset).to_le_bytes());
        self.directory.extend(&entry.name);
        self
    }

    /// The archive.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let (start, length) = (short(self.data.len()), short(self.directory.len()));
        let count = u16::try_from(self.offsets.len()).expect("test archives are small");
        let mut all = self.data;
        all.extend(self.directory);
        all.extend(b"PK\x05\x06\0\0\0\0");
        all.extend(count.to_le_bytes());
        all.extend(count.to_le_bytes());
        all.extend(length.to_le_bytes());
        all.extend(start.to_le_bytes());
        all.extend([0, 0]);
        all
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::DeflateEncoder::new(bytes, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .expect("writing to memory cannot fail");
    packed
}

fn short(length: usize) -> u32 {
    u32::try_from(length).expect("test archives are small")
}
