//! What a unit can run, with everything a hook's environment needs.

use serde::{Deserialize, Serialize};

pub(crate) type RelationId = u32;

/// What a unit runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Hook(Hook),
    /// The task's number.
    Task(u64),
    /// Nothing to run: what the agent learns by itself.
    Forget(RelationId),
    StorageGone(String),
    Dead,
}

/// A hook with all that its environment needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hook {
    Install,
    LeaderElected,
    ConfigChanged,
    Start,
    UpgradeCharm,
    UpdateStatus,
    Stop,
    Remove,
    Relation(RelationHook),
    Storage {
        attached: bool,
        id: String,
    },
    Secret {
        event: SecretEvent,
        id: String,
        revision: Option<u32>,
    },
}

/// A hook of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelationHook {
    pub(crate) event: RelationEvent,
    pub(crate) relation: RelationId,
    pub(crate) endpoint: String,
    pub(crate) remote_application: String,
    pub(crate) remote_unit: Option<String>,
    pub(crate) departing: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RelationEvent {
    Created,
    Joined,
    Changed,
    Departed,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SecretEvent {
    Changed,
    Rotate,
    Expired,
    Remove,
}

impl Hook {
    /// The hook's name as Juju spells it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Install => "install".into(),
            Self::LeaderElected => "leader-elected".into(),
            Self::ConfigChanged => "config-changed".into(),
            Self::Start => "start".into(),
            Self::UpgradeCharm => "upgrade-charm".into(),
            Self::UpdateStatus => "update-status".into(),
            Self::Stop => "stop".into(),
            Self::Remove => "remove".into(),
            Self::Relation(hook) => format!("{}-relation-{}", hook.endpoint, hook.event.name()),
            Self::Storage { attached, id } => {
                let name = id.split('/').next().unwrap_or_default();
                format!(
                    "{name}-storage-{}",
                    if *attached { "attached" } else { "detaching" }
                )
            }
            Self::Secret { event, .. } => format!("secret-{}", event.name()),
        }
    }
}

impl RelationEvent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Joined => "joined",
            Self::Changed => "changed",
            Self::Departed => "departed",
            Self::Broken => "broken",
        }
    }
}

impl SecretEvent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Rotate => "rotate",
            Self::Expired => "expired",
            Self::Remove => "remove",
        }
    }
}
