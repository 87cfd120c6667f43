//! Bundles as large as the largest that are published, for measurements: a tar.gz of 2 MiB files.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::{TarBuilder, ZipBuilder, ZipEntry, plugin};
use crate::mutate::Numbers;

const PIECE: usize = 2 << 20;

/// What the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Words and spaces; compresses to about a third.
    Text,
    /// Jars, which are compressed already; compresses to about what it is.
    Jars,
}

/// Writes a bundle of `mib` MiB, with one connector. Another seed gives another content.
///
/// # Errors
///
/// The file cannot be written.
pub fn write(path: &Path, filling: Filling, mib: usize, seed: u64) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    let mut numbers = Numbers::new(seed);
    let connector = plugin::jar(&[(plugin::SOURCE, "com.acme.LargeSourceConnector")]);
    let first = TarBuilder::new().file("large/connector-1.0.jar", connector);
    packed.write_all(&first.unfinished())?;
    let words: Vec<Vec<u8>> = (0..4000).map(|_| word(&mut numbers)).collect();
    for n in 0..mib.div_ceil(2) {
        let (name, content) = match filling {
            Filling::Text => (format!("large/{n}.txt"), text(&mut numbers, &words)),
            Filling::Jars => (format!("large/lib/{n}.jar"), jar(&mut numbers)),
        };
        let entry = TarBuilder::new().file(&name, content).unfinished();
        packed.write_all(&entry)?;
    }
    packed.write_all(&TarBuilder::new().finish())?;
    packed.finish()?.flush()
}

fn letter(numbers: &mut Numbers) -> u8 {
    b"etaoinshrdlucmfwypvbgkjqxz"[numbers.below(26) * numbers.below(26) / 26]
}

fn word(numbers: &mut Numbers) -> Vec<u8> {
    let length = 2 + numbers.below(9);
    (0..length).map(|_| letter(numbers)).collect()
}

/// Some words are frequent, as in any text.
fn text(numbers: &mut Numbers, words: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(PIECE);
    while text.len() < PIECE {
        let index = numbers.below(words.len()) * numbers.below(words.len()) / words.len();
        text.extend(&words[index]);
        text.push(if numbers.below(12) == 0 { b'\n' } else { b' ' });
    }
    text.truncate(PIECE);
    text
}

fn jar(numbers: &mut Numbers) -> Vec<u8> {
    let noise: Vec<u8> = (0..PIECE / 2)
        .flat_map(|_| {
            let number = numbers.below(1 << 16);
            [number.to_le_bytes()[0], number.to_le_bytes()[1]]
        })
        .collect();
    ZipBuilder::new()
        .entry(&ZipEntry {
            method: 0,
            ..ZipEntry::file("data.bin", noise)
        })
        .finish()
}
