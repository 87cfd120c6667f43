//! A client's password, replaced.

use super::barrier::Units;
use super::{Leader, credential_content};
use crate::fingerprint;
use crate::limits;
use crate::model::client::{Client, username};
use crate::model::password::generate;
use crate::model::peer::{KnownClient, OldPassword};
use crate::observation::{Hook, RelationId};
use crate::plan::users::next_password;
use crate::plan::{MintedValue, Promise};
use crate::secret::Secret;
use crate::wire::labels;

impl Leader<'_> {
    pub(super) fn old_password(&mut self, id: RelationId) -> Option<OldPassword> {
        let now = self.model.seen.now;
        let old = self.peers.application.clients.get(&id)?.old.clone()?;
        if old.until <= now {
            return None;
        }
        self.lead.wake_after_s.push(old.until - now);
        Some(old)
    }

    /// A secret that lost its password cannot have users any more, so a new one does no harm.
    pub(super) fn repair(&mut self, id: RelationId, client: &Client) {
        let password = generate(self.entropy);
        self.lead.application.clients.insert(
            id,
            KnownClient {
                application: client.application.clone(),
                user: fingerprint::credential(&username(id), password.expose()),
                sha256: fingerprint::sha256(password.expose().as_bytes()),
                digest: self.digest(id),
                next: None,
                old: None,
                late: Units::new(),
            },
        );
        self.lead.promises.push(Promise::SetSecret {
            label: labels::user(id),
            content: credential_content(id, password),
        });
        self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
    }

    pub(super) fn rotate(&mut self, id: RelationId, entry: &mut KnownClient, old: &Secret<String>) {
        let label = labels::next(id);
        let asked = matches!(
            &self.model.seen.hook, Hook::RotateRequested { relation } if *relation == id
        );
        let Some(next) = next_password(self.model, id).cloned() else {
            if asked {
                let password = generate(self.entropy);
                self.mint(
                    label,
                    format!("Next password of connect-client:{id}, being rotated"),
                    credential_content(id, password)
                        .into_iter()
                        .map(|(key, value)| (key, MintedValue::Text(value)))
                        .collect(),
                );
            }
            return;
        };
        let fingerprint = fingerprint::credential(&username(id), next.expose());
        // A secret must not be made and removed within one hook.
        let kept = !self.model.seen.minted.contains(&label);
        if kept && self.without_user(id, &fingerprint).is_subset(&entry.late) {
            let until = self.model.seen.now.saturating_add(limits::ROTATION_GRACE_S);
            let sha256 = fingerprint::sha256(old.expose().as_bytes());
            entry.old = Some(OldPassword { sha256, until });
            entry.user = fingerprint;
            entry.sha256 = fingerprint::sha256(next.expose().as_bytes());
            self.lead.promises.push(Promise::SetSecret {
                label: labels::user(id),
                content: credential_content(id, next),
            });
            self.lead.promises.push(Promise::RemoveSecret { label });
            self.lead.wake_after_s.push(limits::ROTATION_GRACE_S);
        } else {
            entry.next = Some(fingerprint);
            self.lead.wake_after_s.push(limits::NEXT_HOOK_S);
        }
    }
}
