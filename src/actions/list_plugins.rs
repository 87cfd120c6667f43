//! `list-plugins`: the bundles on this unit, who uses them, what is worth knowing of them, and what
//! its worker has loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connect_core::model::peer::UnitData;
use connect_core::observation::{Hook, Observation, Reading};
use connect_core::plan::bundles::PLUGIN_RESOURCE;
use connect_core::wire;
use connect_plugins::Contract;

use super::Answer;
use crate::dispatch::{self, Error};
use crate::observe::host::HostError;
use crate::world::World;

pub(super) fn run(world: &mut World) -> Result<Answer, Error> {
    let hook = Hook::Reconcile {
        name: "list-plugins".to_owned(),
    };
    let seen = dispatch::look(hook, world)?;
    let ours = seen.peers.as_ref();
    let ours = ours.map(|peers| wire::peer::read_unit(&peers.ours));
    let ours = ours.unwrap_or_default();
    let mut results = BTreeMap::new();
    for (place, directory) in [
        ("retired", world.layout.retired()),
        ("plugin path", world.layout.plugins()),
    ] {
        let bundles = connect_plugins::list(&PathBuf::from(directory));
        let bundles = bundles.map_err(|error| Error::Look(HostError::Store(error)))?;
        for (digest, contract) in &bundles {
            for (name, value) in describe(digest.as_str(), contract, &seen, &ours) {
                results.insert(format!("bundles.{digest}.{name}"), value);
            }
            results.insert(format!("bundles.{digest}.place"), place.to_owned());
        }
    }
    let worker = seen.worker.known().filter(|worker| worker.healthy);
    results.insert(
        "worker".to_owned(),
        match (&seen.worker, worker) {
            (_, Some(_)) => "healthy".to_owned(),
            (Reading::Absent, _) => "not running".to_owned(),
            (Reading::Known(_) | Reading::Unreadable(_), None) => "not ready".to_owned(),
        },
    );
    if let Some(worker) = worker {
        let classes: Vec<&str> = worker.plugin_classes.iter().map(String::as_str).collect();
        results.insert("classes".to_owned(), classes.join("\n"));
    }
    Ok(Answer::Results(results))
}

/// What there is to say of a bundle, one fact a line.
fn describe(
    digest: &str,
    contract: &Contract,
    seen: &Observation,
    ours: &UnitData,
) -> Vec<(&'static str, String)> {
    let classes = contract.classes.iter().map(|class| {
        let version = class.version.as_deref().unwrap_or("of unknown version");
        format!("{} {version} ({})", class.class, class.kind)
    });
    let clients = ours
        .bundles
        .iter()
        .filter(|(_, held)| *held == digest)
        .map(|(id, _)| {
            let client = seen.clients.get(id);
            let application = client.map_or("", |client| client.application.as_str());
            format!("{}:{id} ({application})", wire::CONNECT_CLIENT)
        });
    let resource = ours.resource.iter().filter(|held| held.digest == digest);
    let resource = resource.map(|_| format!("resource {PLUGIN_RESOURCE}"));
    let loaded = match &seen.host.started {
        Some(started) if !started.plugins.contains(digest) => "no",
        Some(_) if ours.loaded.contains(digest) => "yes",
        Some(_) => "started with it, not proven yet",
        None => "no",
    };
    let mut facts = vec![
        ("classes", lines(classes)),
        ("jars", lines(contract.jars.iter().cloned())),
        ("used-by", lines(clients.chain(resource))),
        ("loaded", loaded.to_owned()),
    ];
    if !contract.warnings.is_empty() {
        facts.push(("warnings", lines(contract.warnings.iter().cloned())));
    }
    facts
}

fn lines(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join("\n")
    }
}
