//! What runs: a hook, an action, or commands from outside.

use serde::{Deserialize, Serialize};

/// One run of a charm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookSpec {
    /// `config-changed`, `kafka-client-relation-joined`, `plugins-storage-attached`; the action's
    /// name for an action; `run-commands` for commands from outside.
    pub name: String,
    /// What it is about.
    pub kind: HookKind,
    /// `JUJU_CONTEXT_ID`.
    pub context_id: String,
    /// The agent's directory: `/var/lib/juju/agents/unit-kafka-0`.
    pub agent_dir: String,
}

/// What a run is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HookKind {
    /// A hook without particulars: install, config-changed, start, leader-elected…
    Plain,
    /// A relation hook.
    Relation(RelationHook),
    /// A secret hook.
    Secret {
        /// URI of the secret, `secret:…` or `secret://…`.
        uri: String,
        /// The unit's label for it; may be empty.
        label: String,
        /// For secret-expired and secret-remove.
        revision: Option<u32>,
    },
    /// A storage hook: the instance's id, `plugins/0`.
    Storage {
        /// The instance.
        id: String,
    },
    /// An action.
    Action {
        /// Its number.
        id: String,
        /// The action's name.
        name: String,
        /// Its parameters, defaults filled in.
        params: serde_json::Map<String, serde_json::Value>,
    },
    /// Commands through `juju-exec`.
    Exec {
        /// `-r`.
        relation: Option<u32>,
        /// `--remote-unit`.
        remote_unit: Option<String>,
        /// Filled in for a relation's application when there is one.
        remote_application: Option<String>,
    },
}

/// Which of the relation hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Juju's own words")]
pub enum RelationEvent {
    Created,
    Joined,
    Changed,
    Departed,
    Broken,
}

/// A relation hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationHook {
    /// Created, joined, changed, departed or broken.
    pub event: RelationEvent,
    /// The relation.
    pub relation: u32,
    /// The remote unit; absent for created, broken, and the change of an application's databag.
    pub remote_unit: Option<String>,
    /// The remote application; the own one in a peer relation.
    pub remote_application: String,
    /// The unit that leaves, for departed.
    pub departing_unit: Option<String>,
}

impl HookSpec {
    /// The relation that is the default of `-r`.
    #[must_use]
    pub fn relation(&self) -> Option<u32> {
        match &self.kind {
            HookKind::Relation(hook) => Some(hook.relation),
            HookKind::Exec { relation, .. } => *relation,
            HookKind::Plain
            | HookKind::Secret { .. }
            | HookKind::Storage { .. }
            | HookKind::Action { .. } => None,
        }
    }

    /// The unit that is the default target of `relation-get`.
    #[must_use]
    pub fn remote_unit(&self) -> Option<&str> {
        match &self.kind {
            HookKind::Relation(hook) => hook.remote_unit.as_deref(),
            HookKind::Exec { remote_unit, .. } => remote_unit.as_deref(),
            HookKind::Plain
            | HookKind::Secret { .. }
            | HookKind::Storage { .. }
            | HookKind::Action { .. } => None,
        }
    }

    /// The application that is the default target of `relation-get --app`.
    #[must_use]
    pub fn remote_application(&self) -> Option<&str> {
        match &self.kind {
            HookKind::Relation(hook) => Some(&hook.remote_application),
            HookKind::Exec {
                remote_application, ..
            } => remote_application.as_deref(),
            HookKind::Plain
            | HookKind::Secret { .. }
            | HookKind::Storage { .. }
            | HookKind::Action { .. } => None,
        }
    }
}
