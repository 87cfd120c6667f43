//! A client that is gone.

use super::Leader;
use crate::limits;
use crate::model::config::ConfigProblem;
use crate::model::peer::Tombstone;
use crate::observation::{Reading, RelationId};
use crate::plan::users::owner_tag;
use crate::plan::{Promise, Step};
use crate::status::{Finding, Id};
use crate::wire::labels;

impl Leader<'_> {
    /// Clients that the peer databag knows and whose relation is gone.
    pub(super) fn forget(&mut self) {
        let seen = self.model.seen;
        for (id, known) in &self.peers.application.clients {
            if self.model.clients.contains_key(id) || self.model.parting.contains(id) {
                continue;
            }
            self.lead.application.clients.remove(id);
            if !self.model.config.keep_connectors {
                let tombstone = Tombstone {
                    application: known.application.clone(),
                };
                self.lead.application.tombstones.insert(*id, tombstone);
            }
            for label in [
                labels::user(*id),
                labels::tls(*id),
                labels::extra(*id),
                labels::next(*id),
            ] {
                if matches!(seen.secrets.get(&label), Some(Reading::Known(_))) {
                    self.lead.promises.push(Promise::RemoveSecret { label });
                }
            }
        }
    }

    pub(super) fn tombstones(&mut self) {
        let unclear = |problem: &ConfigProblem| problem.option == "keep-connectors";
        if self.model.config_problems.iter().any(unclear) {
            // Nothing is deleted while nobody can say whether it should be.
            return;
        }
        if self.model.config.keep_connectors {
            self.lead.application.tombstones.clear();
            return;
        }
        // Whatever the databag says: a client that is there keeps its connectors.
        let model = self.model;
        self.lead
            .application
            .tombstones
            .retain(|id, _| !model.clients.contains_key(id) && !model.parting.contains(id));
        let worker = model.seen.worker.known().filter(|worker| worker.healthy);
        let connectors = worker.and_then(|worker| worker.connectors.as_ref());
        for (id, tombstone) in self.lead.application.tombstones.clone() {
            let Some(connectors) = connectors else {
                self.still_deleting(id);
                // Nothing else tells when one that answers can list them again.
                if worker.is_some() {
                    self.lead.wake_after_s.push(limits::RETRY_DELETE_S);
                }
                continue;
            };
            let uuid = &self.model.seen.identity.model_uuid;
            let tag = owner_tag(uuid, &tombstone.application, id);
            let theirs: Vec<&String> = connectors
                .iter()
                .filter(|(name, connector)| match &connector.owner {
                    Some(owner) => *owner == tag,
                    None => is_named_for(name, id, uuid),
                })
                .map(|(name, _)| name)
                .collect();
            // While a gateway lets the user in, it could make another one.
            let user_is_out = self.units(|unit| !unit.users.contains_key(&id)).is_empty();
            if theirs.is_empty() && user_is_out {
                self.lead.application.tombstones.remove(&id);
                continue;
            }
            self.still_deleting(id);
            if !theirs.is_empty() {
                self.lead.wake_after_s.push(limits::RETRY_DELETE_S);
            }
            self.lead
                .steps
                .extend(theirs.into_iter().map(|name| Step::DeleteConnector {
                    client: id,
                    name: name.clone(),
                }));
        }
    }

    fn still_deleting(&mut self, id: RelationId) {
        self.findings.push(Finding::new(
            Id::DeletingConnectors,
            [("relation", &id.to_string())],
        ));
    }
}

/// The naming convention of the existing requirer library: `<anything>_r<id>_<model>`. It holds
/// only within one model, where both sides of a relation share its id.
fn is_named_for(name: &str, id: RelationId, model_uuid: &str) -> bool {
    let model: String = model_uuid.chars().filter(|c| *c != '-').collect();
    !model.is_empty()
        && name
            .strip_suffix(&format!("_r{id}_{model}"))
            .is_some_and(|prefix| !prefix.is_empty())
}
