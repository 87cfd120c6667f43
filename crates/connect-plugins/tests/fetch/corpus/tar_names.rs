//! tar: names and kinds.

use testkit::archive::plugin::jar;
use testkit::archive::{TarBuilder, TarEntry};

use super::{Case, OUTSIDE, refused, sealed, stored};

/// A bundle with one good jar and then something else.
fn with(entry: &TarEntry) -> Vec<u8> {
    start().entry(entry).finish()
}

fn start() -> TarBuilder {
    TarBuilder::new().file("a.jar", jar(&[]))
}

fn file(name: &str) -> TarEntry {
    TarEntry::file(name, "x")
}

fn link(name: &str, to: &str) -> TarEntry {
    TarEntry::special(b'2', name, to)
}

fn hard_link(name: &str, to: &str) -> TarEntry {
    TarEntry::special(b'1', name, to)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ways_out();
    cases.extend(kinds());
    cases.extend(spellings());
    cases.extend(clashes());
    cases
}

fn ways_out() -> Vec<Case> {
    vec![
        refused(
            "tar: absolute path",
            with(&file(OUTSIDE)),
            "entry `/tmp/escaped-plugin` has an absolute path",
        ),
        refused(
            "tar: absolute path with doubled slashes",
            with(&file("//tmp//escaped-plugin")),
            "entry `//tmp//escaped-plugin` has an absolute path",
        ),
        refused(
            "tar: dot dot at the start",
            with(&file("../../escaped")),
            "entry `../../escaped` leaves the bundle",
        ),
        refused(
            "tar: dot dot in the middle, leaving",
            with(&file("a/../../escaped")),
            "entry `a/../../escaped` leaves the bundle",
        ),
        refused(
            "tar: dot dot in the middle, staying",
            with(&file("a/../inside")),
            "entry `a/../inside` leaves the bundle",
        ),
        refused(
            "tar: dot dot behind a dot",
            with(&file("./../escaped")),
            "entry `./../escaped` leaves the bundle",
        ),
        refused(
            "tar: dot dot at the end",
            with(&TarEntry::special(b'5', "lib/..", "")),
            "entry `lib/..` leaves the bundle",
        ),
        refused(
            "tar: a directory outside",
            with(&TarEntry::special(b'5', "../escaped/", "")),
            "entry `../escaped/` leaves the bundle",
        ),
        refused(
            "tar: dot dot in the prefix of ustar",
            with(&TarEntry {
                prefix: b"../../..".to_vec(),
                ..file("escaped")
            }),
            "entry `../../../escaped` leaves the bundle",
        ),
        refused(
            "tar: absolute prefix of ustar",
            with(&TarEntry {
                prefix: b"/tmp".to_vec(),
                ..file("escaped-plugin")
            }),
            "entry `/tmp/escaped-plugin` has an absolute path",
        ),
        refused(
            "tar: backslashes out",
            with(&file("..\\..\\escaped")),
            "entry `..\\..\\escaped` has a backslash in its name",
        ),
        refused(
            "tar: a drive letter",
            with(&file("C:\\escaped")),
            "entry `C:\\escaped` has a backslash in its name",
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let chain = start()
        .entry(&link("one", "two"))
        .entry(&link("two", "../../.."))
        .entry(&file("one/escaped"));
    let through = start()
        .entry(&link("d", "/tmp"))
        .file("d/escaped-plugin", "x");
    let hard = start()
        .entry(&link("s", OUTSIDE))
        .entry(&hard_link("h", "s"))
        .file("h", "x");
    let is = |kind: u8, name: &'static str, what: &str| {
        refused(
            name,
            with(&TarEntry::special(kind, "x", "")),
            &format!("entry `x` {what}"),
        )
    };
    vec![
        refused(
            "tar: symbolic link out",
            with(&link("l", "/etc/shadow")),
            "entry `l` is a symbolic link",
        ),
        refused(
            "tar: symbolic link that stays",
            with(&link("l", "a.jar")),
            "entry `l` is a symbolic link",
        ),
        refused(
            "tar: symbolic link to itself",
            with(&link("l", "l")),
            "entry `l` is a symbolic link",
        ),
        refused(
            "tar: a chain of links",
            chain.finish(),
            "entry `one` is a symbolic link",
        ),
        refused(
            "tar: a file through a link",
            through.finish(),
            "entry `d` is a symbolic link",
        ),
        refused(
            "tar: hard link out",
            with(&hard_link("l", "/etc/passwd")),
            "entry `l` is a hard link",
        ),
        refused(
            "tar: hard link that stays",
            with(&hard_link("l", "a.jar")),
            "entry `l` is a hard link",
        ),
        refused(
            "tar: hard link with content",
            with(&TarEntry {
                content: b"x".to_vec(),
                ..hard_link("l", "/etc/passwd")
            }),
            "entry `l` is a hard link",
        ),
        refused(
            "tar: hard link to a link",
            hard.finish(),
            "entry `s` is a symbolic link",
        ),
        is(b'3', "tar: character device", "is a device"),
        is(b'4', "tar: block device", "is a device"),
        is(b'6', "tar: fifo", "is a fifo"),
        is(b'7', "tar: contiguous file", "is of an unknown kind"),
        is(b'D', "tar: dump directory", "is of an unknown kind"),
        is(b'M', "tar: continued volume", "is of an unknown kind"),
        is(b'V', "tar: volume label", "is of an unknown kind"),
        refused(
            "tar: sparse file of the old GNU format",
            {
                let mut tar = TarBuilder::new()
                    .entry(&TarEntry::special(b'S', "s", ""))
                    .finish();
                tar[257..265].copy_from_slice(b"ustar  \0");
                // Its size with its holes.
                tar[483..494].copy_from_slice(b"00000000000");
                sealed(tar)
            },
            "entry `s` is a sparse file",
        ),
        is(b'Z', "tar: a kind nobody knows", "is of an unknown kind"),
        refused(
            "tar: setuid",
            with(&TarEntry {
                mode: 0o4755,
                ..file("su")
            }),
            "entry `su` is setuid or setgid",
        ),
        refused(
            "tar: setgid",
            with(&TarEntry {
                mode: 0o2755,
                ..file("sg")
            }),
            "entry `sg` is setuid or setgid",
        ),
        stored(
            "tar: sticky and writable by all",
            TarBuilder::new()
                .entry(&TarEntry {
                    mode: 0o1777,
                    ..TarEntry::file("a.jar", jar(&[]))
                })
                .finish(),
            &["a.jar"],
        ),
    ]
}

fn spellings() -> Vec<Case> {
    let long = "n".repeat(256);
    vec![
        refused(
            "tar: name that is not UTF-8",
            with(&TarEntry::file(*b"caf\xe9", "x")),
            "entry `caf\u{fffd}` has a name that is not UTF-8",
        ),
        refused(
            "tar: name with an overlong slash",
            with(&TarEntry::file(*b"..\xc0\xafescaped", "x")),
            "entry `..\u{fffd}\u{fffd}escaped` has a name that is not UTF-8",
        ),
        refused(
            "tar: name that clears the screen",
            with(&file("a\x1b[2J")),
            "entry `a?[2J` has a control character in its name",
        ),
        refused(
            "tar: name of two lines",
            with(&file("a\nplugin.path=/tmp")),
            "entry `a?plugin.path=/tmp` has a control character in its name",
        ),
        refused(
            "tar: name that reads backwards",
            with(&file("a\u{202e}raj.txt")),
            "entry `a?raj.txt` has an invisible character in its name",
        ),
        refused(
            "tar: name with a space of no width",
            with(&file("a\u{200b}.jar")),
            "entry `a?.jar` has an invisible character in its name",
        ),
        refused(
            "tar: a component too long for a file system",
            start().long_name(&long).file("x", "x").finish(),
            "entry `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…` has a name longer than 255 bytes",
        ),
        refused("tar: no name", with(&file("")), "entry `` has no name"),
        refused(
            "tar: a file named dot",
            with(&file(".")),
            "entry `.` has no name",
        ),
        refused(
            "tar: a file named by slashes",
            with(&file("./")),
            "entry `./` is a directory with content",
        ),
        refused(
            "tar: directory with content",
            with(&TarEntry {
                kind: b'5',
                ..file("d/")
            }),
            "entry `d/` is a directory with content",
        ),
        stored(
            "tar: names of every script",
            TarBuilder::new()
                .file("плагин/接続.jar", jar(&[]))
                .file("ünïcode ☃.txt", "x")
                .finish(),
            &["плагин/接続.jar"],
        ),
        stored(
            "tar: dots, spaces and quotes",
            TarBuilder::new()
                .file("./a//b/./c '\"$(x).jar", jar(&[]))
                .file("..a/...", "x")
                .finish(),
            &["a/b/c '\"$(x).jar"],
        ),
    ]
}

fn clashes() -> Vec<Case> {
    let two =
        |first: &TarEntry, second: &TarEntry| TarBuilder::new().entry(first).entry(second).finish();
    let directory = |name: &str| TarEntry::special(b'5', name, "");
    vec![
        refused(
            "tar: a name twice",
            with(&file("a.jar")),
            "entry `a.jar` comes twice",
        ),
        refused(
            "tar: a name twice, spelled otherwise",
            with(&file(".//a.jar")),
            "entry `.//a.jar` comes twice",
        ),
        refused(
            "tar: a name twice, once in an extended header",
            start()
                .pax(b'x', &[("path", "a.jar")])
                .file("b", "x")
                .finish(),
            "entry `a.jar` comes twice",
        ),
        refused(
            "tar: names that differ by case",
            with(&file("A.JAR")),
            "entry `A.JAR` differs from another entry by case alone",
        ),
        refused(
            "tar: directories that differ by case",
            two(&file("Lib/a.jar"), &file("lib/b.jar")),
            "entry `lib/b.jar` differs from another entry by case alone",
        ),
        refused(
            "tar: names that fold to the same",
            two(&file("straße.jar"), &file("STRASSE.jar")),
            "entry `STRASSE.jar` differs from another entry by case alone",
        ),
        refused(
            "tar: a Kelvin sign for a K",
            two(&file("k.jar"), &file("\u{212a}.jar")),
            "entry `\u{212a}.jar` differs from another entry by case alone",
        ),
        refused(
            "tar: a file below a file",
            with(&file("a.jar/x")),
            "entry `a.jar/x` is both a file and a directory",
        ),
        refused(
            "tar: a directory over a file",
            with(&directory("a.jar")),
            "entry `a.jar` is both a file and a directory",
        ),
        refused(
            "tar: a file over a directory",
            two(&directory("a.jar/"), &file("a.jar")),
            "entry `a.jar` is both a file and a directory",
        ),
        stored(
            "tar: a directory twice",
            TarBuilder::new()
                .directory("lib/")
                .file("lib/a.jar", jar(&[]))
                .directory("lib")
                .finish(),
            &["lib/a.jar"],
        ),
    ]
}
