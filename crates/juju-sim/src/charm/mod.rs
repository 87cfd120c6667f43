//! A charm as Juju reads it: from a directory or from a `.charm` archive.
//!
//! What Juju refuses at deploy time is refused here too, as far as a machine charm can offend:
//! names, roles, option types, action schemas, links that leave the archive.

mod actions;
mod config;
mod files;
mod metadata;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use actions::Action;
pub(crate) use config::{ConfigOption, OptionType};
pub(crate) use metadata::{Endpoint, Metadata, Role};

/// Why a charm cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CharmError {
    #[error("invalid charm or bundle provided at {path:?}")]
    NotACharm {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read archive {path:?}")]
    Archive {
        path: PathBuf,
        source: zip::result::ZipError,
    },
    #[error("cannot parse {file}")]
    Parse {
        file: &'static str,
        source: serde_yaml::Error,
    },
    #[error("charm has no {0}")]
    Missing(&'static str),
    #[error("{file}: {fault}")]
    Invalid { file: &'static str, fault: String },
    #[error("cannot unpack {entry:?}: {fault}")]
    Entry { entry: String, fault: &'static str },
    #[error("cannot write {path:?}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

pub(crate) type Result<T> = std::result::Result<T, CharmError>;

/// Everything the model needs to know about one charm.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Charm {
    pub(crate) metadata: Metadata,
    pub(crate) options: BTreeMap<String, ConfigOption>,
    pub(crate) actions: BTreeMap<String, Action>,
    /// Bases of the manifest, as `ubuntu@24.04`.
    pub(crate) bases: Vec<String>,
    /// The text of the file `version`, if there is one.
    pub(crate) version: Option<String>,
}

/// Reads and checks the charm that was unpacked to `directory`.
pub(crate) fn read(directory: &Path) -> Result<Charm> {
    let metadata =
        files::read(directory, "metadata.yaml")?.ok_or(CharmError::Missing("metadata.yaml"))?;
    let metadata = metadata::parse(&metadata)?;
    let options = match files::read(directory, "config.yaml")? {
        Some(text) => config::parse(&text)?,
        None => BTreeMap::new(),
    };
    let actions = match files::read(directory, "actions.yaml")? {
        Some(text) => actions::parse(&text)?,
        None => BTreeMap::new(),
    };
    let bases = match files::read(directory, "manifest.yaml")? {
        Some(text) => metadata::parse_bases(&text)?,
        None => Vec::new(),
    };
    let version = files::read(directory, "version")?.map(|text| text.trim().to_owned());
    Ok(Charm {
        metadata,
        options,
        actions,
        bases,
        version,
    })
}

/// Copies a charm directory or unpacks an archive into `target`, modes included, and returns the
/// files written, relative to it. Files that `previous` names and this charm lacks are removed.
pub(crate) fn unpack(source: &Path, target: &Path, previous: &[String]) -> Result<Vec<String>> {
    let written = if source.is_dir() {
        files::copy_directory(source, target)?
    } else {
        files::unpack_archive(source, target)?
    };
    for old in previous.iter().filter(|old| !written.contains(old)) {
        // Juju removes what only the old archive had; what is already gone is fine.
        drop(std::fs::remove_file(target.join(old)));
    }
    Ok(written)
}

fn invalid(file: &'static str, fault: impl Into<String>) -> CharmError {
    CharmError::Invalid {
        file,
        fault: fault.into(),
    }
}

/// Whether `name` consists of `separators`-joined parts of lower-case letters and digits, beginning
/// with a letter if `letter_first`.
fn is_name(name: &str, separators: &[char], letter_first: bool) -> bool {
    let starts = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || (!letter_first && c.is_ascii_digit()));
    starts
        && name.split(separators).all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// Charm, application and storage names: every dash-separated part has a letter.
pub(crate) fn is_application_name(name: &str) -> bool {
    is_name(name, &['-'], true)
        && name
            .split('-')
            .all(|part| part.chars().any(|c| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_names_need_a_letter_in_every_part() {
        for (name, good) in [
            ("kc", true),
            ("kafka-connect", true),
            ("k8s-a1", true),
            ("kc-0", false),
            ("Kc", false),
            ("0kc", false),
            ("kc-", false),
            ("", false),
        ] {
            assert_eq!(is_application_name(name), good, "{name}");
        }
    }

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    const METADATA: &str = "name: a\nsummary: s\ndescription: d\n";

    #[test]
    fn a_whole_charm_is_read() {
        let directory = written(&[
            (
                "metadata.yaml",
                &format!(
                    "{METADATA}requires:\n  db: {{interface: pg, limit: 1}}\npeers:\n  mates: mate\n\
                     storage:\n  data: {{type: filesystem, multiple: {{range: 0-1}}}}\n\
                     resources:\n  tool: {{type: file, filename: t.tgz}}\n"
                ),
            ),
            (
                "config.yaml",
                "options:\n  port: {type: int, default: 8083}\n  name: {}\n",
            ),
            (
                "actions.yaml",
                "go:\n  params:\n    n: {type: integer, default: 2}\n",
            ),
            (
                "manifest.yaml",
                "bases: [{name: ubuntu, channel: '24.04', architectures: [amd64]}]\n",
            ),
        ]);
        let charm = read(directory.path()).unwrap();
        assert_eq!(charm.metadata.endpoints["db"].limit, Some(1));
        assert_eq!(charm.metadata.endpoints["mates"].role, Role::Peer);
        assert_eq!(charm.metadata.storage["data"].range, (0, Some(1)));
        assert_eq!(charm.metadata.resources["tool"].filename, "t.tgz");
        assert_eq!(charm.options["port"].default, Some(serde_json::json!(8083)));
        assert_eq!(charm.bases, ["ubuntu@24.04"]);
    }

    #[test]
    fn what_juju_refuses_is_refused() {
        for (file, text, fault) in [
            (
                "metadata.yaml",
                "name: A\nsummary: s\ndescription: d\n",
                "invalid charm name",
            ),
            ("metadata.yaml", "name: a\nsummary: s\n", "description"),
            (
                "metadata.yaml",
                &format!("{METADATA}requires: {{juju-x: y}}\n") as &str,
                "reserved",
            ),
            (
                "metadata.yaml",
                &format!("{METADATA}requires: {{x: y}}\npeers: {{x: z}}\n"),
                "duplicated",
            ),
            (
                "metadata.yaml",
                &format!("{METADATA}provides: {{x: juju}}\n"),
                "reserved",
            ),
            (
                "metadata.yaml",
                &format!("{METADATA}series: [noble]\nassumes: [juju]\n"),
                "ambiguous",
            ),
            (
                "metadata.yaml",
                &format!("{METADATA}resources: {{r: {{type: file, filename: a/b}}}}\n"),
                "filename",
            ),
            ("config.yaml", "{}\n", "options"),
            (
                "config.yaml",
                "options: {p: {type: int, default: x}}\n",
                "invalid config default",
            ),
            (
                "config.yaml",
                "options: {p: {type: number}}\n",
                "unknown type",
            ),
            ("actions.yaml", "Go: {}\n", "bad action name"),
            ("actions.yaml", "juju-x: {}\n", "reserved"),
            ("actions.yaml", "go: {params: {a: {'$ref': x}}}\n", "$ref"),
        ] {
            let mut files = vec![("metadata.yaml", METADATA)];
            files.retain(|(name, _)| *name != file);
            files.push((file, text));
            let error = read(written(&files).path()).unwrap_err().to_string();
            assert!(error.contains(fault), "{file}: {text}: {error}");
        }
    }
}
