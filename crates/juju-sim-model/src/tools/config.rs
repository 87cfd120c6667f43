//! config-get, is-leader, leader-get and leader-set.

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, SMART};
use super::key_values;
use crate::context::Event;
use crate::go::{Value, quote};

pub(super) fn config_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, Flag::bool(&["a", "all"])])?;
    let all = options.has("a");
    let key = options.args.first().cloned().unwrap_or_default();
    if all && !key.is_empty() {
        return usage(format!(
            "cannot use argument --all together with key {}",
            quote(&key)
        ));
    }
    no_more(options.args.get(1..).unwrap_or_default())?;
    let config = call.context.config(call.model);
    let value = if key.is_empty() {
        let shown = config
            .iter()
            .filter(|(_, value)| all || **value != Value::Null);
        Value::Map(
            shown
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    } else {
        config.get(&key).cloned().unwrap_or(Value::Null)
    };
    call.print(&options, &value)
}

pub(super) fn is_leader(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    no_more(&options.args)?;
    let leader = call.context.is_leader(call.model);
    call.print(&options, &Value::Bool(leader))
}

pub(super) fn leader_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    let key = options
        .args
        .first()
        .map(String::as_str)
        .filter(|key| *key != "-");
    let key = key.unwrap_or_default();
    if key.contains('=') {
        return usage(format!("invalid key {}", quote(key)));
    }
    no_more(options.args.get(1..).unwrap_or_default())?;
    let settings = call.context.leader_settings(call.model);
    let value = if key.is_empty() {
        Value::string_map(settings)
    } else {
        settings
            .get(key)
            .map_or(Value::Null, |value| Value::Text(value.clone()))
    };
    call.print(&options, &value)
}

pub(super) fn leader_set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let changes = key_values::parse(&options.args)?;
    if !call.context.is_leader(call.model) {
        return failed("cannot write leadership settings: cannot write settings: not the leader");
    }
    if let Some(application) = call.model.applications.get_mut(&call.context.application) {
        let mut changed = Vec::new();
        for (key, value) in changes {
            let settings = &mut application.leader_settings;
            let before = if value.is_empty() {
                settings.remove(&key)
            } else {
                settings.insert(key.clone(), value.clone())
            };
            if before.unwrap_or_default() != value {
                changed.push(key);
            }
        }
        call.context.event(Event::LeaderSettings(changed));
    }
    call.context.leader_settings = None;
    Ok(())
}
