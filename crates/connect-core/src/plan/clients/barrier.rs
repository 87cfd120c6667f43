//! Who has to be ready before a new client is served, and who is not waited for any longer.
//!
//! Every unit that stays has to be: its worker has loaded the plugin, its gateway serves the user. A
//! unit that is lost is not waited for. Nor is one that is not ready although everybody waited for
//! it as long as `unit-timeout`, once for the plugin and once for the user: the client is served
//! without it, is not sent to it, and gets its endpoint when it is ready after all.

use std::collections::{BTreeMap, BTreeSet};

use super::Leader;
use crate::model::client::Client;
use crate::model::peer::{NO_BUNDLE, UnitData};
use crate::observation::RelationId;
use crate::status::{Finding, Id};

/// Units by number.
pub(super) type Units = BTreeSet<u32>;

impl Leader<'_> {
    /// All units, ours first.
    pub(super) fn everyone(&self) -> impl Iterator<Item = (&u32, &UnitData)> {
        let ours = (&self.model.seen.identity.unit_number, self.now);
        std::iter::once(ours).chain(&self.peers.others)
    }

    /// The units that stay and are not lost.
    pub(super) fn present(&self) -> impl Iterator<Item = (&u32, &UnitData)> {
        self.everyone()
            .filter(|(number, unit)| !unit.leaving && !self.watch.lost.contains(number))
    }

    /// The units that stay, are not lost, and are not as they should be.
    pub(super) fn units(&self, good: impl Fn(&UnitData) -> bool) -> Units {
        self.present()
            .filter(|(_, unit)| !good(unit))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Names of units, as a status lists them.
    pub(super) fn names(&self, units: &Units) -> String {
        let application = &self.model.seen.identity.application;
        let names: Vec<String> = units
            .iter()
            .map(|number| format!("{application}/{number}"))
            .collect();
        names.join(", ")
    }

    /// What a client's bundle should be: ours, unless more of the others loaded another one.
    pub(super) fn bundle(&self, id: RelationId) -> Option<&String> {
        let held = self.bundles.held.get(&id).map(|held| &held.digest);
        let mut votes: BTreeMap<&String, usize> = BTreeMap::new();
        for (_, unit) in self.present() {
            if let Some(digest) = unit.bundles.get(&id)
                && has_loaded(unit, digest)
            {
                *votes.entry(digest).or_default() += 1;
            }
        }
        let most = votes.iter().max_by_key(|(_, votes)| **votes);
        match (held, most) {
            (Some(held), Some((_, most))) if votes.get(held) == Some(most) => Some(held),
            (_, Some((digest, _))) => Some(digest),
            (held, None) => held,
        }
    }

    /// Units that have not loaded the client's bundle, or hold another one than they should, or are
    /// not healthy.
    pub(super) fn unready(&self, id: RelationId) -> Units {
        let wanted = self.bundle(id);
        self.units(|unit| {
            let bundle = unit.bundles.get(&id);
            bundle == wanted && bundle.is_some_and(|digest| has_loaded(unit, digest))
        })
    }

    /// Whether any unit has loaded a bundle.
    pub(super) fn is_loaded(&self, digest: &String) -> bool {
        self.everyone().any(|(_, unit)| has_loaded(unit, digest))
    }

    pub(super) fn without_user(&self, id: RelationId, fingerprint: &String) -> Units {
        self.units(|unit| unit.users.get(&id) == Some(fingerprint))
    }

    /// Whether a client has waited for as long as it should.
    pub(super) fn is_overdue(&self, id: RelationId) -> bool {
        let since = self.peers.application.waiting.get(&id);
        let timeout = self.model.config.unit_timeout_s;
        since.is_some_and(|since| since.saturating_add(timeout) <= self.model.seen.now)
    }

    /// Whether a new client has to wait for these units: for `unit-timeout` since `since`, or until
    /// nobody else is left. Notes since when it waits, and says whom for.
    pub(super) fn holds(
        &mut self,
        id: RelationId,
        client: &Client,
        units: &Units,
        since: Option<u64>,
    ) -> bool {
        // Where all are lost there is nobody who could have shown anything.
        let nobody = self.present().next().is_none();
        if units.is_empty() && !nobody {
            return false;
        }
        let units = if nobody { &self.watch.lost } else { units };
        let now = self.model.seen.now;
        let since = since.filter(|since| *since <= now).unwrap_or(now);
        let end = since.saturating_add(self.model.config.unit_timeout_s);
        let others = self.present().any(|(number, _)| !units.contains(number));
        if end <= now && others {
            return false;
        }
        self.lead.application.waiting.insert(id, since);
        if end > now {
            self.lead.wake_after_s.push(end - now);
        }
        let names = self.names(units);
        self.findings.push(Finding::new(
            Id::ClientWaiting,
            [
                ("relation", &id.to_string()),
                ("application", &client.application),
                ("units", &names),
            ],
        ));
        true
    }
}

fn has_loaded(unit: &UnitData, digest: &String) -> bool {
    unit.healthy && (digest == NO_BUNDLE || unit.loaded.contains(digest))
}
