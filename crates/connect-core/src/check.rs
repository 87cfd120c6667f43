//! Invariants that every plan obeys: asserted in debug builds and by the tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::gateway::Users;
use crate::limits;
use crate::model::config::Config;
use crate::model::operators::Operators;
use crate::model::peer::unit_number;
use crate::observation::{Hook, Life, Observation, Reading, RelationId};
use crate::plan::{Mint, MintedValue, Plan, Promise, SecretOwner, Step};
use crate::wire::{self, labels, schema};

/// What a plan does that it must not; empty for a good plan.
#[must_use]
pub fn violations(seen: &Observation, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    leadership(seen, plan, &mut found);
    publication(seen, plan, &mut found);
    removal(seen, plan, &mut found);
    encryption(seen, plan, &mut found);
    secrecy(seen, plan, &mut found);
    users(seen, plan, &mut found);
    membership(seen, plan, &mut found);
    let mut paths = BTreeSet::new();
    for step in &plan.steps {
        if let Step::WriteFile { path, .. } = step
            && !paths.insert(path)
        {
            found.push(format!("{path} is written twice"));
        }
    }
    let message = &plan.status.message;
    if message.chars().count() > limits::STATUS_LENGTH || message.contains('\n') {
        found.push("the status is not one short line".to_owned());
    }
    found
}

/// Only the leader speaks for the application, and nobody does while leaving.
fn leadership(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    let for_application = plan.promises.iter().any(|promise| match promise {
        Promise::SetApplicationData { .. }
        | Promise::SetSecret { .. }
        | Promise::GrantSecret { .. } => true,
        Promise::RemoveSecret { label } => label != labels::TLS_KEY,
        Promise::SetUnitData { .. }
        | Promise::RequestCertificate { .. }
        | Promise::OpenPort { .. }
        | Promise::ClosePort { .. }
        | Promise::SetWorkloadVersion { .. } => false,
    });
    let mints = |mint: &Mint| mint.owner == SecretOwner::Application;
    if (for_application || plan.minted.iter().any(mints))
        && (!seen.leader || seen.hook == Hook::Leave)
    {
        found.push("a unit speaks for the application without the right to".to_owned());
    }
}

/// What clients are told, by relation.
fn answers(plan: &Plan) -> impl Iterator<Item = (RelationId, &BTreeMap<String, Option<String>>)> {
    plan.promises.iter().filter_map(|promise| {
        let Promise::SetApplicationData { relation, changes } = promise else {
            return None;
        };
        (relation.endpoint == wire::CONNECT_CLIENT).then_some((relation.id, changes))
    })
}

/// A client is told of its secret once, with a grant, within the contract, and only when every
/// unit says that its gateway serves the user and its worker has loaded the plugin.
fn publication(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    for (id, changes) in answers(plan) {
        let Some(client) = seen
            .clients
            .get(&id)
            .filter(|client| client.life == Life::Live)
        else {
            found.push(format!(
                "client {id} is answered although its relation is gone"
            ));
            continue;
        };
        let mut bag = client.ours.clone().unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => bag.insert(key.clone(), value.clone()),
                None => bag.remove(key),
            };
        }
        let before = client
            .ours
            .as_ref()
            .and_then(|bag| bag.get(wire::SECRET_USER));
        if before.is_some() && bag.get(wire::SECRET_USER) != before {
            found.push(format!("the secret of client {id} changes its URI"));
        }
        if before.is_some() || !changes.contains_key(wire::SECRET_USER) {
            continue;
        }
        if let Some(fault) = schema::provider().check(&bag).first() {
            found.push(format!(
                "client {id} is told {} that {}",
                fault.field, fault.text
            ));
        }
        let granted = plan.promises.iter().any(|promise| {
            matches!(promise, Promise::GrantSecret { label, .. } if *label == labels::user(id))
        });
        if !granted {
            found.push(format!("client {id} is told of a secret it may not read"));
        }
        let late = served_without(seen, plan, id);
        for (unit, data) in seen.peers.iter().flat_map(|peers| &peers.others) {
            if unit_number(unit).is_none_or(|number| late.contains(&number)) {
                continue;
            }
            let departs = matches!(
                &seen.hook,
                Hook::RelationDeparted { departing_unit, .. } if departing_unit == unit
            );
            let data = wire::peer::read_unit(data);
            let is_ready = data.healthy && data.users.contains_key(&id);
            let leaves = departs || data.leaving || seen.dying.contains(unit);
            if !leaves && !is_ready {
                found.push(format!(
                    "client {id} is served before {unit} is ready for it"
                ));
            }
        }
    }
}

/// Units that a client is served without, as the leader tells the others.
fn served_without(seen: &Observation, plan: &Plan, id: RelationId) -> BTreeSet<u32> {
    let mut bag = seen
        .peers
        .as_ref()
        .map(|peers| peers.application.clone())
        .unwrap_or_default();
    for promise in &plan.promises {
        if let Promise::SetApplicationData { relation, changes } = promise
            && relation.endpoint == wire::WORKERS
        {
            let set = changes
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
            bag.extend(set);
        }
    }
    let data = wire::peer::read_application(&bag);
    data.clients
        .get(&id)
        .map(|client| client.late.clone())
        .unwrap_or_default()
}

/// Clients are told https only when every door that they are told of presents a certificate, and
/// told of a secret about it only with the right to read it.
fn encryption(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    for (id, changes) in answers(plan) {
        let told = changes.get(wire::ENDPOINTS).and_then(Option::as_ref);
        let before = seen
            .clients
            .get(&id)
            .and_then(|client| client.ours.as_ref()?.get(wire::ENDPOINTS));
        let is_https = |text: &String| text.starts_with("https");
        if told.is_some_and(is_https) && !before.is_some_and(is_https) {
            for (unit, data) in seen.peers.iter().flat_map(|peers| &peers.others) {
                let data = wire::peer::read_unit(data);
                let presents = data.tls.is_some_and(|tls| tls.https);
                let is_told = data.address.is_some_and(|address| is_in(&address, told));
                if is_told && !presents {
                    found.push(format!("client {id} is told https before {unit} speaks it"));
                }
            }
        }
        let secret = changes.get(wire::SECRET_TLS).is_some_and(Option::is_some);
        let granted = plan.promises.iter().any(|promise| {
            matches!(promise, Promise::GrantSecret { label, .. } if *label == labels::tls(id))
        });
        if secret && !granted {
            found.push(format!("client {id} is told of a secret it may not read"));
        }
    }
}

/// Whether one of these URLs is at an address.
fn is_in(address: &str, endpoints: Option<&String>) -> bool {
    let urls = endpoints.map_or("", String::as_str).split(',');
    urls.filter_map(|url| Some(url.split_once("//")?.1.rsplit_once(':')?.0))
        .any(|host| host.trim_matches(['[', ']']) == address)
}

/// Connectors and secrets are taken only from clients that are gone.
fn removal(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    let data = seen
        .peers
        .as_ref()
        .map(|peers| wire::peer::read_application(&peers.application))
        .unwrap_or_default();
    let stays = |id: &RelationId| {
        seen.clients
            .get(id)
            .is_some_and(|client| client.life != Life::Leaving)
    };
    for step in &plan.steps {
        if let Step::DeleteConnector { client, name } = step {
            let known = data.clients.contains_key(client) || data.tombstones.contains_key(client);
            if !seen.leader || stays(client) || !known {
                found.push(format!("connector {name} is deleted for client {client}"));
            }
        }
    }
    for promise in &plan.promises {
        let Promise::RemoveSecret { label } = promise else {
            continue;
        };
        let of_live =
            seen.clients.keys().filter(|id| stays(id)).any(|id| {
                [labels::user(*id), labels::tls(*id), labels::extra(*id)].contains(label)
            });
        if of_live || label == labels::INTERNAL {
            found.push(format!("secret {label} is removed while it is needed"));
        }
    }
}

/// No secret value is in anything that is shown or shared.
fn secrecy(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    let mut values: BTreeSet<&str> = BTreeSet::new();
    let own = seen
        .secrets
        .values()
        .filter_map(Reading::known)
        .flat_map(|secret| &secret.content);
    let kafka = seen
        .kafka
        .values()
        .flat_map(|relation| relation.secrets.values())
        .filter_map(Reading::known)
        .flatten();
    let hidden = [wire::PASSWORD, wire::CA_KEY, wire::PRIVATE_KEY];
    for (key, value) in own.chain(kafka) {
        if hidden.contains(&key.as_str()) {
            values.insert(value.expose());
        }
    }
    let chosen = seen.operators.known().into_iter().flatten();
    values.extend(chosen.map(|(_, password)| password.expose().as_str()));
    for mint in &plan.minted {
        for value in mint.content.values() {
            if let MintedValue::Text(text) = value
                && text.expose().len() >= limits::PASSWORD_LENGTH
                && !text.expose().starts_with("http")
                && !text.expose().starts_with("-----BEGIN CERTIFICATE-----")
            {
                values.insert(text.expose());
            }
        }
    }
    // Shorter ones occur in ordinary words.
    values.retain(|value| value.len() >= 12);

    let mut shown = vec![plan.status.message.clone(), format!("{plan:?}")];
    shown.extend(plan.steps.iter().map(Step::describe));
    shown.extend(plan.notes.iter().map(|note| note.text.clone()));
    for promise in &plan.promises {
        if let Promise::SetApplicationData { changes, .. } | Promise::SetUnitData { changes, .. } =
            promise
        {
            shown.extend(changes.values().flatten().cloned());
        }
    }
    if values
        .iter()
        .any(|value| shown.iter().any(|text| text.contains(value)))
    {
        found.push("a secret value would be shown".to_owned());
    }
}

/// No worker is set up for a group that options name, before it was noted that it may join: the note
/// has to stand in the peer relation already.
fn membership(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    let (config, _) = Config::read(&seen.config, &seen.identity);
    let bag = seen.peers.as_ref().map(|peers| &peers.application);
    let notes = bag.map(|bag| wire::peer::read_application(bag).groups);
    for step in &plan.steps {
        let Step::WriteFile { path, content, .. } = step else {
            continue;
        };
        if !path.ends_with("worker.properties") {
            continue;
        }
        let text = String::from_utf8_lossy(content.expose());
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim_start_matches('=').to_owned()
        };
        let group = value("group.id");
        let topics = ["config", "offset", "status"].map(|of| value(&format!("{of}.storage.topic")));
        let derived = format!("{}-{}", seen.identity.application, seen.identity.model_uuid);
        let own = ["configs", "offsets", "status"].map(|of| format!("{derived}-{of}"));
        let is_derived = group == derived && topics == own;
        let note = format!("{group} {}", topics.join(" "));
        let is_noted = notes.as_ref().is_some_and(|notes| notes.contains(&note));
        if !is_derived && !is_noted && !config.adopt_group {
            found.push(format!("a worker would join {group} unasked"));
        }
    }
}

/// The users file lets in clients whose relation stays, each under its own name, operators as their
/// secret has them, and nobody else.
fn users(seen: &Observation, plan: &Plan, found: &mut Vec<String>) {
    let live: BTreeMap<String, RelationId> = seen
        .clients
        .iter()
        .filter(|(_, client)| client.life == Life::Live)
        .map(|(id, _)| (crate::model::client::username(*id), *id))
        .collect();
    let operators = match seen.secrets.get(labels::OPERATORS) {
        Some(Reading::Known(secret)) => Operators::read(&secret.content),
        Some(Reading::Absent | Reading::Unreadable(_)) | None => None,
    };
    let operators: BTreeMap<&str, &str> = operators.iter().flat_map(Operators::users).collect();
    for step in &plan.steps {
        let Step::WriteFile { path, content, .. } = step else {
            continue;
        };
        if !path.ends_with("users.json") {
            continue;
        }
        let Ok(users) = serde_json::from_slice::<Users>(content.expose()) else {
            found.push("the users file is not one".to_owned());
            continue;
        };
        for user in users.users {
            if let Some(hash) = operators.get(user.name.as_str()) {
                if user.passwords_argon2id != [*hash] || !user.passwords_sha256.is_empty() {
                    found.push(format!("operator {} has another password", user.name));
                }
                continue;
            }
            if !live.contains_key(&user.name) {
                found.push(format!(
                    "user {} is let in after its client left",
                    user.name
                ));
            }
            if user.passwords_sha256.is_empty() {
                found.push(format!("user {} has no password", user.name));
            }
        }
    }
}
