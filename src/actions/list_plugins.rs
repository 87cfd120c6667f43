//! `list-plugins`: the bundles on this unit and what its worker has loaded.

use std::collections::BTreeMap;

use connect_core::observation::{Hook, Reading};

use super::Answer;
use crate::dispatch::{self, Error};
use crate::world::World;

pub(super) fn run(world: &mut World) -> Result<Answer, Error> {
    let hook = Hook::Reconcile {
        name: "list-plugins".to_owned(),
    };
    let seen = dispatch::look(hook, world)?;
    let loaded = seen
        .host
        .started
        .as_ref()
        .map(|started| started.plugins.clone())
        .unwrap_or_default();
    let mut results = BTreeMap::new();
    for (digest, bundle) in &seen.host.bundles {
        let classes: Vec<&str> = bundle.classes.iter().map(String::as_str).collect();
        results.insert(format!("bundles.{digest}.classes"), classes.join("\n"));
        let is_loaded = if loaded.contains(digest) { "yes" } else { "no" };
        results.insert(format!("bundles.{digest}.loaded"), is_loaded.to_owned());
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
