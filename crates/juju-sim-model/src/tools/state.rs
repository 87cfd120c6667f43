//! Charm state.

use super::call::{Call, Stop, failed, no_more};
use super::flags::{Flag, OUTPUT, SMART};
use super::key_values;
use crate::go::{Value, quote};

/// Bytes of a key.
const KEY: usize = 256;
/// Bytes of a value.
const VALUE: usize = 65_536;

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, Flag::bool(&["strict"])])?;
    let key = options
        .args
        .first()
        .map(String::as_str)
        .filter(|key| *key != "-");
    let key = key.unwrap_or_default();
    no_more(options.args.get(1..).unwrap_or_default())?;
    let state = call.context.charm_state(call.model);
    let value = if key.is_empty() {
        // A nil map: `null` in JSON, and yet `{}` in YAML.
        if state.is_empty() {
            let empty = Value::Map(std::collections::BTreeMap::new());
            return call.print_as(&options, &empty, &Value::Null);
        }
        Value::string_map(&*state)
    } else {
        match state.get(key) {
            Some(value) => Value::Text(value.clone()),
            None if options.has("strict") => return failed(format!("{} not found", quote(key))),
            None => Value::Text(String::new()),
        }
    };
    call.print(&options, &value)
}

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[Flag::text(&["file"])])?;
    let arguments = key_values::parse(&options.args)?;
    let changes = key_values::with_file(call, options.text("file"), arguments)?;
    for (key, value) in changes {
        for (what, size, limit) in [("key", key.len(), KEY), ("value", value.len(), VALUE)] {
            if size > limit {
                return failed(format!("max allowed {what} length ({limit}) exceeded"));
            }
        }
        call.context.charm_state(call.model).insert(key, value);
    }
    Ok(())
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    no_more(options.args.get(1..).unwrap_or_default())?;
    if let Some(key) = options.args.first().filter(|key| !key.is_empty()) {
        call.context.charm_state(call.model).remove(key);
    }
    Ok(())
}
