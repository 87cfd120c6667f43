//! Why a hook runs, in the planner's words.

use connect_core::layout::WAKE_HOOK;
use connect_core::observation::{Hook, RelationId};
use connect_core::wire;
use hook_tools::{Hook as JujuHook, Relation};

/// What a hook means to the planner.
#[must_use]
pub fn hook(hook: &JujuHook) -> Hook {
    let named = |name: &str| Hook::Reconcile {
        name: name.to_owned(),
    };
    match hook {
        JujuHook::Start => Hook::Start,
        JujuHook::UpgradeCharm => Hook::UpgradeCharm,
        JujuHook::UpdateStatus => Hook::UpdateStatus,
        JujuHook::Stop | JujuHook::Remove => Hook::Leave,
        JujuHook::RelationBroken(relation) => Hook::RelationBroken {
            endpoint: relation.endpoint.clone(),
            id: relation.id,
        },
        JujuHook::RelationDeparted {
            relation,
            departing_unit,
        } => Hook::RelationDeparted {
            endpoint: relation.endpoint.clone(),
            id: relation.id,
            departing_unit: departing_unit.clone(),
        },
        JujuHook::Install => named("install"),
        JujuHook::LeaderElected => named("leader-elected"),
        JujuHook::LeaderSettingsChanged => named("leader-settings-changed"),
        JujuHook::ConfigChanged => named("config-changed"),
        JujuHook::RelationCreated(relation)
        | JujuHook::RelationJoined(relation)
        | JujuHook::RelationChanged(relation) => named(&format!("{} changed", relation.endpoint)),
        JujuHook::StorageAttached { id } | JujuHook::StorageDetaching { id } => named(id),
        JujuHook::SecretChanged(event)
        | JujuHook::SecretRotate(event)
        | JujuHook::SecretExpired(event)
        | JujuHook::SecretRemove(event) => named(&format!("secret {}", event.uri)),
        JujuHook::Action { name, .. } => named(&format!("action {name}")),
        JujuHook::Other { name } => named(name),
    }
}

/// What a hook reads of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// All of them anew.
    Everything,
    /// This one anew, if any. Juju brings a hook about each other one that changes.
    Client(Option<RelationId>),
}

/// What a hook has to read anew. Hooks that come now and then read everything: whatever was missed
/// shows then.
#[must_use]
pub fn attention(hook: &JujuHook) -> Attention {
    if let Some(relation) = relation(hook) {
        let of_client = relation.endpoint == wire::CONNECT_CLIENT;
        return Attention::Client(of_client.then_some(relation.id));
    }
    let is_wake = matches!(hook, JujuHook::Other { name } if name == WAKE_HOOK);
    if is_wake {
        Attention::Client(None)
    } else {
        Attention::Everything
    }
}

/// The relation that a hook is about.
#[must_use]
pub fn relation(hook: &JujuHook) -> Option<&Relation> {
    match hook {
        JujuHook::RelationCreated(relation)
        | JujuHook::RelationJoined(relation)
        | JujuHook::RelationChanged(relation)
        | JujuHook::RelationDeparted { relation, .. }
        | JujuHook::RelationBroken(relation) => Some(relation),
        JujuHook::Install
        | JujuHook::LeaderElected
        | JujuHook::LeaderSettingsChanged
        | JujuHook::ConfigChanged
        | JujuHook::Start
        | JujuHook::UpgradeCharm
        | JujuHook::UpdateStatus
        | JujuHook::Stop
        | JujuHook::Remove
        | JujuHook::StorageAttached { .. }
        | JujuHook::StorageDetaching { .. }
        | JujuHook::SecretChanged(_)
        | JujuHook::SecretRotate(_)
        | JujuHook::SecretExpired(_)
        | JujuHook::SecretRemove(_)
        | JujuHook::Action { .. }
        | JujuHook::Other { .. } => None,
    }
}
