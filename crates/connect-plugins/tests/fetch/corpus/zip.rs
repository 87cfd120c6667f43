//! zip and jar.

use testkit::archive::plugin::{SOURCE, jar};
use testkit::archive::{ZipBuilder, ZipEntry};

use super::{Case, DAMAGED, OUTSIDE, TRUNCATED, cut, flip, half, refused, stored, unusable};

fn start() -> ZipBuilder {
    ZipBuilder::new().file("a.jar", jar(&[]))
}

fn with(entry: &ZipEntry) -> Vec<u8> {
    start().entry(entry).finish()
}

fn file(name: &str) -> ZipEntry {
    ZipEntry::file(name, "x")
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(kinds());
    cases.extend(structure());
    cases.extend(harmless());
    cases.extend(jars());
    cases
}

fn names() -> Vec<Case> {
    vec![
        refused(
            "zip: slip",
            with(&file("../../escaped")),
            "entry `../../escaped` leaves the bundle",
        ),
        refused(
            "zip: slip of a directory",
            with(&ZipEntry {
                method: 0,
                ..ZipEntry::file("../escaped/", "")
            }),
            "entry `../escaped/` leaves the bundle",
        ),
        refused(
            "zip: absolute",
            with(&file(OUTSIDE)),
            "entry `/tmp/escaped-plugin` has an absolute path",
        ),
        refused(
            "zip: backslashes out",
            with(&file("..\\..\\escaped")),
            "entry `..\\..\\escaped` has a backslash in its name",
        ),
        refused(
            "zip: a zero byte",
            with(&file("a.txt\0.jar")),
            "entry `a.txt?.jar` has a control character in its name",
        ),
        refused(
            "zip: name that is not UTF-8",
            with(&ZipEntry::file(*b"caf\xe9", "x")),
            "entry `caf\u{fffd}` has a name that is not UTF-8",
        ),
        refused(
            "zip: a name twice",
            with(&file("a.jar")),
            "entry `zip directory` names a file twice",
        ),
        refused(
            "zip: names that differ by case",
            with(&file("A.JAR")),
            "entry `A.JAR` differs from another entry by case alone",
        ),
        refused(
            "zip: a file below a file",
            with(&file("a.jar/x")),
            "entry `a.jar/x` is both a file and a directory",
        ),
        refused(
            "zip: directory with content",
            with(&file("d/")),
            "entry `d/` is a directory with content",
        ),
        refused(
            "zip: another name in an extra field",
            {
                // The Info-ZIP Unicode path: version, checksum of the plain name, name.
                let mut crc = flate2::Crc::new();
                crc.update(b"ok");
                let mut extra = b"\x75\x70\x0f\0\x01".to_vec();
                extra.extend(crc.sum().to_le_bytes());
                extra.extend(b"../escaped");
                with(&ZipEntry {
                    extra,
                    ..file("ok")
                })
            },
            "entry `../escaped` leaves the bundle",
        ),
        stored(
            "zip: another name in the local header is not obeyed",
            with(&ZipEntry {
                local_name: Some(b"../escaped".to_vec()),
                ..file("ok")
            }),
            &["a.jar"],
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let mode = |mode| with(&ZipEntry { mode, ..file("x") });
    vec![
        refused(
            "zip: symbolic link",
            with(&ZipEntry {
                mode: 0o120_777,
                ..ZipEntry::file("l", "/etc/shadow")
            }),
            "entry `l` is a symbolic link",
        ),
        refused(
            "zip: character device",
            mode(0o020_666),
            "entry `x` is a device",
        ),
        refused(
            "zip: block device",
            mode(0o060_666),
            "entry `x` is a device",
        ),
        refused("zip: fifo", mode(0o010_666), "entry `x` is a fifo"),
        refused(
            "zip: socket",
            mode(0o140_666),
            "entry `x` is of an unknown kind",
        ),
        refused(
            "zip: setuid",
            mode(0o104_755),
            "entry `x` is setuid or setgid",
        ),
        refused(
            "zip: setgid",
            mode(0o102_755),
            "entry `x` is setuid or setgid",
        ),
        refused(
            "zip: encrypted",
            with(&ZipEntry {
                flags: 1,
                ..file("e")
            }),
            "entry `e` is encrypted",
        ),
        refused(
            "zip: strongly encrypted",
            with(&ZipEntry {
                flags: 0x41,
                ..file("e")
            }),
            "entry `e` is encrypted",
        ),
        refused(
            "zip: compressed by LZMA",
            with(&ZipEntry {
                method: 14,
                ..file("m")
            }),
            "entry `m` is compressed by an unknown method",
        ),
        refused(
            "zip: a method nobody knows",
            with(&ZipEntry {
                method: 97,
                ..file("m")
            }),
            "entry `m` is compressed by an unknown method",
        ),
    ]
}

fn structure() -> Vec<Case> {
    let good = || start().file("b.jar", jar(&[(SOURCE, "b.B")])).finish();
    let end = |bytes: &[u8]| bytes.len() - 22;
    vec![
        refused(
            "zip: entries that share their content",
            with(&ZipEntry {
                same_as: Some(0),
                ..ZipEntry::file("b.jar", jar(&[]))
            }),
            "entry `zip directory` has overlapping entries",
        ),
        refused(
            "zip: checksum of the content",
            with(&ZipEntry {
                crc: Some(7),
                ..file("c")
            }),
            DAMAGED,
        ),
        refused(
            "zip: content longer than it says",
            with(&ZipEntry {
                size: Some(1),
                ..ZipEntry::file("c", "xyz")
            }),
            DAMAGED,
        ),
        refused(
            "zip: content shorter than it says",
            with(&ZipEntry {
                size: Some(9),
                ..ZipEntry::file("c", "xyz")
            }),
            DAMAGED,
        ),
        refused("zip: half of it", half(good()), TRUNCATED),
        refused(
            "zip: no end record",
            {
                let b = good();
                let at = end(&b);
                cut(b, at)
            },
            TRUNCATED,
        ),
        refused(
            "zip: ends in its end record",
            {
                let b = good();
                let at = end(&b);
                cut(b, at + 10)
            },
            TRUNCATED,
        ),
        refused("zip: noise in the content", flip(good(), 60), DAMAGED),
        refused(
            "zip: noise in the directory",
            {
                let b = good();
                let at = end(&b) - 60;
                flip(b, at)
            },
            DAMAGED,
        ),
        refused(
            "zip: more entries in its end record than in its directory",
            start().finish_with(b"", 3),
            DAMAGED,
        ),
        refused(
            "zip: a directory beyond the end",
            {
                let mut b = good();
                let at = end(&b) + 16;
                b[at..at + 4].fill(0x7f);
                b
            },
            DAMAGED,
        ),
        refused(
            "zip: a second end record in the comment",
            start().finish_with(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x30\0\0\0\0\0\0\0\0\0", 0),
            DAMAGED,
        ),
        refused(
            "zip64: a directory of all the world",
            start().finish_zip64(Some(1 << 40)),
            "the directory of a zip is larger than 16 MiB",
        ),
        unusable(
            "zip: behind a program",
            [b"MZ".to_vec(), vec![0; 600], good()].concat(),
            "it is not a tar, zip or jar archive",
        ),
    ]
}

fn harmless() -> Vec<Case> {
    let acme = || jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]);
    vec![
        stored(
            "zip: a folder with a jar",
            ZipBuilder::new()
                .directory("lib")
                .file("lib/a.jar", acme())
                .finish(),
            &["lib/a.jar"],
        ),
        stored(
            "zip: stored, not deflated",
            ZipBuilder::new()
                .entry(&ZipEntry {
                    method: 0,
                    ..ZipEntry::file("a.jar", acme())
                })
                .finish(),
            &["a.jar"],
        ),
        stored(
            "zip: with a comment",
            start().finish_with(b"made by hand", 0),
            &["a.jar"],
        ),
        stored(
            "zip: written to a pipe",
            ZipBuilder::new()
                .entry(&ZipEntry {
                    descriptor: true,
                    ..ZipEntry::file("a.jar", acme())
                })
                .finish(),
            &["a.jar"],
        ),
        stored(
            "zip64: sizes in the extra field",
            ZipBuilder::new()
                .entry(&ZipEntry {
                    zip64: true,
                    ..ZipEntry::file("a.jar", acme())
                })
                .finish(),
            &["a.jar"],
        ),
        stored(
            "zip64: the end record",
            start().finish_zip64(None),
            &["a.jar"],
        ),
        stored(
            "zip: modes that a packer left out",
            ZipBuilder::new()
                .entry(&ZipEntry {
                    mode: 0,
                    ..ZipEntry::file("a.jar", acme())
                })
                .finish(),
            &["a.jar"],
        ),
    ]
}

fn jars() -> Vec<Case> {
    let good = || jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]);
    vec![
        stored("jar: bare", good(), &["plugin.jar"]),
        stored(
            "jar: bare, without a manifest",
            ZipBuilder::new().file("a/B.class", "\u{0}").finish(),
            &["plugin.jar"],
        ),
        stored(
            "jar: bare, with names that would leave (never unpacked)",
            ZipBuilder::new()
                .file("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
                .file("../escaped", "x")
                .finish(),
            &["plugin.jar"],
        ),
        refused("jar: half of it", half(good()), TRUNCATED),
        refused(
            "jar: noise in its directory",
            {
                let b = good();
                let at = b.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
                flip(b, at)
            },
            DAMAGED,
        ),
    ]
}
