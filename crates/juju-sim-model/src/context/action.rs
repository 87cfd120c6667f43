//! An action's results, held until its end and delivered whether or not it succeeds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{HookContext, HookKind, HookSpec};

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionStatus {
    /// Done.
    Completed,
    /// `action-fail`, a non-zero exit, or a refused commit.
    Failed,
}

/// What an action delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionOutcome {
    /// The action's number.
    pub id: String,
    /// Completed or failed.
    pub status: ActionStatus,
    /// Why it failed.
    pub message: String,
    /// Nested maps of strings.
    pub results: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct ActionState {
    id: String,
    failed: Option<String>,
    results: Map<String, Value>,
}

impl ActionState {
    pub(crate) fn open(spec: &HookSpec) -> Option<Self> {
        match &spec.kind {
            HookKind::Action { id, .. } => Some(Self {
                id: id.clone(),
                failed: None,
                results: Map::new(),
            }),
            HookKind::Plain
            | HookKind::Relation(_)
            | HookKind::Secret { .. }
            | HookKind::Storage { .. }
            | HookKind::Exec { .. } => None,
        }
    }

    /// What is delivered after the process ended; `error` is why the run itself failed.
    pub(crate) fn outcome(self, error: Option<&str>) -> ActionOutcome {
        let failed = error.map(str::to_owned).or(self.failed);
        ActionOutcome {
            id: self.id,
            status: if failed.is_some() {
                ActionStatus::Failed
            } else {
                ActionStatus::Completed
            },
            message: failed.unwrap_or_default(),
            results: self.results,
        }
    }

    /// What is delivered when the commit was refused.
    pub(crate) fn refused(mut self, error: &str) -> ActionOutcome {
        let stderr = match self.results.get("stderr").and_then(Value::as_str) {
            Some(before) => format!("{before}\n{error}"),
            None => error.to_owned(),
        };
        self.results
            .insert("stderr".to_owned(), Value::String(stderr));
        self.results
            .entry("return-code")
            .or_insert_with(|| Value::String("1".to_owned()));
        let message = self.failed.take();
        let message = message.unwrap_or_else(|| "committing requested changes failed".to_owned());
        self.outcome(Some(&message))
    }
}

impl HookContext {
    /// The action's parameters, `None` outside an action.
    pub(crate) fn action_params(&self) -> Option<&Map<String, Value>> {
        match &self.spec.kind {
            HookKind::Action { params, .. } => Some(params),
            HookKind::Plain
            | HookKind::Relation(_)
            | HookKind::Secret { .. }
            | HookKind::Storage { .. }
            | HookKind::Exec { .. } => None,
        }
    }

    /// Marks the action as failed; false outside an action.
    pub(crate) fn fail_action(&mut self, message: &str) -> bool {
        let Some(action) = &mut self.action else {
            return false;
        };
        action.failed = Some(message.to_owned());
        true
    }

    /// Sets a result; false outside an action. A path through a value replaces that value.
    pub(crate) fn set_result(&mut self, path: &[&str], value: &str) -> bool {
        let Some(action) = &mut self.action else {
            return false;
        };
        let Some((last, path)) = path.split_last() else {
            return true;
        };
        let mut map = &mut action.results;
        for key in path {
            let slot = map
                .entry((*key).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(inner) = slot else {
                return true;
            };
            map = inner;
        }
        map.insert((*last).to_owned(), Value::String(value.to_owned()));
        true
    }

    pub(super) fn take_action(&mut self) -> Option<ActionState> {
        self.action.take()
    }
}
