//! What a bundle offers: the classes its jars declare, and what an operator should know about it.
//!
//! Contract: `java.util.ServiceLoader` manifests (`META-INF/services/<interface>`) as Kafka Connect
//! reads them with `plugin.discovery=service_load`.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::entry::printable;
use crate::error::BundleError;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::scan::Scan;
use crate::services;
use crate::staged::Staged;
use crate::tree::Tree;
use crate::unpack::{is_class, is_jar, open_zip};

/// One class a bundle offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PluginClass {
    /// Full class name.
    pub class: String,
    /// What it is for.
    pub kind: Kind,
    /// A manifest of the client names it. Otherwise it was found by its class file.
    pub listed: bool,
    /// What its jar says of its version.
    #[serde(default)]
    pub version: Option<String>,
}

/// What a bundle offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its classes, sorted. Those without a manifest are in it where their class files extend or
    /// implement one of Kafka's types, directly or by way of others in the bundle.
    pub classes: Vec<PluginClass>,
    /// Manifests name every class above, and at least one: `plugin.discovery=service_load` will do.
    pub has_manifests: bool,
    /// We wrote manifests for what the client's left out.
    #[serde(default)]
    pub completed: bool,
    /// Paths of the client's jars below the plugin location, sorted.
    pub jars: Vec<String>,
    /// What an operator should know; one line each.
    pub warnings: Vec<String>,
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Contract {
    /// This, as far as it can be believed of a process that read what nobody trusts.
    pub(crate) fn checked(self, staged: &Staged) -> Result<Self, BundleError> {
        let Self {
            mut classes,
            has_manifests,
            completed,
            mut jars,
            mut warnings,
            files: _,
            bytes: _,
        } = self;
        classes.retain(|it| is_class_name(&it.class));
        for class in &mut classes {
            let version = class.version.take();
            class.version = version.map(|text| printable(text.as_bytes()));
        }
        jars.retain(|jar| staged.files.binary_search(jar).is_ok());
        if jars.is_empty() && !staged.files.iter().any(|path| is_class(path)) {
            return Err(BundleError::NoCode);
        }
        for warning in &mut warnings {
            let clean = |c: char| if c.is_control() { '?' } else { c };
            *warning = warning.chars().take(200).map(clean).collect();
        }
        warnings.truncate(Limits::CONTRACT_CLASSES);
        Ok(Self {
            classes,
            has_manifests,
            completed,
            jars,
            warnings,
            files: staged.files.len() as u64,
            bytes: staged.bytes,
        })
    }

    /// Full names of the connector classes: what `/connector-plugins` of a worker must list.
    pub fn connectors(&self) -> impl Iterator<Item = &str> {
        self.classes
            .iter()
            .filter(|it| it.kind.is_connector())
            .map(|it| it.class.as_str())
    }
}

/// Reads the jars of a finished tree at `location`, and completes their manifests.
///
/// # Errors
///
/// No readable jar and no class file; a limit; this machine could not write.
pub(crate) fn read(
    location: &Path,
    tree: &mut Tree,
    limits: &Limits,
) -> Result<Contract, BundleError> {
    let mut jars: Vec<String> = tree
        .files()
        .iter()
        .filter(|path| is_jar(path))
        .cloned()
        .collect();
    jars.sort_unstable();
    let loose = tree.files().iter().any(|path| is_class(path));
    let mut scan = Scan::default();
    let mut readable = 0;
    for jar in &jars {
        warn_of_name(&mut scan, jar);
        let file = File::open(location.join(jar))
            .map_err(BundleError::write("read file", location.join(jar)))?;
        match open_zip(file, limits) {
            Ok(archive) => {
                readable += 1;
                scan.jar(archive, jar)?;
            }
            Err(_) => scan.warn(format!("jar {} cannot be read", shown(jar))),
        }
    }
    if readable == 0 && !loose {
        return Err(BundleError::NoCode);
    }
    if jars.is_empty() {
        scan.loose(location, tree.files())?;
    } else if loose {
        // Contract: `PluginUtils.pluginUrls` uses class files only where there is no archive.
        scan.warn("class files beside jars are not loaded".to_owned());
    }
    let found = scan.conclude();
    if found.classes.is_empty() {
        scan.warn("no connector or other plugin class was found".to_owned());
    }
    let missing = found.classes.iter().any(|class| !class.listed);
    let completed = missing
        && found.complete
        && services::complete(&found.classes, !jars.is_empty(), tree, limits)?;
    let has_manifests = !found.classes.is_empty() && found.complete && (completed || !missing);
    if !has_manifests {
        scan.warn("the worker scans for its classes, which slows down each start".to_owned());
    }
    Ok(Contract {
        classes: found.classes,
        has_manifests,
        completed,
        jars,
        warnings: std::mem::take(&mut scan.warnings),
        files: tree.files().len() as u64,
        bytes: tree.bytes(),
    })
}

/// Copies of what the worker already has: loaded twice they fail in ways that are hard to read.
fn warn_of_name(scan: &mut Scan, jar: &str) {
    const BUNDLED: [(&str, &str); 8] = [
        ("kafka-clients-", "a copy of kafka-clients"),
        ("connect-api-", "a copy of connect-api"),
        ("connect-runtime-", "a copy of connect-runtime"),
        ("slf4j-api-", "a copy of slf4j"),
        ("slf4j-", "an slf4j binding"),
        ("log4j-slf4j", "an slf4j binding"),
        ("logback-classic-", "an slf4j binding"),
        ("reload4j-", "a logging backend"),
    ];
    let file = jar.rsplit('/').next().unwrap_or(jar);
    if let Some((_, what)) = BUNDLED.iter().find(|(start, _)| file.starts_with(start)) {
        scan.warn(format!("it brings {what}: {}", shown(file)));
    }
}

pub(crate) fn is_class_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 512
        && text.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        })
}

pub(crate) fn shown(path: &str) -> String {
    format!("`{}`", printable(path.as_bytes()))
}
