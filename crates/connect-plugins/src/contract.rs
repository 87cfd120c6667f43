//! What a bundle offers: the classes its jars declare, and what an operator should know about it.
//!
//! Contract: `java.util.ServiceLoader` manifests (`META-INF/services/<interface>`) as Kafka Connect
//! reads them with `plugin.discovery=service_load`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use crate::classfile::{self, Class};
use crate::entry::printable;
use crate::error::BundleError;
use crate::limits::{Limit, Limits};
use crate::staged::Staged;
use crate::unpack::{is_class, is_jar, open_zip};

/// What a plugin class is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A source connector.
    Source,
    /// A sink connector.
    Sink,
    /// A key or value converter.
    Converter,
    /// A header converter.
    HeaderConverter,
    /// A single message transform.
    Transform,
    /// A predicate of transforms.
    Predicate,
    /// A config provider.
    ConfigProvider,
    /// A REST extension.
    RestExtension,
    /// A policy on client overrides.
    OverridePolicy,
}

impl Kind {
    /// The interface each kind is declared under.
    const INTERFACES: [(&'static str, Self); 9] = [
        (
            "org.apache.kafka.connect.source.SourceConnector",
            Self::Source,
        ),
        ("org.apache.kafka.connect.sink.SinkConnector", Self::Sink),
        (
            "org.apache.kafka.connect.storage.Converter",
            Self::Converter,
        ),
        (
            "org.apache.kafka.connect.storage.HeaderConverter",
            Self::HeaderConverter,
        ),
        (
            "org.apache.kafka.connect.transforms.Transformation",
            Self::Transform,
        ),
        (
            "org.apache.kafka.connect.transforms.predicates.Predicate",
            Self::Predicate,
        ),
        (
            "org.apache.kafka.common.config.provider.ConfigProvider",
            Self::ConfigProvider,
        ),
        (
            "org.apache.kafka.connect.rest.ConnectRestExtension",
            Self::RestExtension,
        ),
        (
            "org.apache.kafka.connect.connector.policy.ConnectorClientConfigOverridePolicy",
            Self::OverridePolicy,
        ),
    ];

    fn of(interface: &str) -> Option<Self> {
        Self::INTERFACES
            .iter()
            .find(|(name, _)| *name == interface)
            .map(|(_, kind)| *kind)
    }

    /// A source or sink: what clients create by name.
    #[must_use]
    pub fn is_connector(self) -> bool {
        matches!(self, Self::Source | Self::Sink)
    }
}

/// One class a bundle offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PluginClass {
    /// Full class name.
    pub class: String,
    /// What it is for.
    pub kind: Kind,
    /// A manifest names it. Otherwise it was found by its class file, and the worker finds it only
    /// by scanning.
    pub listed: bool,
}

/// What a bundle offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Its classes, sorted. Connectors without a manifest are in it where their class file, named
    /// `…Connector.class`, extends Kafka's class directly or by way of another one in the bundle.
    pub classes: Vec<PluginClass>,
    /// Manifests name every class above, and at least one: `plugin.discovery=service_load` will do.
    pub has_manifests: bool,
    /// Paths of its jars below the plugin location, sorted.
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
            mut jars,
            mut warnings,
            files: _,
            bytes: _,
        } = self;
        classes.retain(|it| is_class_name(&it.class));
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

/// Reads the jars below `location`; `files` are all files there, relative.
///
/// # Errors
///
/// No readable jar and no class file; a limit.
pub(crate) fn read(
    location: &Path,
    files: &[String],
    bytes: u64,
    limits: &Limits,
) -> Result<Contract, BundleError> {
    let mut jars: Vec<&str> = files
        .iter()
        .map(String::as_str)
        .filter(|path| is_jar(path))
        .collect();
    jars.sort_unstable();
    let loose = files.iter().any(|path| is_class(path));
    let mut reading = Reading::default();
    let mut readable = 0;
    for jar in &jars {
        reading.warn_of_name(jar);
        match File::open(location.join(jar)) {
            Ok(file) => match open_zip(file, limits) {
                Ok(archive) => {
                    readable += 1;
                    reading.jar(archive, jar)?;
                }
                Err(_) => reading
                    .warnings
                    .push(format!("jar {} cannot be read", shown(jar))),
            },
            Err(source) => {
                return Err(BundleError::write("read file", location.join(jar))(source));
            }
        }
    }
    if readable == 0 && !loose {
        return Err(BundleError::NoCode);
    }
    if jars.is_empty() {
        reading.loose(location, files)?;
    } else if loose {
        // Contract: `PluginUtils.pluginUrls` uses class files only where there is no archive.
        reading
            .warnings
            .push("class files beside jars are not loaded".to_owned());
    }
    let (classes, has_manifests) = reading.conclude();
    if classes.is_empty() {
        reading
            .warnings
            .push("no connector or other plugin class was found".to_owned());
    }
    Ok(Contract {
        classes,
        has_manifests,
        jars: jars.into_iter().map(str::to_owned).collect(),
        warnings: reading.warnings,
        files: files.len() as u64,
        bytes,
    })
}

#[derive(Default)]
struct Reading {
    listed: BTreeSet<(String, Kind)>,
    /// Class files whose name says connector, by class name.
    candidates: BTreeMap<String, Class>,
    warnings: Vec<String>,
}

impl Reading {
    fn jar(&mut self, mut archive: ZipArchive<File>, jar: &str) -> Result<(), BundleError> {
        for index in 0..archive.len() {
            let name = match archive.by_index_raw(index) {
                Ok(entry) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
                Err(_) => continue,
            };
            if !is_wanted(&name) {
                continue;
            }
            let mut content = Vec::new();
            let read = archive
                .by_index(index)
                .map_err(std::io::Error::other)
                .and_then(|entry| entry.take(Limits::CONTRACT_FILE).read_to_end(&mut content));
            if read.is_err() {
                self.warnings.push(format!(
                    "{} in jar {} cannot be read",
                    printable(name.as_bytes()),
                    shown(jar)
                ));
                continue;
            }
            self.found(&name, &content)?;
        }
        Ok(())
    }

    /// A location without jars is itself the root of the classes.
    fn loose(&mut self, location: &Path, files: &[String]) -> Result<(), BundleError> {
        for name in files.iter().filter(|name| is_wanted(name)) {
            let mut content = Vec::new();
            File::open(location.join(name))
                .and_then(|file| file.take(Limits::CONTRACT_FILE).read_to_end(&mut content))
                .map_err(BundleError::write("read file", location.join(name)))?;
            self.found(name, &content)?;
        }
        Ok(())
    }

    fn found(&mut self, name: &str, content: &[u8]) -> Result<(), BundleError> {
        if let Some(kind) = name.strip_prefix(SERVICES).and_then(Kind::of) {
            for line in String::from_utf8_lossy(content).lines() {
                let class = line.split('#').next().unwrap_or_default().trim();
                if is_class_name(class) {
                    self.listed.insert((class.to_owned(), kind));
                } else if !class.is_empty() {
                    self.warnings.push(format!(
                        "a manifest names `{}`, which is no class",
                        printable(class.as_bytes())
                    ));
                }
            }
        } else if let Some(class) = classfile::parse(content)
            && is_class_name(&class.name)
        {
            self.candidates.insert(class.name.clone(), class);
        }
        if self.listed.len() + self.candidates.len() + self.warnings.len()
            > Limits::CONTRACT_CLASSES
        {
            return Err(BundleError::TooLarge(Limit::Classes(
                Limits::CONTRACT_CLASSES,
            )));
        }
        Ok(())
    }

    /// Copies of what the worker already has: loaded twice they fail in ways that are hard to read.
    fn warn_of_name(&mut self, jar: &str) {
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
            self.warnings
                .push(format!("it brings {what}: {}", shown(file)));
        }
    }

    fn conclude(&self) -> (Vec<PluginClass>, bool) {
        let unlisted: BTreeSet<(String, Kind)> = self
            .candidates
            .values()
            .filter(|class| class.concrete)
            .filter_map(|class| Some((class.name.clone(), self.kind_of(class)?)))
            .filter(|found| !self.listed.contains(found))
            .collect();
        let has_manifests = unlisted.is_empty() && !self.listed.is_empty();
        let with = |listed| {
            move |(class, kind): &(String, Kind)| PluginClass {
                class: class.clone(),
                kind: *kind,
                listed,
            }
        };
        let mut classes: Vec<PluginClass> = self
            .listed
            .iter()
            .map(with(true))
            .chain(unlisted.iter().map(with(false)))
            .collect();
        classes.sort();
        (classes, has_manifests)
    }

    /// Follows superclasses through the bundle until one is Kafka's own.
    fn kind_of(&self, class: &Class) -> Option<Kind> {
        let mut parent = &class.parent;
        // A bundle may claim a circle.
        for _ in 0..=self.candidates.len() {
            match Kind::of(parent) {
                Some(kind) if kind.is_connector() => return Some(kind),
                _ => parent = &self.candidates.get(parent)?.parent,
            }
        }
        None
    }
}

const SERVICES: &str = "META-INF/services/";

fn is_wanted(name: &str) -> bool {
    name.strip_prefix(SERVICES)
        .is_some_and(|interface| Kind::of(interface).is_some())
        || name.ends_with("Connector.class")
}

fn is_class_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 512
        && text.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        })
}

fn shown(path: &str) -> String {
    format!("`{}`", printable(path.as_bytes()))
}
