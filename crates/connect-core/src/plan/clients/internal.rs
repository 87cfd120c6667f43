//! The leader's part in the internal user and CA: made, and replaced (see [`crate::plan::internal`]).

use std::collections::BTreeMap;

use super::Leader;
use crate::limits;
use crate::model::password::generate;
use crate::model::peer::{InternalRotation, Phase, Reached};
use crate::observation::{Hook, Reading};
use crate::plan::internal::next_username;
use crate::plan::{Mint, MintedValue, Promise, SecretOwner};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::{self, labels};

impl Leader<'_> {
    pub(super) fn internal(&mut self) {
        if matches!(self.reading(labels::INTERNAL), Some(Reading::Absent)) {
            self.mint_internal(
                labels::INTERNAL,
                "Internal REST user and CA of the Kafka Connect workers",
            );
        }
        if self.model.seen.minted.contains(labels::INTERNAL) {
            self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
        }
        let Some(Reading::Known(_)) = self.reading(labels::INTERNAL) else {
            return;
        };
        let before = self.lead.application.internal.clone();
        let mut rotation = before.clone().unwrap_or(InternalRotation {
            made: self.model.seen.now,
            number: 0,
            phase: None,
        });
        self.rotate_internal(&mut rotation);
        if let Some(phase) = rotation.phase {
            let waiting = self.units(|unit| unit.internal >= Some(reached(&rotation, phase)));
            let finding = [("units", self.names(&waiting))];
            let finding = finding
                .each_ref()
                .map(|(name, text)| (*name, text.as_str()));
            self.findings
                .push(Finding::new(Id::InternalRotating, finding));
            let is_new = before.is_none_or(|before| before.phase != Some(phase));
            let wait = if is_new || waiting.is_empty() {
                limits::NEXT_HOOK_S
            } else {
                limits::LOOK_AGAIN_S
            };
            self.lead.wake_after_s.push(wait);
        }
        self.lead.application.internal = Some(rotation);
    }

    fn rotate_internal(&mut self, rotation: &mut InternalRotation) {
        let next = self.reading(labels::INTERNAL_NEXT).cloned();
        let minted = |label| self.model.seen.minted.contains(label);
        let kept = !minted(labels::INTERNAL) && !minted(labels::INTERNAL_NEXT);
        let Some(phase) = rotation.phase else {
            if kept && self.is_due(rotation) {
                self.mint_internal(
                    labels::INTERNAL_NEXT,
                    "Next internal REST user and CA, being rotated",
                );
            }
            if self.lead.minted.iter().any(is_next) || minted(labels::INTERNAL_NEXT) {
                rotation.number = rotation.number.saturating_add(1);
                rotation.phase = Some(Phase::Trust);
            }
            return;
        };
        match next {
            Some(Reading::Known(_)) if !kept => {}
            Some(Reading::Known(next)) => {
                let all = self.units(|unit| unit.internal >= Some(reached(rotation, phase)));
                if !all.is_empty() {
                    return;
                }
                match phase {
                    Phase::Trust => rotation.phase = Some(Phase::Use),
                    Phase::Use => {
                        rotation.phase = None;
                        rotation.made = self.model.seen.now;
                        self.lead.promises.push(Promise::SetSecret {
                            label: labels::INTERNAL.to_owned(),
                            content: next.content,
                        });
                        self.lead.promises.push(Promise::RemoveSecret {
                            label: labels::INTERNAL_NEXT.to_owned(),
                        });
                    }
                }
            }
            // Somebody took it away: everybody goes back to what there is.
            Some(Reading::Absent) => rotation.phase = None,
            Some(Reading::Unreadable(_)) | None => {}
        }
    }

    fn is_due(&self, rotation: &InternalRotation) -> bool {
        let days = self.model.config.rotate_internal_days;
        let age = self.model.seen.now.saturating_sub(rotation.made);
        let asked = self.model.seen.hook == Hook::RotateInternalRequested;
        asked || (days > 0 && self.model.config_is_good() && age >= days * 86_400)
    }

    fn mint_internal(&mut self, label: &str, description: &str) {
        let name = if label == labels::INTERNAL {
            next_username(None)
        } else {
            next_username(self.model.internal.as_ref())
        };
        let content = BTreeMap::from([
            (
                wire::USERNAME.to_owned(),
                MintedValue::Text(Secret::new(name.to_owned())),
            ),
            (
                wire::PASSWORD.to_owned(),
                MintedValue::Text(generate(self.entropy)),
            ),
            (wire::CA_CERTIFICATE.to_owned(), MintedValue::CaCertificate),
            (wire::CA_KEY.to_owned(), MintedValue::CaKey),
        ]);
        self.mint(label.to_owned(), description.to_owned(), content);
    }
}

fn is_next(mint: &Mint) -> bool {
    mint.owner == SecretOwner::Application && mint.label == labels::INTERNAL_NEXT
}

const fn reached(rotation: &InternalRotation, phase: Phase) -> Reached {
    Reached {
        number: rotation.number,
        phase,
    }
}
