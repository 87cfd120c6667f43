//! ServiceLoader manifests for classes that come without: beside the client's files, none of which is
//! changed. With them a worker finds every plugin without scanning.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::contract::PluginClass;
use crate::error::BundleError;
use crate::limits::Limits;
use crate::tree::{CopyError, Tree};

/// Where `java.util.ServiceLoader` looks.
pub(crate) const SERVICES: &str = "META-INF/services/";
/// The jar of our manifests.
pub(crate) const JAR: &str = "kafka-connect-charm-services.jar";

/// Writes manifests for every class that no manifest lists. False, and nothing is written, where
/// that takes a change of a client's file.
///
/// A bundle with jars gets one more jar. One of class files is itself the root of its classes, so
/// the manifests are files there (a jar would make the worker overlook the class files).
///
/// # Errors
///
/// This machine could not write.
pub(crate) fn complete(
    classes: &[PluginClass],
    has_jars: bool,
    tree: &mut Tree,
    limits: &Limits,
) -> Result<bool, BundleError> {
    let mut manifests: BTreeMap<&str, String> = BTreeMap::new();
    for class in classes.iter().filter(|class| !class.listed) {
        let text = manifests.entry(class.kind.interface()).or_default();
        text.extend([class.class.as_str(), "\n"]);
    }
    let files: Vec<(String, Vec<u8>)> = if has_jars {
        let jar = jar(&manifests)
            .map_err(|error| BundleError::write("create file", JAR)(io::Error::other(error)))?;
        vec![(JAR.to_owned(), jar)]
    } else {
        manifests
            .into_iter()
            .map(|(interface, text)| (format!("{SERVICES}{interface}"), text.into_bytes()))
            .collect()
    };
    let taken = |name: &str| {
        tree.files()
            .iter()
            .any(|file| file.eq_ignore_ascii_case(name))
    };
    if files.iter().any(|(name, _)| taken(name)) {
        return Ok(false);
    }
    for (name, content) in files {
        tree.file(&name, &mut content.as_slice(), content.len() as u64, limits)
            .map_err(|error| match error {
                CopyError::Stop(error) => error,
                CopyError::Read(source) => BundleError::write("create file", name.as_str())(source),
                CopyError::Short => {
                    BundleError::write("create file", name.as_str())(io::ErrorKind::Other.into())
                }
            })?;
    }
    Ok(true)
}

/// Stored, without times: the same classes give the same bytes.
fn jar(manifests: &BTreeMap<&str, String>) -> zip::result::ZipResult<Vec<u8>> {
    let mut jar = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    for (interface, text) in manifests {
        jar.start_file(format!("{SERVICES}{interface}"), options)?;
        jar.write_all(text.as_bytes())?;
    }
    Ok(jar.finish()?.into_inner())
}
