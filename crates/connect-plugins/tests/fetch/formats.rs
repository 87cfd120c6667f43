//! Every format that users have.

use sha2::{Digest as _, Sha256};
use testkit::Behaviour;
use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{self, SOURCE, bundle, jar};
use testkit::archive::{TarBuilder, ZipBuilder};

use crate::place::{Place, listing};
use connect_plugins::{Admitted, plugin_path_entry};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn zipped() -> Vec<u8> {
    ZipBuilder::new()
        .directory("acme-connector")
        .file(
            "acme-connector/acme-1.0.jar",
            jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]),
        )
        .file("acme-connector/lib/helper.jar", jar(&[]))
        .file("acme-connector/README.md", "Moves things.\n")
        .finish()
}

#[test]
fn every_format_is_unpacked_and_hashed_as_served() {
    let two = |pack: fn(&[u8]) -> Vec<u8>| {
        let tar = bundle();
        let (one, other) = tar.split_at(tar.len() / 2);
        [pack(one), pack(other)].concat()
    };
    let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(&bundle())].concat();
    for (format, body) in [
        ("tar", bundle()),
        ("tar.gz", gzip(&bundle())),
        ("tar.gz of two members", two(gzip)),
        ("tar.gz inside gzip", gzip(&gzip(&bundle()))),
        ("tar.zst", zstd(&bundle())),
        ("tar.zst of two frames", two(zstd)),
        ("tar.zst after a skippable frame", skippable),
        ("tar.xz", xz(&bundle(), 6)),
        ("tar.xz of two streams", two(|bytes| xz(bytes, 1))),
        ("tar.bz2", bzip2(&bundle())),
        ("tar.bz2 of two streams", two(bzip2)),
        ("zip", zipped()),
    ] {
        let place = Place::new();
        let stored = place.fetch_stored(body.clone());
        assert_eq!(stored.digest.as_str(), sha256(&body), "{format}");
        place.assert_holds(&[&sha256(&body)]);
        assert_eq!(
            listing(&place.store().join(stored.digest.as_str())),
            [
                "contract.json 100644",
                "path 40755",
                "path/bundle 40755",
                "path/bundle/acme-connector 40755",
                "path/bundle/acme-connector/README.md 100644",
                "path/bundle/acme-connector/acme-1.0.jar 100644",
                "path/bundle/acme-connector/lib 40755",
                "path/bundle/acme-connector/lib/helper.jar 100644",
            ],
            "{format}"
        );
        let location = plugin_path_entry(&place.store(), &stored.digest).join("bundle");
        let readme = std::fs::read_to_string(location.join("acme-connector/README.md")).unwrap();
        assert_eq!(readme, "Moves things.\n", "{format}");
        assert_eq!(
            stored.contract.connectors().collect::<Vec<_>>(),
            ["com.acme.AcmeSourceConnector"],
            "{format}"
        );
        assert!(stored.contract.has_manifests, "{format}");
    }
}

#[test]
fn a_bare_jar_is_stored_as_one_jar() {
    let place = Place::new();
    let body = jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]);
    let stored = place.fetch_stored(body.clone());
    assert_eq!(stored.contract.jars, ["plugin.jar"]);
    let location = plugin_path_entry(&place.store(), &stored.digest).join("bundle");
    assert_eq!(listing(&location), ["plugin.jar 100644"]);
    assert_eq!(std::fs::read(location.join("plugin.jar")).unwrap(), body);
}

#[test]
fn odd_but_harmless_archives_are_taken() {
    let long = format!("{}/acme.jar", "d".repeat(150));
    let jar = || jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]);
    for (name, body, jars) in [
        (
            "dot prefix",
            TarBuilder::new()
                .directory("./")
                .file("./a.jar", jar())
                .finish(),
            "a.jar",
        ),
        (
            "implied directory",
            TarBuilder::new().file("x/y/a.jar", jar()).finish(),
            "x/y/a.jar",
        ),
        (
            "pax name",
            TarBuilder::new()
                .pax(b'x', &[("path", &long)])
                .file("s", jar())
                .finish(),
            &*long,
        ),
        (
            "gnu name",
            TarBuilder::new().long_name(&long).file("s", jar()).finish(),
            &*long,
        ),
        (
            "git archive",
            TarBuilder::new()
                .pax(b'g', &[("comment", "abc")])
                .file("a.jar", jar())
                .finish(),
            "a.jar",
        ),
        (
            "global name is not obeyed",
            TarBuilder::new()
                .pax(b'g', &[("path", "../x")])
                .file("a.jar", jar())
                .finish(),
            "a.jar",
        ),
        (
            "upper case",
            TarBuilder::new().file("A.JAR", jar()).finish(),
            "A.JAR",
        ),
        (
            "bytes after the end",
            TarBuilder::new().file("a.jar", jar()).finish(),
            "a.jar",
        ),
    ] {
        let body = if name == "bytes after the end" {
            [body, vec![7; 3000]].concat()
        } else {
            body
        };
        let place = Place::new();
        let stored = place.fetch_stored(body.clone());
        assert_eq!(stored.contract.jars, [jars], "{name}");
        assert_eq!(stored.digest.as_str(), sha256(&body), "{name}");
    }
}

#[test]
fn an_archive_without_entries_is_no_plugin() {
    for (name, body) in [
        ("10 KiB of zeros", plugin::no_plugin()),
        ("its gzip", gzip(&plugin::no_plugin())),
        ("only the root", TarBuilder::new().directory("./").finish()),
        ("empty zip", ZipBuilder::new().finish()),
    ] {
        let place = Place::new();
        let admitted = place.fetch(Behaviour::ok(body)).unwrap();
        assert_eq!(admitted, Admitted::Empty, "{name}");
        place.assert_holds(&[]);
    }
    // The digest by which the Python charms know an integrator without a plugin.
    assert_eq!(
        sha256(&plugin::no_plugin()),
        "84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652"
    );
}
