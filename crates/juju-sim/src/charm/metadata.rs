//! `metadata.yaml` and `manifest.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::{CharmError, Result, invalid, is_application_name, is_name};

const FILE: &str = "metadata.yaml";

/// What the charm says about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) subordinate: bool,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    pub(crate) extra_bindings: Vec<String>,
    pub(crate) storage: BTreeMap<String, Storage>,
    pub(crate) resources: BTreeMap<String, Resource>,
}

/// Which side of a relation an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Provider,
    Requirer,
    Peer,
}

/// One endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) role: Role,
    pub(crate) interface: String,
    pub(crate) limit: Option<u32>,
    pub(crate) container_scoped: bool,
}

/// One storage declaration. The range is what `multiple` allows, `1` when it is absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Storage {
    pub(crate) block: bool,
    pub(crate) location: Option<String>,
    pub(crate) range: (u32, Option<u32>),
    pub(crate) multiple: bool,
}

/// One file resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) filename: String,
}

#[derive(Deserialize)]
struct Raw {
    name: Option<String>,
    summary: Option<String>,
    description: Option<String>,
    #[serde(default)]
    subordinate: bool,
    #[serde(default)]
    provides: BTreeMap<String, RawEndpoint>,
    #[serde(default)]
    requires: BTreeMap<String, RawEndpoint>,
    #[serde(default)]
    peers: BTreeMap<String, RawEndpoint>,
    #[serde(default, rename = "extra-bindings")]
    extra_bindings: BTreeMap<String, Value>,
    #[serde(default)]
    storage: BTreeMap<String, RawStorage>,
    #[serde(default)]
    resources: BTreeMap<String, RawResource>,
    series: Option<Value>,
    deployment: Option<Value>,
    #[serde(rename = "min-juju-version")]
    min_juju_version: Option<Value>,
    containers: Option<Value>,
    assumes: Option<Value>,
    #[serde(rename = "charm-user")]
    charm_user: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawEndpoint {
    Short(String),
    Long {
        interface: String,
        limit: Option<u32>,
        scope: Option<String>,
    },
}

#[derive(Deserialize)]
struct RawStorage {
    #[serde(rename = "type")]
    kind: String,
    location: Option<String>,
    multiple: Option<RawMultiple>,
}

#[derive(Deserialize)]
struct RawMultiple {
    range: Value,
}

#[derive(Deserialize)]
struct RawResource {
    #[serde(rename = "type")]
    kind: String,
    filename: Option<String>,
}

/// Parses and checks `metadata.yaml`.
pub(super) fn parse(text: &str) -> Result<Metadata> {
    let raw: Raw =
        serde_yaml::from_str(text).map_err(|source| CharmError::Parse { file: FILE, source })?;
    let required = |value: Option<String>, key: &str| {
        value.ok_or_else(|| invalid(FILE, format!("{key}: expected string, got nothing")))
    };
    let (old, new) = generations(&raw);
    if !old.is_empty() && !new.is_empty() {
        let (old, new) = (old.join("\", \""), new.join("\", \""));
        return Err(invalid(
            FILE,
            format!("ambiguous metadata: keys \"{old}\" cannot be used with \"{new}\""),
        ));
    }
    let name = required(raw.name, "name")?;
    if !is_application_name(&name) {
        return Err(invalid(FILE, format!("invalid charm name {name:?}")));
    }
    required(raw.description, "description")?;
    let mut endpoints = BTreeMap::new();
    for (role, declared) in [
        (Role::Provider, raw.provides),
        (Role::Requirer, raw.requires),
        (Role::Peer, raw.peers),
    ] {
        for (name, endpoint) in declared {
            let checked = endpoint_of(&name, role, endpoint)?;
            if endpoints.insert(name.clone(), checked).is_some() {
                return Err(invalid(
                    FILE,
                    format!("charm uses a duplicated relation name: {name:?}"),
                ));
            }
        }
    }
    let container = |e: &Endpoint| e.role == Role::Requirer && e.container_scoped;
    if raw.subordinate && !endpoints.values().any(container) {
        return Err(invalid(
            FILE,
            format!("subordinate charm {name:?} lacks \"requires\" relation with container scope"),
        ));
    }
    for (binding, value) in &raw.extra_bindings {
        if !value.is_null() || endpoints.contains_key(binding) {
            return Err(invalid(
                FILE,
                format!("extra binding {binding:?} has a value or an endpoint's name"),
            ));
        }
    }
    Ok(Metadata {
        name,
        summary: required(raw.summary, "summary")?,
        subordinate: raw.subordinate,
        endpoints,
        extra_bindings: raw.extra_bindings.into_keys().collect(),
        storage: raw
            .storage
            .into_iter()
            .map(storage_of)
            .collect::<Result<_>>()?,
        resources: raw
            .resources
            .into_iter()
            .filter_map(|(name, resource)| resource_of(name, resource).transpose())
            .collect::<Result<_>>()?,
    })
}

/// The keys of the first and of the second metadata format that are present.
fn generations(raw: &Raw) -> (Vec<&'static str>, Vec<&'static str>) {
    let present = |keys: [(&'static str, &Option<Value>); 3]| {
        keys.into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(key, _)| key)
            .collect()
    };
    (
        present([
            ("deployment", &raw.deployment),
            ("min-juju-version", &raw.min_juju_version),
            ("series", &raw.series),
        ]),
        present([
            ("assumes", &raw.assumes),
            ("charm-user", &raw.charm_user),
            ("containers", &raw.containers),
        ]),
    )
}

fn endpoint_of(name: &str, role: Role, raw: RawEndpoint) -> Result<Endpoint> {
    let (interface, limit, scope) = match raw {
        RawEndpoint::Short(interface) => (interface, None, None),
        RawEndpoint::Long {
            interface,
            limit,
            scope,
        } => (interface, limit, scope),
    };
    if !is_name(name, &['-', '_'], true) {
        return Err(invalid(FILE, format!("invalid relation name {name:?}")));
    }
    let reserved = |name: &str| name == "juju" || name.starts_with("juju-");
    if reserved(name) {
        return Err(invalid(
            FILE,
            format!("charm using a reserved relation name: {name:?}"),
        ));
    }
    if role != Role::Requirer && reserved(&interface) {
        return Err(invalid(
            FILE,
            format!("relation {name:?} using a reserved interface: {interface:?}"),
        ));
    }
    let container_scoped = match scope.as_deref() {
        None | Some("global") => false,
        Some("container") => true,
        Some(other) => {
            return Err(invalid(
                FILE,
                format!("relation {name:?} has unknown scope {other:?}"),
            ));
        }
    };
    Ok(Endpoint {
        role,
        interface,
        limit,
        container_scoped,
    })
}

fn storage_of((name, raw): (String, RawStorage)) -> Result<(String, Storage)> {
    if !is_application_name(&name) {
        return Err(invalid(FILE, format!("invalid storage name {name:?}")));
    }
    let block = match raw.kind.as_str() {
        "filesystem" => false,
        "block" => true,
        other => {
            return Err(invalid(
                FILE,
                format!("storage {name:?} has unknown type {other:?}"),
            ));
        }
    };
    let multiple = raw.multiple.is_some();
    let range = match raw.multiple {
        None => (1, Some(1)),
        Some(RawMultiple { range }) => {
            let number = || serde_yaml::to_string(&range).unwrap_or_default();
            let text = range.as_str().map_or_else(number, str::to_owned);
            let text = text.trim();
            range_of(text).ok_or_else(|| {
                invalid(FILE, format!("storage {name:?} has invalid range {text:?}"))
            })?
        }
    };
    Ok((
        name,
        Storage {
            block,
            location: raw.location,
            range,
            multiple,
        },
    ))
}

/// `m`, `m-n`, `m+` or `m-`.
fn range_of(text: &str) -> Option<(u32, Option<u32>)> {
    if let Some(least) = text.strip_suffix(['+', '-']) {
        return Some((least.parse().ok()?, None));
    }
    if let Some((least, most)) = text.split_once('-') {
        Some((least.parse().ok()?, Some(most.parse().ok()?)))
    } else {
        let exact = text.parse().ok()?;
        Some((exact, Some(exact)))
    }
}

fn resource_of(name: String, raw: RawResource) -> Result<Option<(String, Resource)>> {
    match (raw.kind.as_str(), raw.filename) {
        ("oci-image", _) => Ok(None),
        ("file", Some(filename)) if !filename.is_empty() && !filename.contains('/') => {
            Ok(Some((name, Resource { filename })))
        }
        ("file", _) => Err(invalid(
            FILE,
            format!("resource {name:?} needs a filename without \"/\""),
        )),
        (other, _) => Err(invalid(
            FILE,
            format!("resource {name:?} has unknown type {other:?}"),
        )),
    }
}

/// Parses `manifest.yaml` into bases.
pub(super) fn parse_bases(text: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        bases: Vec<Base>,
    }
    #[derive(Deserialize)]
    struct Base {
        name: String,
        channel: Value,
    }
    let file = "manifest.yaml";
    let manifest: Manifest =
        serde_yaml::from_str(text).map_err(|source| CharmError::Parse { file, source })?;
    let base = |base: Base| {
        let channel = base
            .channel
            .as_str()
            .ok_or_else(|| invalid(file, "channel: expected string"))?;
        Ok(format!(
            "{}@{}",
            base.name,
            channel.split('/').next().unwrap_or_default()
        ))
    };
    manifest.bases.into_iter().map(base).collect()
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn storage_ranges() {
        assert_eq!(range_of("2"), Some((2, Some(2))));
        assert_eq!(range_of("0-1"), Some((0, Some(1))));
        assert_eq!(range_of("1+"), Some((1, None)));
        assert_eq!(range_of("1-"), Some((1, None)));
        assert_eq!(range_of("x"), None);
    }
}
