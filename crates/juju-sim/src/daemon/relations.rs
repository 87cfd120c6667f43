//! Operator commands about relations and about removal.

use anyhow::{Result, bail};
use juju_sim_model::state::{Endpoint, Life, Role, Scope, StorageInstance};
use std::fmt::Write as _;

use super::deploy::{endpoints, not_found};
use super::state::State;

/// `application[:endpoint]`.
fn side(state: &State, text: &str) -> Result<Vec<Endpoint>> {
    let (application, endpoint) = match text.split_once(':') {
        Some((application, endpoint)) => (application, Some(endpoint)),
        None => (text, None),
    };
    if !state.model.applications.contains_key(application) {
        bail!("{}", not_found(application));
    }
    let mut found = endpoints(state, application);
    if let Some(endpoint) = endpoint {
        found.retain(|known| known.name == endpoint);
        if found.is_empty() {
            bail!("application {application:?} has no {endpoint:?} relation");
        }
    }
    Ok(found)
}

fn matches(first: &Endpoint, second: &Endpoint) -> bool {
    let roles = matches!(
        (first.role, second.role),
        (Role::Provider, Role::Requirer) | (Role::Requirer, Role::Provider)
    );
    roles
        && first.interface == second.interface
        && first.application != second.application
        && first.scope == Scope::Global
        && second.scope == Scope::Global
}

fn spelled(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.application, endpoint.name)
}

/// Relates two applications.
pub(crate) fn integrate(state: &mut State, first: &str, second: &str) -> Result<u32> {
    let (left, right) = (side(state, first)?, side(state, second)?);
    let mut pairs = Vec::new();
    for one in &left {
        for other in right.iter().filter(|other| matches(one, other)) {
            pairs.push((one.clone(), other.clone()));
        }
    }
    let (one, other) = match pairs.len() {
        0 => bail!("no relations found"),
        1 => pairs.remove(0),
        _ => {
            let named: Vec<String> = pairs
                .iter()
                .map(|(one, other)| format!("\"{} {}\"", spelled(one), spelled(other)))
                .collect();
            bail!(
                "ambiguous relation: \"{first} {second}\" could refer to {}",
                named.join("; ")
            );
        }
    };
    let same =
        state.model.relations.values().find(|relation| {
            relation.endpoints.contains(&one) && relation.endpoints.contains(&other)
        });
    if let Some(relation) = same {
        bail!(
            "cannot add relation \"{}\": relation already exists",
            relation.key()
        );
    }
    for endpoint in [&one, &other] {
        let limit = state
            .applications
            .get(&endpoint.application)
            .and_then(|extra| extra.charm.metadata.endpoints.get(&endpoint.name)?.limit);
        let used = state
            .model
            .relations
            .values()
            .filter(|r| r.endpoints.contains(endpoint))
            .count();
        if limit.is_some_and(|limit| used >= limit as usize) {
            bail!(
                "establishing a new relation for {} would exceed its maximum relation limit of {}",
                spelled(endpoint),
                limit.unwrap_or_default()
            );
        }
        let life = state
            .model
            .applications
            .get(&endpoint.application)
            .map(|a| a.life);
        if life != Some(Life::Alive) {
            bail!(
                "cannot add relation: application {:?} is not alive",
                endpoint.application
            );
        }
    }
    Ok(state.model.add_relation(vec![one, other]))
}

/// Begins to remove a relation.
pub(crate) fn remove_relation(state: &mut State, first: &str, second: Option<&str>) -> Result<()> {
    let found: Vec<u32> = match second {
        None => {
            let id: u32 = match first.parse() {
                Ok(id) => id,
                Err(_) => bail!("a relation is named by its two ends or by its id"),
            };
            state
                .model
                .relations
                .keys()
                .copied()
                .filter(|known| *known == id)
                .collect()
        }
        Some(second) => {
            let (left, right) = (side(state, first)?, side(state, second)?);
            let joins = |relation: &juju_sim_model::state::Relation| {
                !relation.is_peer()
                    && relation
                        .endpoints
                        .iter()
                        .any(|endpoint| left.contains(endpoint))
                    && relation
                        .endpoints
                        .iter()
                        .any(|endpoint| right.contains(endpoint))
            };
            state
                .model
                .relations
                .values()
                .filter(|r| joins(r))
                .map(|r| r.id)
                .collect()
        }
    };
    match found[..] {
        [] => bail!(
            "relation \"{first} {}\" not found",
            second.unwrap_or_default()
        ),
        [id] => {
            if let Some(relation) = state.model.relations.get_mut(&id) {
                relation.life = Life::Dying;
            }
        }
        _ => bail!(
            "ambiguous relation: \"{first} {}\"",
            second.unwrap_or_default()
        ),
    }
    state.tidy();
    Ok(())
}

/// Begins to remove units.
pub(crate) fn remove_units(state: &mut State, units: &[String]) -> Result<String> {
    let mut text = String::new();
    for name in units {
        let Some(unit) = state.model.units.get_mut(name) else {
            bail!("unit {name:?} not found");
        };
        unit.life = Life::Dying;
        let dying = |storage: &mut StorageInstance| storage.life = Life::Dying;
        unit.storage.iter_mut().for_each(dying);
        let _ = writeln!(text, "will remove unit {name}");
    }
    Ok(text)
}

/// Begins to remove applications.
pub(crate) fn remove_applications(state: &mut State, names: &[String]) -> Result<String> {
    let mut text = String::new();
    for name in names {
        let units: Vec<String> = state
            .model
            .units_of(name)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let Some(application) = state.model.applications.get_mut(name) else {
            bail!("{}", not_found(name));
        };
        application.life = Life::Dying;
        let _ = writeln!(text, "will remove application {name}");
        for unit in &units {
            let _ = writeln!(text, "- will remove unit {unit}");
        }
        remove_units(state, &units)?;
        for relation in state.model.relations.values_mut() {
            if !relation.is_peer() && relation.endpoint_of(name).is_some() {
                relation.life = Life::Dying;
            }
        }
    }
    state.tidy();
    Ok(text)
}
