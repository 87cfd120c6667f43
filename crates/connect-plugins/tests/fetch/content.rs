//! Content that is refused, each with its message and nothing left behind.

use connect_plugins::Fault;
use testkit::Behaviour;
use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{bundle, jar};
use testkit::archive::{TarBuilder, TarEntry, ZipBuilder, ZipEntry};

use crate::place::{Place, run};

#[track_caller]
fn refused(name: &str, body: Vec<u8>, message: &str) {
    let place = Place::new();
    let error = place.fetch(Behaviour::ok(body)).expect_err(name);
    assert_eq!(error.to_string(), message, "{name}");
    assert_eq!(error.fault(), Fault::Content, "{name}");
    place.assert_holds(&[]);
}

#[test]
fn hostile_tar_entries_are_refused() {
    let tar = |entry: &TarEntry| TarBuilder::new().file("a.jar", jar(&[])).entry(entry);
    for (name, archive, fault) in [
        (
            "absolute",
            tar(&TarEntry::file("/etc/cron.d/x", "x")),
            "entry `/etc/cron.d/x` has an absolute path",
        ),
        (
            "dot dot",
            tar(&TarEntry::file("../../x", "x")),
            "entry `../../x` leaves the bundle",
        ),
        (
            "inner dot dot",
            tar(&TarEntry::file("a/../../x", "x")),
            "entry `a/../../x` leaves the bundle",
        ),
        (
            "directory dot dot",
            tar(&TarEntry::special(b'5', "../x/", "")),
            "entry `../x/` leaves the bundle",
        ),
        (
            "symlink",
            tar(&TarEntry::special(b'2', "l", "/etc")),
            "entry `l` is a symbolic link",
        ),
        (
            "inner symlink",
            tar(&TarEntry::special(b'2', "l", "a.jar")),
            "entry `l` is a symbolic link",
        ),
        (
            "hard link",
            tar(&TarEntry::special(b'1', "l", "/etc/passwd")),
            "entry `l` is a hard link",
        ),
        (
            "through a symlink",
            tar(&TarEntry::special(b'2', "d", "/tmp")).file("d/x", "x"),
            "entry `d` is a symbolic link",
        ),
        (
            "character device",
            tar(&TarEntry::special(b'3', "null", "")),
            "entry `null` is a device",
        ),
        (
            "block device",
            tar(&TarEntry::special(b'4', "sda", "")),
            "entry `sda` is a device",
        ),
        (
            "fifo",
            tar(&TarEntry::special(b'6', "f", "")),
            "entry `f` is a fifo",
        ),
        (
            "contiguous",
            tar(&TarEntry::special(b'7', "c", "")),
            "entry `c` is of an unknown kind",
        ),
        (
            "unknown kind",
            tar(&TarEntry::special(b'Z', "z", "")),
            "entry `z` is of an unknown kind",
        ),
        (
            "setuid",
            tar(&TarEntry {
                mode: 0o4755,
                ..TarEntry::file("su", "x")
            }),
            "entry `su` is setuid or setgid",
        ),
        (
            "not UTF-8",
            tar(&TarEntry::file(*b"caf\xe9", "x")),
            "entry `caf\u{fffd}` has a name that is not UTF-8",
        ),
        (
            "control character",
            tar(&TarEntry::file("a\x1b[2J", "x")),
            "entry `a?[2J` has a control character in its name",
        ),
        (
            "backslash",
            tar(&TarEntry::file("..\\x", "x")),
            "entry `..\\x` has a backslash in its name",
        ),
        (
            "twice",
            tar(&TarEntry::file("a.jar", "other")),
            "entry `a.jar` comes twice",
        ),
        (
            "case",
            tar(&TarEntry::file("A.jar", "x")),
            "entry `A.jar` differs from another entry by case alone",
        ),
        (
            "file as directory",
            tar(&TarEntry::file("a.jar/x", "x")),
            "entry `a.jar/x` is both a file and a directory",
        ),
        (
            "pax name",
            TarBuilder::new()
                .pax(b'x', &[("path", "../x")])
                .file("ok", "x"),
            "entry `../x` leaves the bundle",
        ),
        (
            "gnu name",
            TarBuilder::new().long_name("/x").file("ok", "x"),
            "entry `/x` has an absolute path",
        ),
        (
            "pax sparse",
            TarBuilder::new()
                .pax(b'x', &[("GNU.sparse.major", "1")])
                .file("s", "x"),
            "entry `s` is a sparse file",
        ),
    ] {
        refused(
            name,
            archive.finish(),
            &format!("cannot unpack the plugin: {fault}"),
        );
    }
}

#[test]
fn broken_tars_are_told_from_truncated_ones() {
    const TRUNCATED: &str = "cannot unpack the plugin: the archive is truncated";
    const DAMAGED: &str = "cannot unpack the plugin: the archive is damaged";
    let cut = |mut bytes: Vec<u8>, keep: usize| {
        bytes.truncate(keep);
        bytes
    };
    let flip = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] ^= 0x55;
        bytes
    };
    let long = bundle();
    // The real thing fits one block of a decoder; this one does not.
    let noise: Vec<u8> = (0..50_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let big = TarBuilder::new().file("a.jar", noise).finish();
    let half = |bytes: Vec<u8>| {
        let keep = bytes.len() / 2;
        cut(bytes, keep)
    };
    for (name, body, message) in [
        (
            "no end marker",
            TarBuilder::new().file("a.jar", jar(&[])).unfinished(),
            TRUNCATED,
        ),
        ("in a header", cut(long.clone(), 700), TRUNCATED),
        ("in content", cut(long.clone(), 1200), TRUNCATED),
        ("gzip", half(gzip(&big)), TRUNCATED),
        (
            "gzip without trailer",
            {
                let b = gzip(&big);
                let n = b.len() - 8;
                cut(b, n)
            },
            TRUNCATED,
        ),
        ("zstd", half(zstd(&big)), TRUNCATED),
        ("xz", half(xz(&big, 1)), TRUNCATED),
        ("bzip2", half(bzip2(&big)), TRUNCATED),
        (
            "zip",
            half(ZipBuilder::new().file("a.jar", jar(&[])).finish()),
            TRUNCATED,
        ),
        (
            "a header's checksum",
            flip(
                TarBuilder::new()
                    .file("a.jar", vec![1; 512])
                    .file("b", vec![1; 512])
                    .finish(),
                1024,
            ),
            DAMAGED,
        ),
        ("gzip data", flip(gzip(&big), 1000), DAMAGED),
        (
            "an extended header and nothing",
            TarBuilder::new()
                .file("a.jar", "")
                .pax(b'x', &[("path", "y")])
                .finish(),
            DAMAGED,
        ),
        (
            "two extended headers",
            TarBuilder::new()
                .pax(b'x', &[("path", "y")])
                .pax(b'x', &[("path", "../z")])
                .file("a", "x")
                .finish(),
            DAMAGED,
        ),
    ] {
        let place = Place::new();
        let error = place.fetch(Behaviour::ok(body)).expect_err(name);
        assert_eq!(error.to_string(), message, "{name}: {error:?}");
        place.assert_holds(&[]);
    }
}

#[test]
fn hostile_zips_are_refused() {
    let zip = |entry: &ZipEntry| {
        ZipBuilder::new()
            .file("a.jar", jar(&[]))
            .entry(entry)
            .finish()
    };
    let file = |name: &str| ZipEntry::file(name, "x");
    for (name, body, fault) in [
        (
            "slip",
            zip(&file("../../x")),
            "entry `../../x` leaves the bundle",
        ),
        (
            "absolute",
            zip(&file("/x")),
            "entry `/x` has an absolute path",
        ),
        (
            "backslash",
            zip(&file("..\\x")),
            "entry `..\\x` has a backslash in its name",
        ),
        (
            "symlink",
            zip(&ZipEntry {
                mode: 0o120_777,
                ..file("l")
            }),
            "entry `l` is a symbolic link",
        ),
        (
            "device",
            zip(&ZipEntry {
                mode: 0o020_666,
                ..file("d")
            }),
            "entry `d` is a device",
        ),
        (
            "fifo",
            zip(&ZipEntry {
                mode: 0o010_666,
                ..file("f")
            }),
            "entry `f` is a fifo",
        ),
        (
            "setuid",
            zip(&ZipEntry {
                mode: 0o104_755,
                ..file("s")
            }),
            "entry `s` is setuid or setgid",
        ),
        (
            "encrypted",
            zip(&ZipEntry {
                flags: 1,
                ..file("e")
            }),
            "entry `e` is encrypted",
        ),
        (
            "method",
            zip(&ZipEntry {
                method: 97,
                ..file("m")
            }),
            "entry `m` is compressed by an unknown method",
        ),
        (
            "twice",
            zip(&file("a.jar")),
            "entry `zip directory` names a file twice",
        ),
        (
            "case",
            zip(&file("A.JAR")),
            "entry `A.JAR` differs from another entry by case alone",
        ),
        (
            "overlap",
            zip(&ZipEntry {
                same_as: Some(0),
                ..ZipEntry::file("b.jar", jar(&[]))
            }),
            "entry `zip directory` has overlapping entries",
        ),
        (
            "checksum",
            zip(&ZipEntry {
                crc: Some(7),
                ..file("c")
            }),
            "the archive is damaged",
        ),
        (
            "longer than it says",
            zip(&ZipEntry {
                size: Some(1),
                ..ZipEntry::file("c", "xyz")
            }),
            "the archive is damaged",
        ),
    ] {
        refused(name, body, &format!("cannot unpack the plugin: {fault}"));
    }
}

#[test]
fn what_holds_no_code_is_said_plainly() {
    for (name, body, message) in [
        (
            "text",
            b"hello\n".to_vec(),
            "cannot use the plugin: it is not a tar, zip or jar archive",
        ),
        (
            "gzip of text",
            gzip(b"hello\n"),
            "cannot use the plugin: it is not a tar, zip or jar archive",
        ),
        (
            "an ELF",
            b"\x7fELF\x02\x01".to_vec(),
            "cannot use the plugin: it is not a tar, zip or jar archive",
        ),
        (
            "three times gzip",
            gzip(&gzip(&gzip(&bundle()))),
            "cannot use the plugin: it is not a tar, zip or jar archive",
        ),
        (
            "tar of text",
            TarBuilder::new().file("README", "x").finish(),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
        (
            "tar of a directory",
            TarBuilder::new().directory("lib/").finish(),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
        (
            "a web page named jar",
            TarBuilder::new().file("a.jar", "<html>").finish(),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
        (
            "zip of text",
            ZipBuilder::new().file("README", "x").finish(),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
    ] {
        refused(name, body, message);
    }
}

#[test]
fn each_limit_says_which_it_is() {
    let zeros = |kib: usize| vec![0; kib << 10];
    let jar = || jar(&[]);
    let many = (0..40).fold(TarBuilder::new(), |tar, n| {
        tar.file(&format!("{n}.jar"), "")
    });
    let deep = format!("{}a.jar", "d/".repeat(10));
    for (name, body, limit) in [
        (
            "served",
            TarBuilder::new().file("a.jar", vec![1; 5 << 18]).finish(),
            "the archive is larger than 1 MiB",
        ),
        (
            "unpacked",
            gzip(
                &TarBuilder::new()
                    .file("a", zeros(700))
                    .file("b", zeros(700))
                    .file("c", zeros(700))
                    .finish(),
            ),
            "it unpacks to more than 2 MiB",
        ),
        (
            "file",
            gzip(&TarBuilder::new().file("a", zeros(900)).finish()),
            "a file is larger than 800 KiB",
        ),
        (
            "file of a zip",
            ZipBuilder::new().file("a.txt", zeros(900)).finish(),
            "a file is larger than 800 KiB",
        ),
        ("entries", many.finish(), "it has more than 30 entries"),
        (
            "entries of a zip",
            (0..40)
                .fold(ZipBuilder::new(), |zip, n| {
                    zip.file(&format!("{n}.jar"), "")
                })
                .finish(),
            "it has more than 30 entries",
        ),
        (
            "path",
            TarBuilder::new()
                .long_name(&"p".repeat(250))
                .file("x", jar())
                .finish(),
            "a path is longer than 200 bytes",
        ),
        (
            "depth",
            TarBuilder::new().file(&deep, jar()).finish(),
            "a path is deeper than 8 levels",
        ),
        (
            "long name without end",
            TarBuilder::new()
                .entry(&TarEntry {
                    kind: b'L',
                    ..TarEntry::file("././@LongLink", vec![b'a'; 1 << 19])
                })
                .file("x", jar())
                .finish(),
            "the headers of one entry are larger than 256 KiB",
        ),
        (
            "dictionary of xz",
            xz(&bundle(), 3),
            "decompressing it takes more than 2 MiB of memory",
        ),
        (
            "window of zstd",
            b"\x28\xb5\x2f\xfd\x00\x80\x01\0\0\0\0\0\0\0\0\0".to_vec(),
            "decompressing it takes more than 2 MiB of memory",
        ),
    ] {
        let place = Place::new();
        place.server.on("/p", Behaviour::ok(body));
        let mut options = place.options(&place.server.url("/p"));
        let limits = &mut options.limits;
        (limits.compressed, limits.unpacked, limits.file) = (1 << 20, 2 << 20, 800 << 10);
        (
            limits.entries,
            limits.path,
            limits.depth,
            limits.decoder_memory,
        ) = (30, 200, 8, 2 << 20);
        let error = run(options).expect_err(name);
        assert_eq!(
            error.to_string(),
            format!("cannot unpack the plugin: {limit}"),
            "{name}: {error:?}"
        );
        place.assert_holds(&[]);
    }
}

#[test]
fn a_bomb_ends_at_the_ratio() {
    let tar = gzip(&TarBuilder::new().file("a.jar", vec![0; 3 << 20]).finish());
    for (name, body) in [("gzip", tar.clone()), ("gzip in gzip", gzip(&tar))] {
        let place = Place::new();
        place.server.on("/p", Behaviour::ok(body));
        let mut options = place.options(&place.server.url("/p"));
        (options.limits.ratio, options.limits.ratio_grace) = (50, 1 << 20);
        let error = run(options).expect_err(name);
        assert_eq!(
            error.to_string(),
            "cannot unpack the plugin: it unpacks to more than 50 times what was served",
            "{name}"
        );
        place.assert_holds(&[]);
    }
}
