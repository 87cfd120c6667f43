//! Archives that ask for too much. Each is told which limit it reached.

use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{SOURCE, bundle, jar};
use testkit::archive::{TarBuilder, TarEntry, ZipBuilder, ZipEntry};

use super::{Case, refused};

fn zeros(kib: usize) -> Vec<u8> {
    vec![0; kib << 10]
}

/// A jar and zeros.
fn bomb(kib: usize) -> Vec<u8> {
    TarBuilder::new()
        .file("a.jar", jar(&[]))
        .file("zeros", zeros(kib))
        .finish()
}

/// zstd of zeros without end, by blocks that repeat one byte, in frames with a window of 32 MiB.
fn zstd_zeros(mib: usize) -> Vec<u8> {
    let mut bytes = b"\x28\xb5\x2f\xfd\x00\x78".to_vec();
    // A tar header as a raw block, then 128 KiB a block.
    let head = TarBuilder::new().entry(&TarEntry {
        size: Some((mib as u64) << 20),
        ..TarEntry::file("zeros", "")
    });
    let head = head.unfinished();
    let block = |size: usize, kind: u32, last: u32| {
        let header = u32::try_from(size).unwrap() << 3 | kind << 1 | last;
        header.to_le_bytes()[..3].to_vec()
    };
    bytes.extend(block(head.len(), 0, 0));
    bytes.extend(head);
    for n in 0..mib * 8 {
        bytes.extend(block(128 << 10, 1, u32::from(n + 1 == mib * 8)));
        bytes.push(0);
    }
    bytes
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = bombs();
    cases.extend(counts());
    cases.extend(memory());
    cases
}

fn bombs() -> Vec<Case> {
    let ratio = "it unpacks to more than 50 times what was served";
    let small = |case: Case| case.option("ratio=50").option("ratio-grace=1048576");
    vec![
        small(refused("bomb: gzip", gzip(&bomb(3 << 10)), ratio)),
        small(refused(
            "bomb: gzip in gzip",
            gzip(&gzip(&bomb(3 << 10))),
            ratio,
        )),
        small(refused("bomb: zstd", zstd(&bomb(3 << 10)), ratio)),
        small(refused("bomb: xz", xz(&bomb(3 << 10), 1), ratio)),
        small(refused("bomb: bzip2", bzip2(&bomb(3 << 10)), ratio)),
        small(refused(
            "bomb: zip",
            ZipBuilder::new()
                .file("a.jar", jar(&[]))
                .file("zeros", zeros(3 << 10))
                .finish(),
            ratio,
        )),
        small(refused(
            "bomb: a zip of many",
            (0..30)
                .fold(ZipBuilder::new().file("a.jar", jar(&[])), |zip, n| {
                    zip.file(&n.to_string(), zeros(100))
                })
                .finish(),
            ratio,
        )),
        refused(
            "bomb: gzip with the limits of every day",
            gzip(&gzip(&bomb(48 << 10))),
            "it unpacks to more than 200 times what was served",
        ),
        refused(
            "bomb: zstd with the limits of every day",
            zstd_zeros(48),
            "it unpacks to more than 200 times what was served",
        ),
        refused(
            "bomb: global headers without end",
            gzip(
                &(0..40)
                    .fold(TarBuilder::new(), |tar, _| {
                        tar.pax(b'g', &[("comment", &"y".repeat(100_000))])
                    })
                    .finish(),
            ),
            "it unpacks to more than 2 MiB",
        )
        .option("unpacked=2097152"),
    ]
}

fn counts() -> Vec<Case> {
    let many = |count: u32| {
        (0..count)
            .fold(TarBuilder::new(), |tar, n| {
                tar.file(&format!("{n}.jar"), "")
            })
            .finish()
    };
    vec![
        refused(
            "limit: bytes served",
            TarBuilder::new().file("a.jar", vec![1; 5 << 18]).finish(),
            "the archive is larger than 1 MiB",
        )
        .option("compressed=1048576"),
        refused(
            "limit: bytes unpacked",
            gzip(
                &TarBuilder::new()
                    .file("a", zeros(700))
                    .file("b", zeros(700))
                    .file("c", zeros(700))
                    .finish(),
            ),
            "it unpacks to more than 2 MiB",
        )
        .option("unpacked=2097152"),
        refused(
            "limit: bytes unpacked from a zip",
            ZipBuilder::new()
                .file("a", zeros(700))
                .file("b", zeros(700))
                .file("c", zeros(700))
                .finish(),
            "it unpacks to more than 2 MiB",
        )
        .option("unpacked=2097152"),
        refused(
            "limit: bytes of a file",
            gzip(&TarBuilder::new().file("a", zeros(900)).finish()),
            "a file is larger than 800 KiB",
        )
        .option("file=819200"),
        refused(
            "limit: bytes of a file of a zip",
            ZipBuilder::new().file("a.txt", zeros(900)).finish(),
            "a file is larger than 800 KiB",
        )
        .option("file=819200"),
        refused(
            "limit: bytes of a bare jar",
            ZipBuilder::new()
                .file("META-INF/MANIFEST.MF", "")
                .entry(&ZipEntry {
                    method: 0,
                    ..ZipEntry::file("a", zeros(900))
                })
                .finish(),
            "a file is larger than 800 KiB",
        )
        .option("file=819200"),
        refused("limit: entries", many(40), "it has more than 30 entries").option("entries=30"),
        refused(
            "limit: entries that are only implied",
            TarBuilder::new().file("a/b/c/d/e/f/g/h/i.jar", "").finish(),
            "it has more than 7 entries",
        )
        .option("entries=7"),
        refused(
            "limit: entries of a zip",
            (0..40)
                .fold(ZipBuilder::new(), |zip, n| {
                    zip.file(&format!("{n}.jar"), "")
                })
                .finish(),
            "it has more than 30 entries",
        )
        .option("entries=30"),
        refused(
            "limit: entries of every day",
            gzip(&many(20_001)),
            "it has more than 20000 entries",
        ),
        refused(
            "limit: path",
            TarBuilder::new()
                .long_name(&format!("{}/{}", "p".repeat(150), "q".repeat(150)))
                .file("x", jar(&[]))
                .finish(),
            "a path is longer than 200 bytes",
        )
        .option("path=200"),
        refused(
            "limit: depth",
            TarBuilder::new()
                .file(&format!("{}a.jar", "d/".repeat(40)), jar(&[]))
                .finish(),
            "a path is deeper than 32 levels",
        ),
        refused(
            "limit: classes in a manifest",
            {
                let names: Vec<String> = (0..10_001).map(|n| format!("a.B{n}")).collect();
                let manifest = names.join("\n");
                let jar = ZipBuilder::new()
                    .file(&format!("META-INF/services/{SOURCE}"), manifest)
                    .finish();
                TarBuilder::new().file("a.jar", jar).finish()
            },
            "its manifests name more than 10000 classes",
        ),
    ]
}

fn memory() -> Vec<Case> {
    let header = |kind: u8| {
        TarBuilder::new()
            .entry(&TarEntry {
                kind,
                ..TarEntry::file("././@LongLink", vec![b'a'; 1 << 19])
            })
            .file("x", jar(&[]))
            .finish()
    };
    let headers = "the headers of one entry are larger than 256 KiB";
    vec![
        refused("memory: a long name without end", header(b'L'), headers),
        refused(
            "memory: a long link name without end",
            header(b'K'),
            headers,
        ),
        refused(
            "memory: an extended header without end",
            header(b'x'),
            headers,
        ),
        refused(
            "memory: dictionary of xz",
            xz(&bundle(), 9),
            "decompressing it takes more than 40 MiB of memory",
        ),
        refused(
            "memory: window of zstd",
            b"\x28\xb5\x2f\xfd\x00\x90\x01\0\0\0\0\0\0\0\0\0".to_vec(),
            "decompressing it takes more than 40 MiB of memory",
        ),
        refused(
            "memory: the directory of a zip",
            {
                // Long names, one after the other.
                let name = |n: u32| format!("{n:0>400}");
                (0..42_000)
                    .fold(ZipBuilder::new(), |zip, n| {
                        zip.entry(&ZipEntry {
                            method: 0,
                            ..ZipEntry::file(name(n), "")
                        })
                    })
                    .finish()
            },
            "the directory of a zip is larger than 16 MiB",
        ),
    ]
}
