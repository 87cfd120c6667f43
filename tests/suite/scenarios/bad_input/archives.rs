//! Archives that are none, or that want out of their folder.

use std::path::Path;

use serde_json::json;
use testkit::archive::{TarBuilder, TarEntry, pack, plugin};

use super::servers::Row;

/// One row for each archive, written to the folder of the servers.
pub(super) fn rows(folder: &Path) -> Vec<Row> {
    let jar = || plugin::jar(&[(plugin::SOURCE, "com.acme.AcmeSourceConnector")]);
    let whole = pack::gzip(&plugin::bundle());
    let special = |kind, name, to| {
        let entry = TarEntry::special(kind, name, to);
        TarBuilder::new().entry(&entry).finish()
    };
    [
        (
            "truncated",
            whole[..whole.len() / 2].to_vec(),
            "cannot unpack the plugin: the archive is truncated",
        ),
        (
            "codeless",
            TarBuilder::new().file("a/README.md", "hello").finish(),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
        (
            "climbing",
            TarBuilder::new().file("../../a.jar", jar()).finish(),
            "cannot unpack the plugin: entry `../../a.jar` leaves the bundle",
        ),
        (
            "absolute",
            TarBuilder::new().file("/opt/a.jar", jar()).finish(),
            "cannot unpack the plugin: entry `/opt/a.jar` has an absolute path",
        ),
        (
            "symlink",
            special(b'2', "a", "/etc"),
            "cannot unpack the plugin: entry `a` is a symbolic link",
        ),
        (
            "hardlink",
            special(b'1', "a.jar", "/etc/shadow"),
            "cannot unpack the plugin: entry `a.jar` is a hard link",
        ),
        (
            "prose",
            b"no archive at all".to_vec(),
            "cannot use the plugin: it is not a tar, zip or jar archive",
        ),
    ]
    .into_iter()
    .map(|(name, archive, fault)| {
        let file = format!("{name}.tar");
        std::fs::write(folder.join(&file), archive).unwrap();
        Row {
            name,
            behaviour: json!({"do": "ok", "body": {"file": file}}),
            fault: format!("plugin-url: {fault}"),
        }
    })
    .collect()
}
