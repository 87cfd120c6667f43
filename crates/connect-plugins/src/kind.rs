//! The kinds of plugins, and the interfaces that tell them.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Converter => "converter",
            Self::HeaderConverter => "header-converter",
            Self::Transform => "transform",
            Self::Predicate => "predicate",
            Self::ConfigProvider => "config-provider",
            Self::RestExtension => "rest-extension",
            Self::OverridePolicy => "override-policy",
        })
    }
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

    /// By the interface or class that a plugin declares or extends.
    pub(crate) fn of(interface: &str) -> Option<Self> {
        Self::INTERFACES
            .iter()
            .find(|(name, _)| *name == interface)
            .map(|(_, kind)| *kind)
    }

    /// The interface a manifest for this kind is named after.
    pub(crate) fn interface(self) -> &'static str {
        let (name, _) = Self::INTERFACES
            .iter()
            .find(|(_, kind)| *kind == self)
            .expect("every kind is in the table");
        name
    }

    /// What a class is that extends one of Kafka's own, which are in the worker and not in the bundle.
    pub(crate) fn inherited(from: &str) -> Ancestor {
        const CONVERTERS: [Kind; 2] = [Kind::Converter, Kind::HeaderConverter];
        let Some(name) = from.strip_prefix("org.apache.kafka.connect.") else {
            return Ancestor::Foreign;
        };
        let kinds: &[Self] = match name {
            "json.JsonConverter" | "storage.StringConverter" => &CONVERTERS,
            "storage.SimpleHeaderConverter" => &[Self::HeaderConverter],
            _ if name.starts_with("converters.") => &CONVERTERS,
            _ if name.starts_with("transforms.predicates.") => &[Self::Predicate],
            _ if name.starts_with("transforms.util.") => &[],
            _ if name.starts_with("transforms.") => &[Self::Transform],
            _ if name.starts_with("mirror.Mirror") && name.ends_with("Connector") => {
                &[Self::Source]
            }
            "source.SourceTask" | "sink.SinkTask" | "connector.Task" => &[],
            _ if name.starts_with("errors.")
                || name.starts_with("data.")
                || name.starts_with("util.")
                || name.starts_with("components.")
                || name.ends_with("Record")
                || name.ends_with("Context") =>
            {
                &[]
            }
            _ => return Ancestor::Unknown,
        };
        Ancestor::Known(kinds)
    }

    /// A source or sink: what clients create by name.
    #[must_use]
    pub fn is_connector(self) -> bool {
        matches!(self, Self::Source | Self::Sink)
    }
}

/// What is known of a class that is not in the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ancestor {
    /// Not Kafka's: no plugin comes of it.
    Foreign,
    /// Kafka's, and its children are of these kinds.
    Known(&'static [Kind]),
    /// Kafka's, and we do not know what its children are.
    Unknown,
}
