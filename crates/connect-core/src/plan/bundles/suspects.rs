//! Plugins of which one stops the worker, and nobody knows which.
//!
//! A worker that exits with several new plugins does not always say whose fault it is. Each is then
//! tried by itself, the others left off the plugin path meanwhile, so that a client whose plugin is
//! good gets it whatever others serve.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bundles, in_store, rejected};
use crate::limits::RETRY_FETCH_S;
use crate::model::peer::Peers;
use crate::observation::Host;
use crate::plan::trial;

impl Bundles {
    /// Leaves all suspects but the next one off the plugin path. What is new and no suspect is tried
    /// before them.
    pub(super) fn try_one_suspect(&mut self, host: &Host, peers: &Peers) {
        let suspects = suspects(peers);
        if suspects.is_empty() {
            return;
        }
        let proven = trial::proven(peers);
        let is_suspect = |digest: &&String| suspects.contains_key(*digest);
        let next = self.wanted.iter().find(is_suspect);
        let mut new = self.wanted.difference(&proven);
        let tried = next
            .filter(|_| new.all(|digest| is_suspect(&digest)))
            .cloned();
        self.wanted
            .retain(|digest| !suspects.contains_key(digest) || tried.as_ref() == Some(digest));
        let waits = |digest: &String| -> Option<&&String> {
            let waits = tried.as_ref() != Some(digest) && rejected(peers, digest).is_none();
            suspects.get(digest).filter(|_| waits)
        };
        let fault = |cause: &String| format!("waits to be tried by itself: {cause}");
        let mut before: BTreeSet<String> = BTreeSet::new();
        for (id, held) in &self.held {
            let Some(cause) = waits(&held.digest) else {
                continue;
            };
            self.faults.entry(*id).or_insert_with(|| fault(cause));
            self.retry_after_s.push(RETRY_FETCH_S);
            // What clients were told of last, if it is still here.
            let known = peers.application.clients.get(id);
            before.extend(known.map(|known| known.digest.clone()));
        }
        if let Some(held) = &self.resource
            && let Some(cause) = waits(&held.digest)
        {
            self.resource_fault.get_or_insert_with(|| fault(cause));
            self.retry_after_s.push(RETRY_FETCH_S);
            before.extend(held.previous.clone());
        }
        before.retain(|digest| {
            !digest.is_empty() && in_store(host, digest) && rejected(peers, digest).is_none()
        });
        self.wanted.extend(before);
    }
}

/// The suspects of all units that stay, less what is known by now.
fn suspects(peers: &Peers) -> BTreeMap<&String, &String> {
    let proven = trial::proven(peers);
    let others = peers.others.values().filter(|unit| !unit.leaving);
    std::iter::once(&peers.ours)
        .chain(others)
        .flat_map(|unit| &unit.suspects)
        .filter(|(digest, _)| !proven.contains(*digest) && rejected(peers, digest).is_none())
        .collect()
}
