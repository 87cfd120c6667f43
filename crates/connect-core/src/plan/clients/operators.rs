//! The leader's part in the operators' users: hashed once, announced, and taken away.

use super::Leader;
use crate::limits;
use crate::model::operators::Operators;
use crate::observation::Reading;
use crate::plan::{Mint, MintedValue, Promise, SecretOwner};
use crate::status::{Finding, Id};
use crate::wire::labels;

impl Leader<'_> {
    pub(super) fn operators(&mut self) {
        let seen = self.model.seen;
        let kept = match self.reading(labels::OPERATORS) {
            // Nothing is known of it: whatever was announced stays.
            Some(Reading::Unreadable(_)) => return,
            Some(Reading::Known(kept)) => Some(kept.clone()),
            Some(Reading::Absent) | None => None,
        };
        let chosen = match &seen.operators {
            Reading::Known(chosen) => chosen,
            Reading::Unreadable(fault) => return self.bad_operators(fault),
            Reading::Absent => {
                self.lead.application.operators = None;
                // A secret must not be made and removed within one hook.
                if kept.is_some() && !seen.minted.contains(labels::OPERATORS) {
                    self.lead.promises.push(Promise::RemoveSecret {
                        label: labels::OPERATORS.to_owned(),
                    });
                }
                return;
            }
        };
        let stored = kept
            .as_ref()
            .and_then(|kept| Operators::read(&kept.content));
        if let Some(stored) = stored.filter(|stored| stored.are_of(chosen)) {
            self.lead.application.operators = Some(stored.generation());
            return;
        }
        let operators = match Operators::hash(chosen, self.entropy) {
            Ok(operators) => operators,
            Err(fault) => return self.bad_operators(&fault),
        };
        let (label, content) = (labels::OPERATORS.to_owned(), operators.content());
        if kept.is_some() {
            self.lead.application.operators = Some(operators.generation());
            self.lead
                .promises
                .push(Promise::SetSecret { label, content });
            // Our own gateway gets them once Juju has them.
            self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
        } else {
            let content = content.into_iter();
            self.lead.minted.push(Mint {
                owner: SecretOwner::Application,
                label,
                description: "Users of option system-users, their passwords hashed".to_owned(),
                content: content
                    .map(|(key, value)| (key, MintedValue::Text(value)))
                    .collect(),
            });
        }
    }

    /// Those that were given before stay.
    fn bad_operators(&mut self, fault: &str) {
        self.findings
            .push(Finding::new(Id::OperatorsInvalid, [("fault", fault)]));
    }
}
