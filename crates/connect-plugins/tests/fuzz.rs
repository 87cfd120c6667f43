//! Whatever bytes come in, unpacking ends with an answer, inside its directory and its limits.
//!
//! Every target starts from good archives and from nearly good ones and mutates them, on stable Rust
//! and without a special build: for `FUZZ_SECONDS` each (1 by default, so that it runs with the other
//! tests), from `FUZZ_SEED`. `make fuzz` gives it ten minutes a target and a new seed. What makes it
//! panic is written below the target directory and belongs into the corpus as a row of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of it is tests")]

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use connect_plugins::{Limits, unpack};
use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{
    SINK, SOURCE, bundle, class_file, jar, jar_without_manifests, no_plugin,
};
use testkit::archive::{TarBuilder, TarEntry, ZipBuilder, ZipEntry};
use testkit::mutate::{Numbers, mutate};

const UNPACKED: u64 = 2 << 20;

fn limits() -> Limits {
    Limits {
        compressed: UNPACKED,
        unpacked: UNPACKED,
        file: UNPACKED,
        entries: 200,
        ratio_grace: UNPACKED,
        decoder_memory: 4 << 20,
        ..Limits::default()
    }
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Mutates `seeds`, makes an archive of each by `wrap`, and unpacks it.
fn fuzz(target: &str, seeds: &[Vec<u8>], wrap: impl Fn(&[u8]) -> Vec<u8>) {
    let seed = setting("FUZZ_SEED", 1);
    let until = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 1));
    let mut numbers = Numbers::new(seed);
    let memory = Path::new("/dev/shm");
    let top = if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    for seed in seeds {
        judge(&wrap(seed), top.path());
    }
    let mut made = 0_u64;
    // At least as many, however slow the machine.
    while made < 20 || Instant::now() < until {
        let one = &seeds[numbers.below(seeds.len())];
        let other = &seeds[numbers.below(seeds.len())];
        let archive = wrap(&mutate(&mut numbers, one, other));
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&archive, top.path())));
        if judged.is_err() {
            let path = found(target, seed, made);
            fs::write(&path, &archive).unwrap();
            panic!(
                "{target}: seed {seed}, number {made}: kept as {}",
                path.display()
            );
        }
        made += 1;
    }
    println!("{target}: {made} archives from seed {seed}");
}

fn found(target: &str, seed: u64, number: u64) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&directory).unwrap();
    directory.join(format!("{target}-{seed}-{number}"))
}

/// Unpacks, and looks at what is there afterwards, whatever the answer.
fn judge(archive: &[u8], top: &Path) {
    let place = top.join("place");
    fs::create_dir(&place).unwrap();
    let answer = unpack(Cursor::new(archive.to_vec()), &place, &limits());
    let (mut bytes, mut waiting) = (0, vec![place.clone()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            assert!(found.is_dir() || found.is_file(), "{}", path.display());
            if found.is_dir() {
                waiting.push(path);
            } else {
                bytes += found.len();
            }
        }
    }
    // A zip may lie there beside what was unpacked of it.
    assert!(bytes <= 2 * UNPACKED + (1 << 20), "{bytes} bytes");
    if let Ok(Some(contract)) = &answer {
        assert!(contract.files > 0 && contract.bytes <= bytes);
    }
    fs::remove_dir_all(&place).unwrap();
    assert_eq!(fs::read_dir(top).unwrap().count(), 0, "something got out");
}

fn as_it_is(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn tars() -> Vec<Vec<u8>> {
    vec![
        bundle(),
        no_plugin(),
        TarBuilder::new()
            .pax(b'x', &[("path", "long/name.jar"), ("size", "3")])
            .file("a", "abc")
            .long_name("other/name.jar")
            .file("b", jar(&[]))
            .pax(b'g', &[("comment", "x")])
            .entry(&TarEntry::special(b'2', "l", "/etc"))
            .finish(),
    ]
}

#[test]
fn tar() {
    fuzz("tar", &tars(), as_it_is);
}

#[test]
fn tar_in_gzip() {
    let seeds: Vec<_> = tars().iter().map(|tar| gzip(tar)).collect();
    fuzz("gzip", &seeds, as_it_is);
}

#[test]
fn tar_in_zstd() {
    let seeds: Vec<_> = tars().iter().map(|tar| zstd(tar)).collect();
    fuzz("zstd", &seeds, as_it_is);
}

#[test]
fn tar_in_xz() {
    let seeds: Vec<_> = tars().iter().map(|tar| xz(tar, 1)).collect();
    fuzz("xz", &seeds, as_it_is);
}

#[test]
fn tar_in_bzip2() {
    let seeds: Vec<_> = tars().iter().map(|tar| bzip2(tar)).collect();
    fuzz("bzip2", &seeds, as_it_is);
}

#[test]
fn zip() {
    let entry = |name: &str| ZipEntry::file(name, jar(&[(SOURCE, "a.A")]));
    let seeds = [
        ZipBuilder::new()
            .directory("d")
            .file("d/a.jar", jar(&[]))
            .finish(),
        ZipBuilder::new()
            .entry(&ZipEntry {
                zip64: true,
                ..entry("a.jar")
            })
            .entry(&ZipEntry {
                descriptor: true,
                ..entry("b.jar")
            })
            .finish_zip64(None),
        ZipBuilder::new().finish_with(b"PK", 0),
    ];
    fuzz("zip", &seeds, as_it_is);
}

#[test]
fn bare_jar() {
    let seeds = [
        jar(&[(SOURCE, "a.A"), (SINK, "a.B")]),
        jar_without_manifests(&[("a.AConnector", SOURCE, false), ("a.B", "a.C", true)]),
    ];
    fuzz("jar", &seeds, as_it_is);
}

#[test]
fn class_and_manifest_in_a_jar() {
    let seeds = [
        class_file("a.AConnector", SOURCE, false),
        class_file("a.BConnector", "a.AConnector", true),
        b"a.A # one\na.B\n".to_vec(),
    ];
    fuzz("class", &seeds, |bytes| {
        ZipBuilder::new()
            .file("META-INF/MANIFEST.MF", "")
            .file("a/AConnector.class", bytes)
            .file(&format!("META-INF/services/{SINK}"), bytes)
            .finish()
    });
}

/// The first bytes decide what everything else is taken for.
#[test]
fn first_bytes() {
    let seeds: Vec<Vec<u8>> = [
        &b"\x1f\x8b\x08\0"[..],
        b"\x28\xb5\x2f\xfd\x20\0",
        b"\x50\x2a\x4d\x18\x04\0\0\0",
        b"\xfd7zXZ\0\0\x04",
        b"BZh91AY&SY",
        b"PK\x03\x04\x14\0",
        b"PK\x05\x06",
        b"<!doctype html>",
        &[0; 512],
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    fuzz("first-bytes", &seeds, as_it_is);
}
