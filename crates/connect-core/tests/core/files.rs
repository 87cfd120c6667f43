//! Every file of a unit that serves one client with a plugin, as one transcript to review.

use std::fmt::Write;

use crate::world::*;

#[test]
fn the_files_of_a_unit_are_as_reviewed() {
    let mut world = World::new(2);
    world.serve_plugin("http://10.1.1.5/p", "aaaa");
    world.add_client(7, "mysql", "http://10.1.1.5/p");
    let kafka = world.kafka.get_mut(&3).unwrap();
    kafka.theirs.insert("tls".to_owned(), "enabled".to_owned());
    let ca = std::collections::BTreeMap::from([("tls-ca".to_owned(), CERTIFICATE.to_owned())]);
    kafka.secrets.insert("secret-tls".to_owned(), ca);
    world.settle();
    world.assert_sound();

    let machine = &world.units[&0];
    let mut transcript = String::new();
    for (path, fact) in &machine.host.directories {
        writeln!(
            transcript,
            "{path}/ {:04o} {}:{}",
            fact.mode, fact.user, fact.group
        )
        .unwrap();
    }
    for (path, file) in &machine.files {
        writeln!(
            transcript,
            "\n=== {path} {:04o} {}:{}",
            file.mode, file.user, file.group
        )
        .unwrap();
        match std::str::from_utf8(&file.bytes) {
            Ok(text) => transcript.push_str(text),
            Err(_) => writeln!(transcript, "({} bytes)", file.bytes.len()).unwrap(),
        }
    }
    for (key, value) in &machine.bag {
        writeln!(transcript, "{key}: {value}").unwrap();
    }
    for secret in world.secrets.values() {
        transcript = transcript.replace(&secret.content["password"], "[PASSWORD]");
    }

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/files.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &transcript).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        transcript == reviewed,
        "{path} differs: run with UPDATE=1 and review the change"
    );
}
