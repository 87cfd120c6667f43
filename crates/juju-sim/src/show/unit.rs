//! `juju show-unit` and `juju show-application`.

use juju_sim_model::state::{ConfigValue, application_of};
use serde_json::{Map, Value, json};

use super::status;
use crate::daemon::state::State;

/// One unit with its databags: the other side's application bag, its own bag, the remote units'.
pub(crate) fn unit(state: &State, name: &str) -> Option<Value> {
    let model = &state.model;
    let unit = model.units.get(name)?;
    let own = application_of(name);
    let relations: Vec<Value> = model
        .relations_of(own)
        .filter_map(|relation| {
            let mine = relation.endpoint_of(own)?;
            let other = relation.remote_endpoint(own)?;
            let bag = |unit: &String| {
                let data = relation.unit_bags.get(unit).map(|bag| &bag.values);
                json!({"in-scope": relation.in_scope.contains(unit), "data": data})
            };
            let related: Map<String, Value> = relation
                .in_scope
                .iter()
                .filter(|unit| application_of(unit) == other.application && *unit != name)
                .map(|unit| (unit.clone(), bag(unit)))
                .collect();
            let application = relation.application_bags.get(&other.application);
            let mut info = json!({
                "relation-id": relation.id,
                "endpoint": mine.name,
                "related-endpoint": other.name,
                "application-data": application.map(|bag| &bag.values),
                "local-unit": bag(&name.to_owned()),
            });
            if !related.is_empty() {
                info["related-units"] = Value::Object(related);
            }
            Some(info)
        })
        .collect();
    let opened: Vec<String> = unit
        .ports
        .values()
        .flatten()
        .map(ToString::to_string)
        .collect();
    Some(json!({
        "workload-version": unit.workload_version,
        "machine": unit.machine,
        "opened-ports": opened,
        "public-address": unit.public_address,
        "charm": format!("local:{}-{}", model.applications.get(own)?.charm, model.applications[own].charm_revision),
        "leader": model.is_leader(name),
        "life": unit.life,
        "relation-info": relations,
    }))
}

/// One application.
pub(crate) fn application(state: &State, name: &str) -> Option<Value> {
    let application = state.model.applications.get(name)?;
    let extra = state.applications.get(name)?;
    let bindings: Map<String, Value> = extra
        .charm
        .metadata
        .endpoints
        .keys()
        .map(|endpoint| (endpoint.clone(), json!("alpha")))
        .collect();
    Some(json!({
        "charm": application.charm,
        "charm-origin": extra.origin,
        "charm-rev": application.charm_revision,
        "summary": extra.charm.metadata.summary,
        "bases": extra.charm.bases,
        "trusted": application.trusted,
        "exposed": application.exposed,
        "life": application.life,
        "status": status::application_status(&state.model, name).status.as_str(),
        "resources": application.resources.iter()
            .map(|(name, resource)| (name.clone(), json!(resource.revision))).collect::<Map<_, _>>(),
        "endpoint-bindings": bindings,
    }))
}

/// `juju config APP`: every option with its value, its default and where the value is from.
pub(crate) fn config(state: &State, name: &str) -> Option<Value> {
    let application = state.model.applications.get(name)?;
    let settings: Map<String, Value> = application
        .options
        .iter()
        .map(|(key, option)| {
            let source = match (application.config.contains_key(key), &option.default) {
                (true, _) => "user",
                (false, Some(_)) => "default",
                (false, None) => "unset",
            };
            let mut value = json!({"type": option.kind, "source": source});
            if !option.description.is_empty() {
                value["description"] = json!(option.description);
            }
            if let Some(current) = application.value(key) {
                value["value"] = json!(current);
            }
            if let Some(default) = &option.default {
                value["default"] = json!(default);
            }
            (key.clone(), value)
        })
        .collect();
    Some(json!({"application": name, "charm": application.charm, "settings": settings}))
}

/// `juju config APP KEY`.
pub(crate) fn option(state: &State, name: &str, key: &str) -> Option<String> {
    let application = state.model.applications.get(name)?;
    application.options.get(key)?;
    Some(match application.value(key) {
        None => String::new(),
        Some(ConfigValue::String(text)) => text.clone(),
        Some(other) => json!(other).to_string(),
    })
}
