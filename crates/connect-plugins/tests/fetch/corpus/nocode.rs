//! What is no plugin, and what only looks like one.

use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{bundle, no_plugin};
use testkit::archive::{TarBuilder, ZipBuilder};

use super::{Case, empty, unusable};

const NOT_AN_ARCHIVE: &str = "it is not a tar, zip or jar archive";
const NO_CODE: &str = "there is no jar or class in the archive";
const HTML: &str = "the server sent an HTML page, not an archive";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        empty("no plugin: 10 KiB of zeros", no_plugin()),
        empty("no plugin: one block of zeros", vec![0; 512]),
        empty("no plugin: gzip", gzip(&no_plugin())),
        empty("no plugin: zstd", zstd(&no_plugin())),
        empty("no plugin: xz", xz(&no_plugin(), 1)),
        empty("no plugin: bzip2", bzip2(&no_plugin())),
        empty(
            "no plugin: only the root",
            TarBuilder::new().directory("./").finish(),
        ),
        empty("no plugin: zip without entries", ZipBuilder::new().finish()),
        empty(
            "no plugin: zip without entries, with a comment",
            ZipBuilder::new().finish_with(b"nothing", 0),
        ),
    ];
    for (name, body) in [
        (
            "tar of a text",
            TarBuilder::new().file("README", "x").finish(),
        ),
        (
            "tar of a directory",
            TarBuilder::new().directory("lib/").finish(),
        ),
        (
            "tar of a web page named jar",
            TarBuilder::new().file("a.jar", "<html>").finish(),
        ),
        (
            "tar of an empty jar",
            TarBuilder::new().file("a.jar", "").finish(),
        ),
        (
            "tar of sources",
            gzip(&TarBuilder::new().file("src/A.java", "class A {}").finish()),
        ),
        (
            "tar of a tar.gz",
            TarBuilder::new().file("a.tar.gz", gzip(&bundle())).finish(),
        ),
        (
            "zip of a text",
            ZipBuilder::new().file("README", "x").finish(),
        ),
        (
            "zip of a zip",
            ZipBuilder::new()
                .file("a.zip", ZipBuilder::new().finish())
                .finish(),
        ),
    ] {
        cases.push(unusable(name, body, NO_CODE));
    }
    for (name, body) in [
        ("HTML page", b"<!DOCTYPE html><html><p>Welcome".to_vec()),
        (
            "HTML page after a byte-order mark",
            b"\xef\xbb\xbf \r\n<HTML>".to_vec(),
        ),
        (
            "XML of an object store",
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey".to_vec(),
        ),
        ("HTML page, compressed", gzip(b"<html><body>sign in")),
    ] {
        cases.push(unusable(name, body, HTML));
    }
    for (name, body) in [
        ("text", b"hello\n".to_vec()),
        ("one byte", b"x".to_vec()),
        ("JSON of an API", b"{\"detail\":\"Not Found\"}".to_vec()),
        ("gzip of text", gzip(b"hello\n")),
        ("three times gzip", gzip(&gzip(&gzip(&bundle())))),
        (
            "gzip of a zip",
            gzip(&ZipBuilder::new().file("a.jar", "x").finish()),
        ),
        ("an ELF program", b"\x7fELF\x02\x01\x01".to_vec()),
        ("a class file alone", b"\xca\xfe\xba\xbe\0\0\0\x3d".to_vec()),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec()),
        ("rar", b"Rar!\x1a\x07\x01\0".to_vec()),
        ("ar", b"!<arch>\ndebian-binary".to_vec()),
        ("cpio", b"070701000000".to_vec()),
        ("LZ4", b"\x04\x22\x4d\x18\x60\x40\x82".to_vec()),
        (
            "LZMA without a container",
            b"\x5d\0\0\x80\0\xff\xff\xff\xff".to_vec(),
        ),
        ("Unix compress", b"\x1f\x9d\x90".to_vec()),
        ("zeros that fill no block", vec![0; 511]),
        ("noise", super::noise(300)),
    ] {
        cases.push(unusable(name, body, NOT_AN_ARCHIVE));
    }
    cases
}
