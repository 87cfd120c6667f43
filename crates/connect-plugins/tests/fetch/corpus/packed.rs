//! Each compression: good, in pieces, truncated, corrupt, followed by something else.

use testkit::archive::TarBuilder;
use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{bundle, jar};

use super::{Case, DAMAGED, TRUNCATED, cut, flip, half, noise, refused, stored};

const JARS: [&str; 2] = [
    "acme-connector/acme-1.0.jar",
    "acme-connector/lib/helper.jar",
];

/// Larger than one block of any decoder.
fn big() -> Vec<u8> {
    TarBuilder::new()
        .file("a.jar", jar(&[]))
        .file("b.bin", noise(50_000))
        .finish()
}

fn two(pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let tar = bundle();
    let (one, other) = tar.split_at(tar.len() / 2);
    [pack(one), pack(other)].concat()
}

fn shorter(bytes: Vec<u8>, by: usize) -> Vec<u8> {
    let keep = bytes.len() - by;
    cut(bytes, keep)
}

fn flip_end(bytes: Vec<u8>, before: usize) -> Vec<u8> {
    let at = bytes.len() - before;
    flip(bytes, at)
}

fn xz1(bytes: &[u8]) -> Vec<u8> {
    xz(bytes, 1)
}

pub(crate) fn cases() -> Vec<Case> {
    let good: Vec<Case> = [
        ("tar", bundle()),
        ("tar.gz", gzip(&bundle())),
        ("tar.gz of two members", two(gzip)),
        ("tar.gz inside gzip", gzip(&gzip(&bundle()))),
        ("tar.zst", zstd(&bundle())),
        ("tar.zst of two frames", two(zstd)),
        (
            "tar.zst after a skippable frame",
            [b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(&bundle())].concat(),
        ),
        ("tar.xz", xz(&bundle(), 6)),
        ("tar.xz of two streams", two(xz1)),
        ("tar.bz2", bzip2(&bundle())),
        ("tar.bz2 of two streams", two(bzip2)),
    ]
    .into_iter()
    .map(|(name, body)| stored(name, body, &JARS))
    .collect();
    let bad = [
        ("gzip: half of it", half(gzip(&big())), TRUNCATED),
        ("gzip: no trailer", shorter(gzip(&big()), 8), TRUNCATED),
        ("gzip: a byte short", shorter(gzip(&big()), 1), TRUNCATED),
        ("gzip: noise in the data", flip(gzip(&big()), 1000), DAMAGED),
        ("gzip: checksum", flip_end(gzip(&big()), 8), DAMAGED),
        ("gzip: length", flip_end(gzip(&big()), 4), DAMAGED),
        (
            "gzip: followed by text",
            [gzip(&bundle()), b"and more than any header has".to_vec()].concat(),
            DAMAGED,
        ),
        (
            "gzip: a method nobody knows",
            flip(gzip(&bundle()), 2),
            DAMAGED,
        ),
        (
            "gzip: a header and nothing",
            gzip(&bundle())[..10].to_vec(),
            TRUNCATED,
        ),
        ("zstd: half of it", half(zstd(&big())), TRUNCATED),
        (
            "zstd: noise in the data",
            flip(zstd(&big()), 100_000),
            DAMAGED,
        ),
        (
            "zstd: followed by text",
            [zstd(&bundle()), b"and more than any header has".to_vec()].concat(),
            DAMAGED,
        ),
        (
            "zstd: a skippable frame that is cut",
            b"\x50\x2a\x4d\x18\xff\0\0\0abc".to_vec(),
            TRUNCATED,
        ),
        ("xz: half of it", half(xz1(&big())), TRUNCATED),
        ("xz: a byte short", shorter(xz1(&big()), 1), TRUNCATED),
        ("xz: noise in the data", flip(xz1(&big()), 1000), DAMAGED),
        ("xz: its index", flip_end(xz1(&big()), 14), DAMAGED),
        ("bzip2: half of it", half(bzip2(&big())), TRUNCATED),
        ("bzip2: a byte short", shorter(bzip2(&big()), 1), TRUNCATED),
        (
            "bzip2: noise in the data",
            flip(bzip2(&big()), 1000),
            DAMAGED,
        ),
        (
            "bzip2: followed by text",
            [bzip2(&bundle()), b"and more than any header has".to_vec()].concat(),
            DAMAGED,
        ),
    ];
    good.into_iter()
        .chain(bad.map(|(name, body, why)| refused(name, body, why)))
        .collect()
}
