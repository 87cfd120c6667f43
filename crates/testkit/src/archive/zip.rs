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
    /// The name in the local header where it is not that of the directory.
    pub local_name: Option<Vec<u8>>,
    /// Extra fields of the directory, as they stand there.
    pub extra: Vec<u8>,
    /// Sizes and checksum stand after the content and not in the local header, as in a zip that
    /// was written to a pipe.
    pub descriptor: bool,
    /// The directory gives sizes and place in the 64-bit extra field.
    pub zip64: bool,
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
            local_name: None,
            extra: Vec::new(),
            descriptor: false,
            zip64: false,
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
        let sizes = [
            entry.crc.unwrap_or_else(|| crc.sum()),
            short(packed.len()),
            entry.size.unwrap_or_else(|| short(entry.content.len())),
        ];
        let offset = entry
            .same_as
            .map_or(self.data.len(), |number| self.offsets[number]);
        self.offsets.push(offset);
        if entry.same_as.is_none() {
            let name = entry.local_name.as_ref().unwrap_or(&entry.name);
            let known = if entry.descriptor { [0; 3] } else { sizes };
            self.data.extend(b"PK\x03\x04");
            self.data.extend(common(entry, known, name.len(), 0));
            self.data.extend(name);
            self.data.extend(&packed);
            if entry.descriptor {
                self.data.extend(b"PK\x07\x08");
                self.data
                    .extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            }
        }
        let (mut sizes, mut place, mut extra) = (sizes, short(offset), entry.extra.clone());
        if entry.zip64 {
            extra.extend([1, 0, 24, 0]);
            for number in [sizes[2], sizes[1], place] {
                extra.extend(u64::from(number).to_le_bytes());
            }
            (sizes[1], sizes[2], place) = (u32::MAX, u32::MAX, u32::MAX);
        }
        self.directory.extend(b"PK\x01\x02");
        // Made by Unix, so that the mode counts.
        self.directory.extend([45, 3]);
        self.directory
            .extend(common(entry, sizes, entry.name.len(), extra.len()));
        self.directory.extend([0; 6]);
        self.directory.extend((entry.mode << 16).to_le_bytes());
        self.directory.extend(place.to_le_bytes());
        self.directory.extend(&entry.name);
        self.directory.extend(&extra);
        self
    }

    /// The archive.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finish_with(b"", 0)
    }

    /// The archive with a comment, its end record claiming so many entries more than there are.
    #[must_use]
    pub fn finish_with(self, comment: &[u8], more: u16) -> Vec<u8> {
        let (start, length) = (short(self.data.len()), short(self.directory.len()));
        let count = u16::try_from(self.offsets.len()).expect("test archives are small") + more;
        let mut all = self.data;
        all.extend(self.directory);
        all.extend(b"PK\x05\x06\0\0\0\0");
        all.extend(count.to_le_bytes());
        all.extend(count.to_le_bytes());
        all.extend(length.to_le_bytes());
        all.extend(start.to_le_bytes());
        let comment_length = u16::try_from(comment.len()).expect("test comments are short");
        all.extend(comment_length.to_le_bytes());
        all.extend(comment);
        all
    }

    /// The archive with the 64-bit end record and its locator before the usual one, which says
    /// nothing itself. The record claims `size` bytes of directory, or tells the truth.
    #[must_use]
    pub fn finish_zip64(self, size: Option<u64>) -> Vec<u8> {
        let (start, length) = (self.data.len() as u64, self.directory.len() as u64);
        let count = self.offsets.len() as u64;
        let mut all = self.data;
        all.extend(self.directory);
        let record = all.len() as u64;
        all.extend(b"PK\x06\x06");
        all.extend(44_u64.to_le_bytes());
        all.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [count, count, size.unwrap_or(length), start] {
            all.extend(number.to_le_bytes());
        }
        all.extend(b"PK\x06\x07\0\0\0\0");
        all.extend(record.to_le_bytes());
        all.extend([1, 0, 0, 0]);
        all.extend(b"PK\x05\x06\0\0\0\0");
        all.extend([0xff; 12]);
        all.extend([0, 0]);
        all
    }
}

/// What a local header and a directory entry share.
fn common(entry: &ZipEntry, sizes: [u32; 3], name: usize, extra: usize) -> Vec<u8> {
    let flags = entry.flags | if entry.descriptor { 8 } else { 0 };
    let mut common = Vec::new();
    for number in [45, flags, entry.method, 0, 0x21] {
        common.extend(number.to_le_bytes());
    }
    common.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    for length in [name, extra] {
        let length = u16::try_from(length).expect("test names are short");
        common.extend(length.to_le_bytes());
    }
    common
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
