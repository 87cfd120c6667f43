//! A tar writer that writes whatever it is told.

/// One header and what follows it.
#[derive(Clone, Debug)]
pub struct TarEntry {
    /// Raw name, cut at 100 bytes.
    pub name: Vec<u8>,
    /// Type flag.
    pub kind: u8,
    /// Mode bits.
    pub mode: u32,
    /// Raw link target, cut at 100 bytes.
    pub link: Vec<u8>,
    /// What follows the header, padded to a block.
    pub content: Vec<u8>,
    /// Size in the header where it is not the content's.
    pub size: Option<u64>,
    /// The `prefix` of ustar, which readers put before the name; cut at 155 bytes.
    pub prefix: Vec<u8>,
}

impl TarEntry {
    /// A plain file.
    pub fn file(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        let (name, content) = (name.into(), content.into());
        Self {
            name,
            kind: b'0',
            mode: 0o644,
            link: Vec::new(),
            content,
            size: None,
            prefix: Vec::new(),
        }
    }

    /// Anything without content.
    pub fn special(kind: u8, name: impl Into<Vec<u8>>, link: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            link: link.into(),
            ..Self::file(name, "")
        }
    }
}

/// Collects entries.
#[derive(Clone, Debug, Default)]
pub struct TarBuilder(Vec<u8>);

impl TarBuilder {
    const BLOCK: usize = 512;

    /// An archive without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A plain file.
    #[must_use]
    pub fn file(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(&TarEntry::file(name, content))
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, name: &str) -> Self {
        self.entry(&TarEntry {
            mode: 0o755,
            ..TarEntry::special(b'5', name, "")
        })
    }

    /// Anything.
    #[must_use]
    pub fn entry(mut self, entry: &TarEntry) -> Self {
        let mut header = [0_u8; Self::BLOCK];
        put(&mut header, 0, 100, &entry.name);
        octal(&mut header, 100, 8, u64::from(entry.mode));
        octal(&mut header, 108, 8, 0);
        octal(&mut header, 116, 8, 0);
        let size = entry.size.unwrap_or(entry.content.len() as u64);
        if size < 1 << 33 {
            octal(&mut header, 124, 12, size);
        } else {
            // The GNU way of a number that eleven octal digits cannot hold.
            header[124] = 0x80;
            put(&mut header, 128, 8, &size.to_be_bytes());
        }
        octal(&mut header, 136, 12, 0);
        header[156] = entry.kind;
        put(&mut header, 157, 100, &entry.link);
        put(&mut header, 257, 8, b"ustar\x0000");
        put(&mut header, 345, 155, &entry.prefix);
        header[148..156].fill(b' ');
        let sum = header.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut header, 148, 8, sum);
        self.0.extend(header);
        self.0.extend(&entry.content);
        self.pad(Self::BLOCK);
        self
    }

    /// An extended header for the next entry (`x`), or for all that follow (`g`).
    #[must_use]
    pub fn pax(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let mut content = String::new();
        for (key, value) in records {
            // The length counts its own digits; records of tests are shorter than 10 million.
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..rest + 8)
                .find(|length| rest + length.to_string().len() == *length)
                .expect("a record is shorter than 10 million bytes");
            content.extend([&length.to_string(), " ", key, "=", value, "\n"]);
        }
        self.entry(&TarEntry {
            kind,
            ..TarEntry::file("PaxHeaders/x", content)
        })
    }

    /// The GNU way of a long name for the next entry.
    #[must_use]
    pub fn long_name(self, name: &str) -> Self {
        let mut content = name.as_bytes().to_vec();
        content.push(0);
        self.entry(&TarEntry {
            kind: b'L',
            ..TarEntry::file("././@LongLink", content)
        })
    }

    /// Raw bytes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The archive with its end blocks, padded to 10 KiB as tar writes it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * Self::BLOCK]);
        self.pad(20 * Self::BLOCK);
        self.0
    }

    /// The archive without its end blocks.
    #[must_use]
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }

    fn pad(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }
}

fn put(header: &mut [u8], at: usize, width: usize, bytes: &[u8]) {
    let count = bytes.len().min(width);
    header[at..at + count].copy_from_slice(&bytes[..count]);
}

fn octal(header: &mut [u8], at: usize, width: usize, value: u64) {
    put(
        header,
        at,
        width,
        format!("{value:0digits$o}\0", digits = width - 1).as_bytes(),
    );
}
