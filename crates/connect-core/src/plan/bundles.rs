//! Which plugin bundles this unit holds for its clients, and which it has yet to fetch.

mod resource;
mod suspects;

use std::collections::{BTreeMap, BTreeSet};

use super::rolling::is_healthy;
use super::{Step, steps, trial};
use crate::fingerprint;
use crate::limits::{AGREE_S, RETRY_FETCH_S};
use crate::model::Model;
use crate::model::admission::Terms;
use crate::model::client::{Client, Plugin, Request};
use crate::model::peer::{HeldResource, NO_BUNDLE, Peers};
use crate::observation::{Asked, Fetched, Hook, Host, RelationId};
use crate::secret::Secret;

/// Name of the resource with a plugin of the operator's own.
pub const PLUGIN_RESOURCE: &str = "connect-plugin";

/// The bundles of the clients whose relation stays.
#[derive(Debug, Default)]
pub struct Bundles {
    /// What we hold, by client.
    pub held: BTreeMap<RelationId, Held>,
    /// What to fetch, by client.
    pub fetch: BTreeMap<RelationId, Secret<String>>,
    /// On what terms; without any nothing is fetched.
    pub terms: Option<Terms>,
    /// Why a client's bundle is not here or not loaded, or not the one it should be.
    pub faults: BTreeMap<RelationId, String>,
    /// What we hold of resource `connect-plugin`; none until it was asked for.
    pub resource: Option<HeldResource>,
    /// What to take of that resource.
    pub admit: Option<Admit>,
    /// Why its plugin is not here or not loaded.
    pub resource_fault: Option<String>,
    /// Seconds until each of the faults that may go by themselves is looked at again.
    pub retry_after_s: Vec<u64>,
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

/// A resource's file to take into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    /// The file.
    pub path: String,
    /// Fingerprint of its identity.
    pub source: String,
}

impl Bundles {
    /// Whether something is on its way into the store.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        !self.fetch.is_empty() || self.admit.is_some()
    }
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
                bundles.retry_after_s.push(RETRY_FETCH_S);
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
    bundles.hold_resource(model, peers);
    bundles.try_one_suspect(host, peers);
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
        bundles.admit = None;
    }
    // A step that failed was reported without an outcome: not again in this hook.
    for failure in &model.seen.failures {
        if let Some(id) = failure.client
            && let (Some(url), Some(terms)) = (bundles.fetch.get(&id), &bundles.terms)
            && steps::fetch(id, url, terms).describe() == failure.step
        {
            bundles.fetch.remove(&id);
            bundles.faults.insert(id, failure.reason.clone());
            bundles.retry_after_s.push(RETRY_FETCH_S);
        }
    }
    unlisted(model, &mut bundles);
    if bundles.resource_fault.is_none() {
        bundles.resource_fault = resource::unlisted(model, &bundles);
    }
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
            (fetched, Some(before)) if before.source == source => {
                let asked = host.asked.get(&source);
                let lasting = asked
                    .and_then(|asked| asked.failed.as_ref())
                    .filter(|failed| failed.lasting);
                if fetched.is_none() && self.is_due(model, peers, id, &before, asked) {
                    self.fetch.insert(id, url.clone());
                } else if let Some(failed) = lasting {
                    // That a server is down, on the other hand, changes nothing.
                    self.faults.insert(id, failed.reason.clone());
                }
                Some(before)
            }
            (Some(Fetched::Failed { reason, .. }), before) => {
                let known = self.waits(host, model.seen.now, &source);
                let wait_s = known.map_or(RETRY_FETCH_S, |(_, wait_s)| wait_s);
                self.fail(id, reason.clone(), wait_s);
                before
            }
            (_, before) => {
                match self.waits(host, model.seen.now, &source) {
                    Some((reason, wait_s)) => self.fail(id, reason, wait_s),
                    None => drop(self.fetch.insert(id, url.clone())),
                }
                before
            }
        }
    }

    fn fail(&mut self, id: RelationId, reason: String, wait_s: u64) {
        self.faults.insert(id, reason);
        self.retry_after_s.push(wait_s);
    }

    /// Why asking failed if it is not to be tried again yet, and for how long, in seconds.
    fn waits(&self, host: &Host, now: u64, source: &str) -> Option<(String, u64)> {
        let terms = self.terms.as_ref()?.fingerprint();
        let (failed, wait_s) = host.asked.get(source)?.waits(now, &terms)?;
        Some((failed.reason.clone(), wait_s))
    }

    /// Whether to look if a URL still serves what it served.
    fn is_due(
        &self,
        model: &Model<'_>,
        peers: &Peers,
        id: RelationId,
        held: &Held,
        asked: Option<&Asked>,
    ) -> bool {
        let Some(terms) = &self.terms else {
            return false;
        };
        let now = model.seen.now;
        let is_older = |seconds: u64| asked.is_none_or(|asked| asked.is_older(now, seconds));
        let other_terms =
            asked.is_some_and(|asked| asked.failed.is_some() && asked.terms != terms.fingerprint());
        // Hooks that others wait for do not look: a slow server would cost them seconds.
        let looks = model.seen.hook == Hook::UpdateStatus;
        let interval_s = model.config.plugin_check_interval_s;
        let served = peers.application.clients.contains_key(&id);
        other_terms
            || looks && interval_s > 0 && is_older(interval_s)
            || differs(peers, id, held) && (looks || served && is_older(AGREE_S))
    }

    /// Digests that are somebody's, wanted or not.
    pub(super) fn is_held(&self, digest: &String) -> bool {
        let resource = self.resource.iter();
        self.held.values().any(|held| held.digest == *digest)
            || resource
                .flat_map(|held| held.previous.iter().chain([&held.digest]))
                .any(|held| held == digest)
    }
}

/// What we held for a client, if it is still here.
fn before(host: &Host, peers: &Peers, id: RelationId) -> Option<Held> {
    let digest = peers.ours.bundles.get(&id);
    let digest = digest.filter(|digest| in_store(host, digest))?.clone();
    let source = peers.ours.sources.get(&id).cloned().unwrap_or_default();
    Some(Held { digest, source })
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
pub(super) fn rejected<'a>(peers: &'a Peers, digest: &String) -> Option<&'a String> {
    let others = peers.others.values().filter(|unit| !unit.leaving);
    std::iter::once(&peers.ours)
        .chain(others)
        .find_map(|unit| unit.rejected_bundles.get(digest))
}

/// Whether another unit got something else from the same URL, because it changed between two
/// downloads. Looked into now and then only: a server that never gives the same twice must not
/// keep the units downloading.
fn differs(peers: &Peers, id: RelationId, held: &Held) -> bool {
    peers.others.values().any(|unit| {
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
        if let Some(class) = bundle.classes.difference(&worker.plugin_classes).next()
            && !bundles.faults.contains_key(id)
        {
            let fault = format!("the worker cannot load {class}");
            bundles.faults.insert(*id, fault);
            bundles.retry_after_s.push(RETRY_FETCH_S);
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
    let admit = bundles.terms.iter().zip(&bundles.admit);
    let admit = admit.map(|(terms, admit)| Step::AdmitResource {
        path: admit.path.clone(),
        source: admit.source.clone(),
        terms: terms.clone(),
    });
    restore.chain(fetch).chain(admit).collect()
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
    let running = |digest: &String| match &host.started {
        Some(started) => started.plugins.contains(digest),
        None => !worker_stopped,
    };
    let in_use = |digest: &String| running(digest) || told(digest) || bundles.is_held(digest);
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
