//! Applications: configuration, leadership, resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Life, StatusRow};

/// One application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Its name in this model.
    pub name: String,
    /// The charm's name.
    pub charm: String,
    /// Where the unpacked charm lies; for the driver only.
    pub charm_dir: String,
    /// Charm revision: 0, 1, 2… for local charms.
    pub charm_revision: u32,
    /// Alive, or being removed.
    pub life: Life,
    /// The options that the charm declares.
    pub options: BTreeMap<String, ConfigOption>,
    /// What the operator set; absent means the option's default.
    pub config: BTreeMap<String, ConfigValue>,
    /// The unit that leads.
    pub leader: Option<String>,
    /// Application status; absent until the leader sets one.
    pub status: Option<StatusRow>,
    /// Workload version.
    pub workload_version: String,
    /// Declared resources by name.
    pub resources: BTreeMap<String, Resource>,
    /// Deployed or configured with `trust`.
    pub trusted: bool,
    /// Whether opened ports are reachable from outside.
    pub exposed: bool,
    /// A subordinate's units live beside other units.
    pub subordinate: bool,
    /// Settings of `leader-set` (up to Juju 3.6).
    pub leader_settings: BTreeMap<String, String>,
    /// Names of the storage that the charm declares, with the highest count, if any.
    pub storage_limits: BTreeMap<String, Option<u32>>,
}

impl Application {
    /// An application of this name with everything else empty.
    #[must_use]
    pub fn new(name: &str, charm: &str) -> Self {
        Self {
            name: name.to_owned(),
            charm: charm.to_owned(),
            ..Self::default()
        }
    }

    /// An option's value: what was set, else its default.
    #[must_use]
    pub fn value(&self, option: &str) -> Option<&ConfigValue> {
        let default = || {
            self.options
                .get(option)
                .and_then(|option| option.default.as_ref())
        };
        self.config.get(option).or_else(default)
    }
}

/// An option that a charm declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigOption {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// Its default, if it has one.
    pub default: Option<ConfigValue>,
    /// What the charm's author says of it.
    #[serde(default)]
    pub description: String,
}

/// The type of an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionType {
    /// Text; also what an option without a type is.
    #[default]
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Boolean,
    /// The URI of a secret, or nothing.
    Secret,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConfigValue {
    /// `boolean`.
    Boolean(bool),
    /// `int`.
    Int(i64),
    /// `float`.
    Float(f64),
    /// `string` and `secret`.
    String(String),
}

/// A resource that the charm declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// The file's name in the unit's resource directory.
    pub filename: String,
    /// The operator's file, kept by the driver; absent when nothing was ever attached.
    pub source: Option<String>,
    /// Goes up with each attached file.
    pub revision: u32,
}
