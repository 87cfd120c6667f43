//! Compression of a whole archive.

use std::io::{Read as _, Write};

const IN_MEMORY: &str = "writing to memory cannot fail";

/// gzip.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .expect(IN_MEMORY);
    packed
}

/// bzip2.
#[must_use]
pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast())
        .read_to_end(&mut packed)
        .expect(IN_MEMORY);
    packed
}

/// zstd.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// xz with the dictionary of a preset, 0 to 9.
#[must_use]
pub fn xz(bytes: &[u8], preset: u32) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(preset);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect(IN_MEMORY);
    writer.write_all(bytes).expect(IN_MEMORY);
    writer.finish().expect(IN_MEMORY)
}
