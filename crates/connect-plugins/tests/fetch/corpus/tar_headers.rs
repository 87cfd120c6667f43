//! tar: extended headers, sizes, ends.

use testkit::archive::plugin::{bundle, jar};
use testkit::archive::{TarBuilder, TarEntry};

use super::{Case, DAMAGED, TRUNCATED, cut, flip, refused, sealed, stored};

fn start() -> TarBuilder {
    TarBuilder::new().file("a.jar", jar(&[]))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = extended();
    cases.extend(sizes());
    cases.extend(ends());
    cases.extend(harmless());
    cases
}

fn extended() -> Vec<Case> {
    let pax = |records: &[(&str, &str)]| start().pax(b'x', records).file("ok", "x").finish();
    vec![
        refused(
            "pax: path leaves",
            pax(&[("path", "../escaped")]),
            "entry `../escaped` leaves the bundle",
        ),
        refused(
            "pax: the second of two paths leaves",
            pax(&[("path", "fine"), ("path", "../escaped")]),
            "entry `fine` has the same extended header twice",
        ),
        refused(
            "pax: path with a zero byte",
            pax(&[("path", "ok\0/../../escaped")]),
            "entry `ok?/../../escaped` has a control character in its name",
        ),
        refused(
            "pax: link path",
            start()
                .pax(b'x', &[("linkpath", "/etc/shadow")])
                .entry(&TarEntry::special(b'2', "l", "a.jar"))
                .finish(),
            "entry `l` is a symbolic link",
        ),
        refused(
            "pax: sparse file of version 1",
            pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "s"),
                ("GNU.sparse.realsize", "1099511627776"),
            ]),
            "entry `ok` is a sparse file",
        ),
        refused(
            "pax: sparse file of version 0",
            pax(&[
                ("GNU.sparse.size", "1099511627776"),
                ("GNU.sparse.numblocks", "0"),
            ]),
            "entry `ok` is a sparse file",
        ),
        refused(
            "pax: header for a header",
            start()
                .pax(b'x', &[("path", "y")])
                .pax(b'x', &[("path", "../escaped")])
                .file("a", "x")
                .finish(),
            DAMAGED,
        ),
        refused(
            "pax: header for a header, a plain one between",
            start()
                .pax(b'x', &[("path", "y")])
                .long_name("../escaped")
                .pax(b'x', &[("path", "z")])
                .file("a", "x")
                .finish(),
            DAMAGED,
        ),
        refused(
            "pax: path beside a GNU name that leaves",
            start()
                .long_name("../escaped")
                .pax(b'x', &[("path", "fine")])
                .file("a", "x")
                .finish(),
            "entry `../escaped` leaves the bundle",
        ),
        refused(
            "pax: header and nothing after it",
            start().pax(b'x', &[("path", "y")]).finish(),
            DAMAGED,
        ),
        refused(
            "pax: record shorter than it says",
            start()
                .entry(&TarEntry {
                    kind: b'x',
                    ..TarEntry::file("PaxHeaders/x", "99 path=y\n")
                })
                .file("a", "x")
                .finish(),
            DAMAGED,
        ),
        stored(
            "pax: size hides an entry that leaves",
            start()
                .pax(b'x', &[("size", "1536")])
                .file("ok", "x")
                .file("../escaped", "x")
                .finish(),
            &["a.jar"],
        ),
        refused(
            "pax: size of all the world",
            pax(&[("size", "9223372036854775807")]),
            "a file is larger than 1 GiB",
        ),
        refused(
            "gnu: name leaves",
            start()
                .long_name("/tmp/escaped-plugin")
                .file("ok", "x")
                .finish(),
            "entry `/tmp/escaped-plugin` has an absolute path",
        ),
        refused(
            "gnu: link name",
            start()
                .entry(&TarEntry {
                    kind: b'K',
                    ..TarEntry::file("././@LongLink", "/etc/shadow\0")
                })
                .entry(&TarEntry::special(b'2', "l", "x"))
                .finish(),
            "entry `l` is a symbolic link",
        ),
        refused(
            "gnu: two names for one entry",
            start()
                .long_name("fine")
                .long_name("../escaped")
                .file("a", "x")
                .finish(),
            DAMAGED,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let sized = |size| {
        start()
            .entry(&TarEntry {
                size: Some(size),
                ..TarEntry::file("b", "x")
            })
            .finish()
    };
    let raw_size = |size: &[u8]| {
        let mut one = TarBuilder::new().file("b.jar", "x").finish();
        one[124..136].fill(0);
        one[124..124 + size.len()].copy_from_slice(size);
        sealed(one)
    };
    vec![
        refused("tar: size beyond the end", sized(100_000), TRUNCATED),
        refused(
            "tar: size of 8 GiB in octal",
            sized(0o77_777_777_777),
            "a file is larger than 1 GiB",
        ),
        refused(
            "tar: size of 8 EiB in the GNU way",
            sized(1 << 62),
            "a file is larger than 1 GiB",
        ),
        refused(
            "tar: negative size in the GNU way",
            raw_size(&[0xff; 12]),
            DAMAGED,
        ),
        refused(
            "tar: size that is no number",
            raw_size(b"0000000000z"),
            DAMAGED,
        ),
    ]
}

fn ends() -> Vec<Case> {
    let two = || {
        TarBuilder::new()
            .file("a.jar", vec![1; 512])
            .file("b", vec![1; 512])
            .finish()
    };
    vec![
        refused("tar: no end", start().unfinished(), TRUNCATED),
        refused("tar: ends in a header", cut(bundle(), 700), TRUNCATED),
        refused("tar: ends in content", cut(bundle(), 1200), TRUNCATED),
        refused("tar: a header's checksum", flip(two(), 1024), DAMAGED),
        refused(
            "tar: a header of noise",
            {
                let mut bytes = two();
                bytes[1024..1536].fill(0xa5);
                bytes
            },
            DAMAGED,
        ),
    ]
}

fn harmless() -> Vec<Case> {
    let long = format!("{}/acme.jar", "d".repeat(150));
    let jar = || jar(&[]);
    vec![
        stored(
            "tar: dot prefix",
            TarBuilder::new()
                .directory("./")
                .file("./a.jar", jar())
                .finish(),
            &["a.jar"],
        ),
        stored(
            "tar: directories that are only implied",
            TarBuilder::new().file("x/y/a.jar", jar()).finish(),
            &["x/y/a.jar"],
        ),
        stored(
            "tar: old format without a magic",
            {
                let mut bytes = TarBuilder::new().file("a.jar", jar()).finish();
                bytes[257..265].fill(0);
                sealed(bytes)
            },
            &["a.jar"],
        ),
        stored(
            "pax: long name",
            TarBuilder::new()
                .pax(b'x', &[("path", &long), ("mtime", "1.5")])
                .file("s", jar())
                .finish(),
            &[&long],
        ),
        stored(
            "gnu: long name",
            TarBuilder::new().long_name(&long).file("s", jar()).finish(),
            &[&long],
        ),
        stored(
            "pax: global comment of git archive",
            TarBuilder::new()
                .pax(b'g', &[("comment", "abc")])
                .file("a.jar", jar())
                .finish(),
            &["a.jar"],
        ),
        stored(
            "pax: global path is not obeyed",
            TarBuilder::new()
                .pax(b'g', &[("path", "../escaped"), ("size", "7")])
                .file("a.jar", jar())
                .finish(),
            &["a.jar"],
        ),
        stored(
            "tar: bytes after the end",
            [
                TarBuilder::new().file("a.jar", jar()).finish(),
                vec![7; 3000],
            ]
            .concat(),
            &["a.jar"],
        ),
        stored(
            "tar: an entry after the end is not seen",
            [
                TarBuilder::new().file("a.jar", jar()).finish(),
                TarBuilder::new().file("../escaped", "x").finish(),
            ]
            .concat(),
            &["a.jar"],
        ),
    ]
}
