//! Options: from what an operator typed to values, all or none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use juju_sim_model::state::{Application, ConfigValue, OptionType};
use serde_json::Value;

use super::deploy::not_found;
use super::state::State;
use crate::charm;

/// `@file` stands for a file's text.
pub(super) fn from_file(from: &Path, value: &str) -> Result<String> {
    match value.strip_prefix('@') {
        Some(file) => {
            let path = from.join(file);
            fs::read_to_string(&path)
                .with_context(|| format!("cannot read option from file {file:?}"))
        }
        None => Ok(value.to_owned()),
    }
}

/// A YAML file: options by application, or options.
pub(super) fn settings_file(application: &mut Application, path: &Path) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let values: BTreeMap<String, Value> = serde_yaml::from_str(&text)
        .with_context(|| format!("cannot parse `{}`", path.display()))?;
    let values = match values.get(&application.name) {
        Some(Value::Object(map)) => map.clone().into_iter().collect(),
        _ => values,
    };
    for (key, value) in values {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        set(application, &key, &text)?;
    }
    Ok(())
}

/// Sets one option from a text.
pub(crate) fn set(application: &mut Application, key: &str, text: &str) -> Result<()> {
    if key == "trust" {
        application.trusted = text == "true";
        return Ok(());
    }
    let Some(option) = application.options.get(key) else {
        bail!("unknown option {key:?}");
    };
    let kind = charm_type(option.kind);
    let Some(value) = kind.parse(text) else {
        bail!("option {key:?} expected {}, got {text:?}", kind.name());
    };
    if let Some(value) = config_value(option.kind, &value) {
        application.config.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Sets several options, all or none; from files where the value begins with `@`.
pub(crate) fn set_all(
    state: &mut State,
    from: &Path,
    name: &str,
    settings: &[(String, String)],
    reset: &[String],
) -> Result<()> {
    let mut application = state
        .model
        .applications
        .get(name)
        .with_context(|| not_found(name))?
        .clone();
    for (key, value) in settings {
        set(&mut application, key, &from_file(from, value)?)?;
    }
    for key in reset {
        if !application.options.contains_key(key) {
            bail!("unknown option {key:?}");
        }
        application.config.remove(key);
    }
    put(state, application);
    Ok(())
}

/// Sets options from a YAML file.
pub(crate) fn set_file(state: &mut State, path: &Path, name: &str) -> Result<()> {
    let mut application = state
        .model
        .applications
        .get(name)
        .with_context(|| not_found(name))?
        .clone();
    settings_file(&mut application, path)?;
    put(state, application);
    Ok(())
}

fn put(state: &mut State, application: Application) {
    let name = application.name.clone();
    let before = state.model.applications.insert(name.clone(), application);
    let after = &state.model.applications[&name];
    let same = before
        .is_some_and(|before| before.config == after.config && before.trusted == after.trusted);
    if let Some(extra) = state.applications.get_mut(&name).filter(|_| !same) {
        extra.config_version += 1;
    }
}

fn charm_type(kind: OptionType) -> charm::OptionType {
    match kind {
        OptionType::String => charm::OptionType::String,
        OptionType::Int => charm::OptionType::Int,
        OptionType::Float => charm::OptionType::Float,
        OptionType::Boolean => charm::OptionType::Boolean,
        OptionType::Secret => charm::OptionType::Secret,
    }
}

pub(super) fn model_type(kind: charm::OptionType) -> OptionType {
    match kind {
        charm::OptionType::String => OptionType::String,
        charm::OptionType::Int => OptionType::Int,
        charm::OptionType::Float => OptionType::Float,
        charm::OptionType::Boolean => OptionType::Boolean,
        charm::OptionType::Secret => OptionType::Secret,
    }
}

pub(super) fn config_value(kind: OptionType, value: &Value) -> Option<ConfigValue> {
    match (kind, value) {
        (_, Value::Bool(value)) => Some(ConfigValue::Boolean(*value)),
        (OptionType::Float, Value::Number(value)) => value.as_f64().map(ConfigValue::Float),
        (_, Value::Number(value)) => value.as_i64().map(ConfigValue::Int),
        (_, Value::String(value)) => Some(ConfigValue::String(value.clone())),
        _ => None,
    }
}
