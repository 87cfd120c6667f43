//! Jars and bundles as connectors really come.

use super::{TarBuilder, ZipBuilder};

/// The interface a source connector is declared under.
pub const SOURCE: &str = "org.apache.kafka.connect.source.SourceConnector";
/// The interface a sink connector is declared under.
pub const SINK: &str = "org.apache.kafka.connect.sink.SinkConnector";
/// The interface a transform is declared under.
pub const TRANSFORM: &str = "org.apache.kafka.connect.transforms.Transformation";

/// A jar whose ServiceLoader manifests name these classes: pairs of interface and class. The class
/// files themselves are stubs that no JVM should be asked to run.
#[must_use]
pub fn jar(services: &[(&str, &str)]) -> Vec<u8> {
    let mut jar = manifests(services);
    for (interface, class) in services {
        jar = jar.file(&class_path(class), class_file(class, interface, false));
    }
    jar.finish()
}

/// A jar with one class of a kind, and the manifest that names it.
#[must_use]
pub fn jar_of(interface: &str, class: &str, class_file: Vec<u8>) -> Vec<u8> {
    let jar = manifests(&[(interface, class)]);
    jar.file(&class_path(class), class_file).finish()
}

fn manifests(services: &[(&str, &str)]) -> ZipBuilder {
    let mut jar = empty_jar();
    let mut interfaces: Vec<&str> = services.iter().map(|(interface, _)| *interface).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    for interface in interfaces {
        let classes: String = services
            .iter()
            .filter(|(of, _)| *of == interface)
            .flat_map(|(_, class)| [*class, "\n"])
            .collect();
        jar = jar.file(&format!("META-INF/services/{interface}"), classes);
    }
    jar
}

/// A jar of an old connector: class files alone, given as class, superclass and whether abstract.
#[must_use]
pub fn jar_without_manifests(classes: &[(&str, &str, bool)]) -> Vec<u8> {
    let mut jar = empty_jar();
    for (class, parent, is_abstract) in classes {
        jar = jar.file(&class_path(class), class_file(class, parent, *is_abstract));
    }
    jar.finish()
}

/// A tarball as an integrator serves it: one folder with a connector jar and a library.
#[must_use]
pub fn bundle() -> Vec<u8> {
    TarBuilder::new()
        .directory("acme-connector/")
        .file(
            "acme-connector/acme-1.0.jar",
            jar(&[(SOURCE, "com.acme.AcmeSourceConnector")]),
        )
        .file("acme-connector/lib/helper.jar", empty_jar().finish())
        .file("acme-connector/README.md", "Moves things.\n")
        .finish()
}

/// The tarball of an integrator that has no plugin: 10 KiB of zeros.
#[must_use]
pub fn no_plugin() -> Vec<u8> {
    TarBuilder::new().finish()
}

fn empty_jar() -> ZipBuilder {
    ZipBuilder::new().file("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
}

fn class_path(class: &str) -> String {
    format!("{}.class", class.replace('.', "/"))
}

/// The smallest class file with a name, a superclass and flags.
#[must_use]
pub fn class_file(name: &str, parent: &str, is_abstract: bool) -> Vec<u8> {
    let mut bytes = b"\xca\xfe\xba\xbe\0\0\0\x3d".to_vec();
    // The long, which takes two places, is there because readers forget that.
    bytes.extend(9_u16.to_be_bytes());
    bytes.extend([5, 0, 0, 0, 0, 0, 0, 0, 1]);
    let dots = |name: &str| name.replace('.', "/");
    for text in [dots(name), dots(parent), "<init>".into(), "()V".into()] {
        let length = u16::try_from(text.len()).expect("test names are short");
        bytes.push(1);
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend([7, 0, 3, 7, 0, 4]);
    let flags: u16 = 0x0021 | if is_abstract { 0x0400 } else { 0 };
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 7, 0, 8]);
    // No interfaces, no fields; one method, the public constructor, without code; no attributes.
    bytes.extend([0, 0, 0, 0, 0, 1, 0, 1, 0, 5, 0, 6, 0, 0, 0, 0]);
    bytes
}
