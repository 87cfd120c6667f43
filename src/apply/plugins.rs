//! Plugin bundles: fetched into the store, taken off the plugin path, put back, removed.

use std::collections::BTreeMap;
use std::path::Path;

use connect_core::fingerprint;
use connect_core::layout::{Layout, WORKER_USER};
use connect_core::model::admission::{Allowed as Policy, PluginLimits, Terms};
use connect_core::observation::{Asked, Fetched, Host, RelationId};
use connect_core::plan::Step;
use connect_core::secret::Secret;
use connect_plugins::{
    Admitted, Allowed, BundleError, Digest, Fault, FetchOptions, FileOptions, Limits, Places,
    Retry, SafeUrl, Unpacker,
};

use super::StepError;
use crate::host::accounts::Accounts;
use crate::host::fs::Access;
use crate::host::{clock, fs, http};
use crate::report;
use crate::world::World;

/// Seconds after which it is forgotten what came of asking; the longest time between two looks is
/// shorter.
const FORGET_S: u64 = 30 * 24 * 60 * 60;
/// Most warnings about one plugin in the log; the action `list-plugins` has all.
const WARNINGS: usize = 10;

/// A bundle to fetch.
pub(super) struct Fetch<'a> {
    client: RelationId,
    url: &'a Secret<String>,
    terms: &'a Terms,
}

/// The fetches that `steps` begin with.
pub(super) fn leading_fetches(steps: &[Step]) -> Vec<Fetch<'_>> {
    steps
        .iter()
        .map_while(|step| {
            let Step::FetchBundle { client, url, terms } = step else {
                return None;
            };
            let client = *client;
            Some(Fetch { client, url, terms })
        })
        .collect()
}

/// Fetches bundles at the same time. Each has an outcome of its own.
pub(super) fn fetch(fetches: &[Fetch<'_>], world: &World) -> BTreeMap<RelationId, Fetched> {
    connect_plugins::install_tls_provider();
    let runtime = match http::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let reason = report::chain(&error);
            return fetches
                .iter()
                .map(|fetch| (fetch.client, failed(reason.clone())))
                .collect();
        }
    };
    let local = tokio::task::LocalSet::new();
    let places = Places::default();
    let tasks: Vec<_> = fetches
        .iter()
        .map(|fetch| {
            let options = options(fetch, &places, world);
            let whose = format!("connect-client:{}", fetch.client);
            let task = local.spawn_local(async move {
                match options {
                    Ok(options) => {
                        let result = connect_plugins::fetch(options).await;
                        outcome(result, &whose, |error| error.retry() == Retry::Permanent)
                    }
                    Err(reason) => failed(reason),
                }
            });
            (fetch.client, task)
        })
        .collect();
    local.block_on(&runtime, async {
        let mut outcomes = BTreeMap::new();
        for (client, task) in tasks {
            let outcome = task
                .await
                .unwrap_or_else(|error| failed(report::chain(&error)));
            outcomes.insert(client, outcome);
        }
        outcomes
    })
}

/// Takes the plugin of a resource.
pub(super) fn admit(path: &str, terms: &Terms, world: &World) -> Fetched {
    let options = unprivileged(&world.root).map(|user| FileOptions {
        path: path.into(),
        store: world.layout.plugins().into(),
        staging: world.layout.staging().into(),
        limits: limits(&terms.limits),
        unpacker: Unpacker {
            user: Some(user),
            ..Unpacker::default()
        },
    });
    let runtime = http::runtime().map_err(|error| report::chain(&error));
    match (options, runtime) {
        (Ok(options), Ok(runtime)) => {
            let result = runtime.block_on(connect_plugins::admit_file(options));
            // A file does not get better by itself, as what a server sends may.
            let lasting = |error: &BundleError| error.fault() != Fault::Machine;
            outcome(result, "resource connect-plugin", lasting)
        }
        (Err(reason), _) | (_, Err(reason)) => failed(reason),
    }
}

/// Notes on this machine what came of asking for plugins, for the hooks that follow: each by the
/// fingerprint of its URL or file, with the fingerprint of its terms.
pub(super) fn remember<'a>(
    outcomes: impl Iterator<Item = (String, String, &'a Fetched)>,
    host: &mut Host,
    world: &World,
) -> Result<(), StepError> {
    let now = clock::now();
    let mut asked = host.asked.clone();
    asked.retain(|_, asked| now.saturating_sub(asked.at) < FORGET_S);
    for (source, terms, outcome) in outcomes {
        let after = Asked::after(asked.get(&source), now, &terms, outcome);
        asked.insert(source, after);
    }
    let text = serde_json::to_vec(&asked).map_err(StepError::Json)?;
    let access = Access {
        mode: 0o640,
        user: 0,
        group: 0,
    };
    fs::write(Path::new(&world.layout.asked()), &text, access)?;
    host.asked = asked;
    Ok(())
}

/// What is remembered of a fetch.
pub(super) fn asked<'a>(
    fetch: &Fetch<'_>,
    outcomes: &'a BTreeMap<RelationId, Fetched>,
) -> Option<(String, String, &'a Fetched)> {
    let source = fingerprint::short(fetch.url.expose().as_bytes());
    let terms = fetch.terms.fingerprint();
    Some((source, terms, outcomes.get(&fetch.client)?))
}

fn failed(reason: String) -> Fetched {
    Fetched::Failed {
        reason,
        lasting: false,
    }
}

fn outcome(
    result: Result<Admitted, BundleError>,
    whose: &str,
    lasting: impl FnOnce(&BundleError) -> bool,
) -> Fetched {
    match result {
        Ok(Admitted::Stored(stored)) => {
            let digest = stored.digest.as_str();
            let warnings = stored.contract.warnings.iter().take(WARNINGS).cloned();
            let confinement = stored.confinement.filter(|it| !it.is_complete());
            let confinement = confinement.map(|it| format!("unpacked {it}: an older kernel"));
            for warning in warnings.chain(confinement) {
                // Juju logs it as a warning.
                eprintln!("plugin {digest} of {whose}: {warning}");
            }
            Fetched::Stored {
                digest: digest.to_owned(),
            }
        }
        Ok(Admitted::Unchanged(stored)) => Fetched::Stored {
            digest: stored.digest.as_str().to_owned(),
        },
        Ok(Admitted::Empty) => Fetched::Empty,
        // The first line says it all; the causes behind it are words of the HTTP library.
        Err(error) => Fetched::Failed {
            reason: error.to_string(),
            lasting: lasting(&error),
        },
    }
}

fn options(fetch: &Fetch<'_>, places: &Places, world: &World) -> Result<FetchOptions, String> {
    let url = SafeUrl::parse(fetch.url.expose())
        .map_err(|reason| format!("the plugin-url cannot be used: {reason}"))?;
    let layout = &world.layout;
    let mut options = FetchOptions::new(url, layout.plugins(), layout.staging());
    options.places = places.clone();
    options.limits = limits(&fetch.terms.limits);
    options.allowed = allowed(&fetch.terms.allowed);
    options.proxies = Some(world.proxies());
    options.unpacker.user = Some(unprivileged(&world.root)?);
    let authorities = &fetch.terms.authorities;
    options.extra_ca_pem = authorities
        .iter()
        .map(|pem| pem.clone().into_bytes())
        .collect();
    Ok(options)
}

fn limits(limits: &PluginLimits) -> Limits {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let PluginLimits {
        served_bytes,
        unpacked_bytes,
        file_bytes,
        entries,
        ratio,
        path_bytes,
        depth,
    } = *limits;
    Limits {
        compressed: served_bytes,
        unpacked: unpacked_bytes,
        file: file_bytes,
        entries,
        ratio,
        path: size(path_bytes),
        depth: size(depth),
        ..Limits::default()
    }
}

fn allowed(policy: &Policy) -> Allowed {
    let Policy { hosts, sha256 } = policy;
    Allowed {
        hosts: hosts.clone(),
        // One that is no digest is nobody's.
        digests: sha256
            .as_ref()
            .map(|list| list.iter().filter_map(|it| it.parse().ok()).collect()),
    }
}

/// Who unpacks: the worker's user, which will read the plugin anyway, or nobody while there is none.
fn unprivileged(root: &Path) -> Result<(u32, u32), String> {
    const NOBODY: u32 = 65534;
    let accounts = Accounts::read(root).map_err(|error| report::chain(&error))?;
    let user = accounts.user(WORKER_USER).unwrap_or(NOBODY);
    let group = accounts.group(WORKER_USER).unwrap_or(NOBODY);
    Ok((user, group))
}

pub(super) fn retire(digest: &str, layout: &Layout) -> Result<(), StepError> {
    relocate(digest, &layout.plugins(), &layout.retired())
}

pub(super) fn restore(digest: &str, layout: &Layout) -> Result<(), StepError> {
    relocate(digest, &layout.retired(), &layout.plugins())
}

fn relocate(digest: &str, from: &str, to: &str) -> Result<(), StepError> {
    let digest = parse(digest)?;
    let place = |directory: &str| Path::new(directory).join(digest.as_str());
    Ok(fs::move_directory(&place(from), &place(to))?)
}

pub(super) fn remove(digest: &str, layout: &Layout) -> Result<(), StepError> {
    let digest = parse(digest)?;
    let staging = layout.staging();
    for store in [layout.plugins(), layout.retired()] {
        connect_plugins::remove(Path::new(&store), Path::new(&staging), &digest)?;
    }
    Ok(())
}

/// A name that becomes part of a path to be removed.
fn parse(digest: &str) -> Result<Digest, StepError> {
    digest.parse().map_err(|_| StepError::Digest {
        digest: digest.to_owned(),
    })
}
