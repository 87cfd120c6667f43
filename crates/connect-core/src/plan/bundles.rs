//! Which plugin bundles this unit holds for its clients, and which it has yet to fetch.

use std::collections::{BTreeMap, BTreeSet};

use super::rolling::is_healthy;
use super::{Step, steps, trial};
use crate::fingerprint;
use crate::limits::RETRY_FETCH_S;
use crate::model::Model;
use crate::model::admission::Terms;
use crate::model::client::{Client, Plugin, Request};
use crate::model::peer::{NO_BUNDLE, Peers};
use crate::observation::{Fetched, Hook, Host, RelationId};
use crate::secret::Secret;

/// The bundles of the clients whose relation stays.
#[derive(Debug, Default)]
pub struct Bundles {
    /// What we hold, by client.
    pub held: BTreeMap<RelationId, Held>,
    /// What to fetch, by client.
    pub fetch: BTreeMap<RelationId, Secret<String>>,
    /// On what terms; without any nothing is fetched.
    pub terms: Option<Terms>,
    /// Why a client's bundle is not here or not loaded.
    pub faults: BTreeMap<RelationId, String>,
    /// When the first of the failed downloads may be tried again, in seconds.
    pub retry_after_s: Option<u64>,
    /// Digests that belong on the plugin path.
    pub wanted: BTreeSet<String>,
}

/// A client's bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Digest, or [`NO_BUNDLE`].
    pub digest: String,
    /// Fingerprint of the URL it came from; empty without a URL.
    pub source: String,
}

/// Compares what clients ask for with what is in the store.
///
/// What was fetched from where is remembered in our own peer databag, so nothing is fetched before
/// the peer relation exists. A bundle stays until another one took its place, whatever the client
/// writes meanwhile.
#[must_use]
pub fn assess(model: &Model<'_>) -> Bundles {
    let mut bundles = Bundles {
        terms: model.terms(),
        ..Bundles::default()
    };
    let Some(peers) = &model.peers else {
        return bundles;
    };
    let host = &model.seen.host;
    for (id, client) in &model.clients {
        let held = bundles.hold(model, peers, *id, client);
        if let Some(held) = held {
            if let Some(objection) = objection(client, &bundles, &held) {
                bundles.faults.entry(*id).or_insert(objection);
            }
            if let Some(cause) = rejected(peers, &held.digest) {
                bundles
                    .faults
                    .insert(*id, format!("stops the worker: {cause}"));
                // What clients were told of last, if it is still here.
                let told = peers.application.clients.get(id);
                bundles.wanted.extend(
                    told.map(|told| told.digest.clone())
                        .filter(|digest| rejected(peers, digest).is_none())
                        .filter(|digest| !digest.is_empty() && in_store(host, digest)),
                );
            } else if held.digest != NO_BUNDLE {
                bundles.wanted.insert(held.digest.clone());
            }
            bundles.held.insert(*id, held);
        }
    }
    // Whatever kept it away must not come from a plugin that nobody has tried.
    if is_lost(model, peers) || leaves_trying(model, peers) {
        let proven = trial::proven(peers);
        let runs = |digest: &String| {
            let started = host.started.as_ref();
            started.is_some_and(|started| started.plugins.contains(digest))
        };
        let lost = is_lost(model, peers);
        bundles
            .wanted
            .retain(|digest| proven.contains(digest) || !lost && runs(digest));
    }
    if bundles.terms.is_none() {
        // A list of what is allowed that cannot be read allows nothing.
        bundles.fetch.clear();
    }
    // A step that failed was reported without an outcome: not again in this hook.
    for failure in &model.seen.failures {
        if let Some(id) = failure.client
            && let (Some(url), Some(terms)) = (bundles.fetch.get(&id), &bundles.terms)
            && steps::fetch(id, url, terms).describe() == failure.step
        {
            bundles.fetch.remove(&id);
            bundles.faults.insert(id, failure.reason.clone());
        }
    }
    unlisted(model, &mut bundles);
    bundles
}

impl Bundles {
    /// What a client holds; what it lacks is noted to be fetched, and what is wrong as a fault.
    fn hold(
        &mut self,
        model: &Model<'_>,
        peers: &Peers,
        id: RelationId,
        client: &Client,
    ) -> Option<Held> {
        let host = &model.seen.host;
        let before = before(host, peers, id);
        let url = match &client.request {
            Request::Valid {
                plugin: Plugin::NotRequired,
                ..
            } => {
                return Some(Held {
                    digest: NO_BUNDLE.to_owned(),
                    source: String::new(),
                });
            }
            Request::Valid {
                plugin: Plugin::Url(url),
                ..
            } => url,
            Request::Absent | Request::Held(_) => return before,
        };
        let source = fingerprint::short(url.expose().as_bytes());
        match (model.seen.fetched.get(&id), before) {
            (Some(Fetched::Stored { digest }), _) if in_store(host, digest) => Some(Held {
                digest: digest.clone(),
                source,
            }),
            (Some(Fetched::Empty), _) => Some(Held {
                digest: NO_BUNDLE.to_owned(),
                source,
            }),
            (Some(Fetched::Failed { reason }), before) => {
                let known = failed(model, self, &source);
                let wait_s = known.map_or(RETRY_FETCH_S, |(_, wait_s)| wait_s);
                self.fail(id, reason.clone(), wait_s);
                before
            }
            (None, Some(before))
                if before.source == source && differs(model, peers, id, &before) =>
            {
                self.fetch.insert(id, url.clone());
                Some(before)
            }
            (_, Some(before)) if before.source == source => Some(before),
            (_, before) => {
                match failed(model, self, &source) {
                    Some((reason, wait_s)) => self.fail(id, reason, wait_s),
                    None => drop(self.fetch.insert(id, url.clone())),
                }
                before
            }
        }
    }

    fn fail(&mut self, id: RelationId, reason: String, wait_s: u64) {
        self.faults.insert(id, reason);
        let wait_s = self.retry_after_s.map_or(wait_s, |other| other.min(wait_s));
        self.retry_after_s = Some(wait_s);
    }
}

/// What we held for a client, if it is still here.
fn before(host: &Host, peers: &Peers, id: RelationId) -> Option<Held> {
    let digest = peers.ours.bundles.get(&id);
    let digest = digest.filter(|digest| in_store(host, digest))?.clone();
    let source = peers.ours.sources.get(&id).cloned().unwrap_or_default();
    Some(Held { digest, source })
}

/// Why a download failed that is not to be tried again yet, and for how long, in seconds.
fn failed(model: &Model<'_>, bundles: &Bundles, source: &str) -> Option<(String, u64)> {
    let failed = model.seen.host.failed_fetches.get(source)?;
    let terms = bundles.terms.as_ref()?;
    if failed.terms != terms.fingerprint() {
        return None;
    }
    Some((failed.reason.clone(), failed.wait_s(model.seen.now)?))
}

/// Why what a client has here would not be let in any more. It stays all the same: taking it away
/// would stop connectors that run, and restart workers.
fn objection(client: &Client, bundles: &Bundles, held: &Held) -> Option<String> {
    let Request::Valid {
        plugin: Plugin::Url(url),
        ..
    } = &client.request
    else {
        return None;
    };
    let here = held.digest != NO_BUNDLE;
    let terms = bundles.terms.as_ref().filter(|_| here)?;
    terms.allowed.objection(url.expose(), &held.digest)
}

/// Whether our own unit was away for so long that the others go on without it.
fn is_lost(model: &Model<'_>, peers: &Peers) -> bool {
    let ours = model.seen.identity.unit_number;
    let silent = peers.application.silent.get(&ours).copied();
    let since = silent.into_iter().chain(peers.ours.unwell_since).min();
    let end = since.map(|since| since.saturating_add(model.config.unit_timeout_s));
    !peers.others.is_empty() && end.is_some_and(|end| end <= model.seen.now)
}

/// Whether the next start of our worker needs no turn, and others may be starting as well: then
/// only the Juju leader's tries what no worker has run with, so that a bad plugin reaches one.
fn leaves_trying(model: &Model<'_>, peers: &Peers) -> bool {
    let alone = peers.others.values().all(|unit| unit.leaving);
    let well = peers.ours.healthy || is_healthy(model);
    let unit = model.seen.identity.unit();
    let turn = peers.application.turn.as_ref();
    let in_turn = turn.is_some_and(|turn| !turn.closed && turn.units.contains(&unit));
    !(alone || model.seen.leader || well || in_turn)
}

/// Why a bundle stops a worker of ours, if it does.
fn rejected<'a>(peers: &'a Peers, digest: &String) -> Option<&'a String> {
    let others = peers.others.values().filter(|unit| !unit.leaving);
    std::iter::once(&peers.ours)
        .chain(others)
        .find_map(|unit| unit.rejected_bundles.get(digest))
}

/// Whether another unit got something else from the same URL, because it changed between two
/// downloads. Looked into now and then only: a server that never gives the same twice must not
/// keep the units downloading.
fn differs(model: &Model<'_>, peers: &Peers, id: RelationId, held: &Held) -> bool {
    model.seen.hook == Hook::UpdateStatus
        && peers.others.values().any(|unit| {
            unit.sources.get(&id) == Some(&held.source)
                && unit
                    .bundles
                    .get(&id)
                    .is_some_and(|digest| *digest != held.digest)
        })
}

/// A healthy worker that was started with a bundle and does not list its classes.
fn unlisted(model: &Model<'_>, bundles: &mut Bundles) {
    let host = &model.seen.host;
    let Some(worker) = model.seen.worker.known().filter(|worker| worker.healthy) else {
        return;
    };
    let Some(started) = &host.started else { return };
    for (id, held) in &bundles.held {
        let Some(bundle) = host.bundles.get(&held.digest) else {
            continue;
        };
        if !started.plugins.contains(&held.digest) {
            continue;
        }
        if let Some(class) = bundle.classes.difference(&worker.plugin_classes).next() {
            bundles
                .faults
                .entry(*id)
                .or_insert_with(|| format!("the worker cannot load {class}"));
        }
    }
}

fn in_store(host: &Host, digest: &str) -> bool {
    digest == NO_BUNDLE || host.bundles.contains_key(digest) || host.retired.contains(digest)
}

/// Digests that the running worker has proven to have loaded.
#[must_use]
pub fn loaded(model: &Model<'_>, before: &BTreeSet<String>) -> BTreeSet<String> {
    let host = &model.seen.host;
    let Some(started) = &host.started else {
        return BTreeSet::new();
    };
    let Some(worker) = model.seen.worker.known().filter(|worker| worker.healthy) else {
        // Not asked or not answering just now: what was proven of what it was started with stays.
        return before.intersection(&started.plugins).cloned().collect();
    };
    started
        .plugins
        .iter()
        .filter(|digest| {
            // A bundle off the plugin path has no facts any more; what it proved stays proven.
            host.bundles.get(*digest).map_or_else(
                || before.contains(*digest),
                |bundle| bundle.classes.is_subset(&worker.plugin_classes),
            )
        })
        .cloned()
        .collect()
}

/// The steps that bring bundles onto the plugin path.
#[must_use]
pub fn bring(host: &Host, bundles: &Bundles) -> Vec<Step> {
    let restore = bundles
        .wanted
        .iter()
        .filter(|digest| host.retired.contains(*digest))
        .map(|digest| Step::RestoreBundle {
            digest: digest.clone(),
        });
    let fetch = bundles.terms.iter().flat_map(|terms| {
        let fetch = bundles.fetch.iter();
        fetch.map(|(id, url)| steps::fetch(*id, url, terms))
    });
    restore.chain(fetch).collect()
}

/// The steps that take bundles away that nobody wants. What a running worker was started with is
/// only moved off the plugin path: it may still open files of it. So is what a client was told of
/// while something newer has not been loaded everywhere, and what stopped a worker.
#[must_use]
pub fn put_away(model: &Model<'_>, bundles: &Bundles, worker_stopped: bool) -> Vec<Step> {
    let host = &model.seen.host;
    let Some(peers) = &model.peers else {
        return Vec::new();
    };
    let told = |digest: &String| {
        let known = peers.application.clients.iter();
        known
            .filter(|(id, _)| model.clients.contains_key(id))
            .any(|(_, client)| client.digest == *digest)
    };
    let held = |digest: &String| bundles.held.values().any(|held| held.digest == *digest);
    let running = |digest: &String| match &host.started {
        Some(started) => started.plugins.contains(digest),
        None => !worker_stopped,
    };
    let in_use = |digest: &String| running(digest) || told(digest) || held(digest);
    let unwanted = |digest: &&String| !bundles.wanted.contains(*digest);
    let stored = host.bundles.keys().filter(unwanted).map(|digest| {
        if in_use(digest) {
            Step::RetireBundle {
                digest: digest.clone(),
            }
        } else {
            Step::RemoveBundle {
                digest: digest.clone(),
            }
        }
    });
    let retired = host
        .retired
        .iter()
        .filter(unwanted)
        .filter(|digest| !in_use(digest) && !host.bundles.contains_key(*digest))
        .map(|digest| Step::RemoveBundle {
            digest: digest.clone(),
        });
    stored.chain(retired).collect()
}
