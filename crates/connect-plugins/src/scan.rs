//! Reads the jars of a bundle for the plugins they hold: what manifests list, and what is in class
//! files alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::classfile::{self, Class};
use crate::contract::{PluginClass, is_class_name, shown};
use crate::entry::printable;
use crate::error::BundleError;
use crate::kind::{Ancestor, Kind};
use crate::limits::{Limit, Limits};
use crate::services::SERVICES;
use crate::unpack::is_class;

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    listed: BTreeSet<(String, Kind)>,
    /// Classes that could be plugins or lead to one, by name.
    candidates: BTreeMap<String, Class>,
    /// Class → the version of its jar.
    versions: BTreeMap<String, String>,
    pub(crate) warnings: Vec<String>,
    /// Bytes of class files read.
    bytes: u64,
    /// There were more class files than we read.
    incomplete: bool,
}

/// What a bundle offers.
pub(crate) struct Found {
    pub(crate) classes: Vec<PluginClass>,
    /// Every class is known, so that manifests for the unlisted ones are all that is missing.
    pub(crate) complete: bool,
}

impl Scan {
    /// Reads a jar. One with manifests of Kafka's interfaces is taken at its word but for classes
    /// named `…Connector`; of one without, every class file is looked at.
    pub(crate) fn jar(
        &mut self,
        mut archive: ZipArchive<File>,
        jar: &str,
    ) -> Result<(), BundleError> {
        let names: Vec<String> = archive
            .file_names_raw()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let speaks = names.iter().any(|name| service(name).is_some());
        let ours = is_kafkas_own(jar);
        let version = names
            .iter()
            .position(|name| name == "META-INF/MANIFEST.MF")
            .and_then(|index| self.content(&mut archive, index, "META-INF/MANIFEST.MF", jar))
            .and_then(|text| version(&text))
            .or_else(|| version_in_name(jar));
        for (index, name) in names.iter().enumerate() {
            let wanted = service(name).is_some()
                || is_class(name)
                    && !ours
                    && (name.ends_with("Connector.class") || !speaks)
                    && !name.starts_with("META-INF/");
            if !wanted {
                continue;
            }
            let Some(content) = self.content(&mut archive, index, name, jar) else {
                continue;
            };
            self.found(name, &content, version.as_deref())?;
        }
        Ok(())
    }

    /// A location without jars is itself the root of the classes.
    pub(crate) fn loose(&mut self, location: &Path, files: &[String]) -> Result<(), BundleError> {
        for name in files
            .iter()
            .filter(|name| service(name).is_some() || is_class(name))
        {
            let mut content = Vec::new();
            File::open(location.join(name))
                .and_then(|file| file.take(Limits::CONTRACT_FILE).read_to_end(&mut content))
                .map_err(BundleError::write("read file", location.join(name)))?;
            self.found(name, &content, None)?;
        }
        Ok(())
    }

    fn content(
        &mut self,
        archive: &mut ZipArchive<File>,
        index: usize,
        name: &str,
        jar: &str,
    ) -> Option<Vec<u8>> {
        if self.bytes > Limits::SCANNED_BYTES || self.candidates.len() >= Limits::SCANNED_CLASSES {
            self.incomplete = true;
            return None;
        }
        let mut content = Vec::new();
        let read = archive
            .by_index(index)
            .map_err(std::io::Error::other)
            .and_then(|entry| entry.take(Limits::CONTRACT_FILE).read_to_end(&mut content));
        self.bytes += content.len() as u64;
        if read.is_err() {
            self.incomplete = true;
            self.warn(format!(
                "{} in jar {} cannot be read",
                printable(name.as_bytes()),
                shown(jar)
            ));
            return None;
        }
        Some(content)
    }

    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < Limits::WARNINGS {
            self.warnings.push(warning);
        }
    }

    fn found(
        &mut self,
        name: &str,
        content: &[u8],
        version: Option<&str>,
    ) -> Result<(), BundleError> {
        if let Some(kind) = service(name) {
            for line in String::from_utf8_lossy(content).lines() {
                let class = line.split('#').next().unwrap_or_default().trim();
                if is_class_name(class) {
                    self.listed.insert((class.to_owned(), kind));
                    self.remember(class, version);
                } else if !class.is_empty() {
                    self.warn(format!(
                        "a manifest names `{}`, which is no class",
                        printable(class.as_bytes())
                    ));
                }
            }
        } else if let Some(class) = classfile::parse(content)
            && is_class_name(&class.name)
            && class.can_lead_to_a_plugin()
        {
            self.remember(&class.name, version);
            self.candidates.insert(class.name.clone(), class);
        }
        if self.listed.len() > Limits::CONTRACT_CLASSES {
            return Err(BundleError::TooLarge(Limit::Classes(
                Limits::CONTRACT_CLASSES,
            )));
        }
        Ok(())
    }

    fn remember(&mut self, class: &str, version: Option<&str>) {
        if let Some(version) = version {
            self.versions.insert(class.to_owned(), version.to_owned());
        }
    }

    pub(crate) fn conclude(&mut self) -> Found {
        let mut unlisted = BTreeSet::new();
        let mut unknown = Vec::new();
        for class in self.candidates.values().filter(|class| class.is_usable()) {
            let mut kinds = BTreeSet::new();
            if !self.kinds_of(&class.name, &mut BTreeSet::new(), &mut kinds) {
                unknown.push(class.name.clone());
            }
            unlisted.extend(kinds.into_iter().map(|kind| (class.name.clone(), kind)));
        }
        unlisted.retain(|found| !self.listed.contains(found));
        if unlisted.len() > Limits::CONTRACT_CLASSES {
            self.incomplete = true;
            unlisted.clear();
        }
        for class in &unknown {
            self.warn(format!(
                "it is not clear whether {} is a plugin",
                shown(class)
            ));
        }
        if self.incomplete {
            self.warn("not every class could be looked at".to_owned());
        }
        let versions = &self.versions;
        let with = |listed| {
            move |(class, kind): &(String, Kind)| PluginClass {
                class: class.clone(),
                kind: *kind,
                listed,
                version: versions.get(class).cloned(),
            }
        };
        let mut classes: Vec<PluginClass> = self
            .listed
            .iter()
            .map(with(true))
            .chain(unlisted.iter().map(with(false)))
            .collect();
        classes.sort();
        Found {
            classes,
            complete: !self.incomplete && unknown.is_empty(),
        }
    }

    /// Collects what a class is by its ancestors, through the bundle and into Kafka. False if one of
    /// them is Kafka's and says nothing to us.
    fn kinds_of(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        kinds: &mut BTreeSet<Kind>,
    ) -> bool {
        // A bundle may claim a circle, or a tower.
        if seen.len() > 100 || !seen.insert(name.to_owned()) {
            return true;
        }
        let Some(class) = self.candidates.get(name) else {
            return true;
        };
        let mut clear = true;
        for (ancestor, is_class) in std::iter::once((&class.parent, true))
            .chain(class.interfaces.iter().map(|name| (name, false)))
        {
            if let Some(kind) = Kind::of(ancestor) {
                kinds.insert(kind);
            } else if self.candidates.contains_key(ancestor) {
                clear &= self.kinds_of(ancestor, seen, kinds);
            } else {
                match Kind::inherited(ancestor) {
                    Ancestor::Known(more) if is_class => kinds.extend(more),
                    // Kafka's other interfaces lead to no kind.
                    Ancestor::Unknown if is_class => clear = false,
                    Ancestor::Known(_) | Ancestor::Unknown | Ancestor::Foreign => {}
                }
            }
        }
        clear
    }
}

/// The kind whose manifest a file is.
fn service(name: &str) -> Option<Kind> {
    name.strip_prefix(SERVICES).and_then(Kind::of)
}

/// Kafka's own jars: the worker never loads these classes from a bundle.
fn is_kafkas_own(jar: &str) -> bool {
    let file = jar.rsplit('/').next().unwrap_or(jar);
    ["kafka-clients-", "connect-api-", "connect-runtime-"]
        .iter()
        .any(|start| file.starts_with(start))
}

/// The version that a jar's manifest states.
fn version(manifest: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(manifest);
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(|value| printable(value.trim().as_bytes()))
            .filter(|value| !value.is_empty())
    };
    value("Implementation-Version").or_else(|| value("Bundle-Version"))
}

/// `acme-1.2.3.jar` → `1.2.3`.
fn version_in_name(jar: &str) -> Option<String> {
    let file = jar.rsplit('/').next().unwrap_or(jar);
    let stem = file.get(..file.len().checked_sub(4)?)?;
    let at = stem
        .match_indices('-')
        .find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?
        .0;
    Some(printable(&stem.as_bytes()[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{version, version_in_name};

    #[test]
    fn versions_are_read_from_manifests_and_names() {
        for (manifest, expect) in [
            (
                "Manifest-Version: 1.0\r\nImplementation-Version: 2.1\r\n",
                Some("2.1"),
            ),
            ("Bundle-Version: 3.0.0.Final\n", Some("3.0.0.Final")),
            ("Manifest-Version: 1.0\n", None),
            ("Implementation-Version:\n", None),
        ] {
            assert_eq!(
                version(manifest.as_bytes()).as_deref(),
                expect,
                "{manifest}"
            );
        }
        for (name, expect) in [
            ("lib/acme-1.2.3.jar", Some("1.2.3")),
            ("debezium-core-3.0.0.Final.jar", Some("3.0.0.Final")),
            ("acme.jar", None),
            ("a-b.jar", None),
            ("x", None),
        ] {
            assert_eq!(version_in_name(name).as_deref(), expect, "{name}");
        }
    }
}
