//! Every format that users have.

use sha2::{Digest as _, Sha256};
use testkit::archive::ZipBuilder;
use testkit::archive::pack::{bzip2, gzip, xz, zstd};
use testkit::archive::plugin::{self, SOURCE, bundle, jar};

use crate::place::{Place, listing};
use connect_plugins::plugin_path_entry;

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
    for (format, body) in [
        ("tar", bundle()),
        ("tar.gz", gzip(&bundle())),
        ("tar.zst", zstd(&bundle())),
        ("tar.xz", xz(&bundle(), 6)),
        ("tar.bz2", bzip2(&bundle())),
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
fn the_usual_archive_without_a_plugin_is_known() {
    // The digest by which the Python charms know an integrator without a plugin.
    assert_eq!(
        sha256(&plugin::no_plugin()),
        "84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652"
    );
}
