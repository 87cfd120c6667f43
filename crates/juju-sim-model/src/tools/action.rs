//! action-get, action-set, action-fail, action-log.

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{OUTPUT, SMART};
use crate::context::Event;
use crate::go::{Value, quote};

const NO_ACTION: &str = "not running an action";
const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    no_more(options.args.get(1..).unwrap_or_default())?;
    let Some(params) = call.context.action_params() else {
        return failed(NO_ACTION);
    };
    let params = serde_json::Value::Object(params.clone());
    let value = match options.args.first() {
        None => Value::from(&params),
        Some(path) => {
            let found = path
                .split('.')
                .try_fold(&params, |value, key| value.as_object()?.get(key));
            found.map_or(Value::Null, Value::from)
        }
    };
    call.print(&options, &value)
}

/// Letters, digits and hyphens, with no hyphen at either end.
fn is_key(key: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !key.is_empty() && key.bytes().all(inner) && !key.starts_with('-') && !key.ends_with('-')
}

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let mut results = Vec::new();
    for argument in &options.args {
        let Some((path, value)) = argument.split_once('=') else {
            return usage(format!(
                "argument {} must be of the form key...=value",
                quote(argument)
            ));
        };
        let path: Vec<&str> = path.split('.').collect();
        for key in &path {
            if !is_key(key) {
                return usage(format!(
                    "key {} must start and end with lowercase alphanumeric, and contain only \
                     lowercase alphanumeric and hyphens",
                    quote(key)
                ));
            }
            if RESERVED.contains(key) {
                return usage(format!("cannot set reserved action key \"{key}\""));
            }
        }
        results.push((path, value));
    }
    for (path, value) in results {
        if !call.context.set_result(&path, value) {
            return failed(NO_ACTION);
        }
    }
    Ok(())
}

pub(super) fn fail(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    no_more(options.args.get(1..).unwrap_or_default())?;
    let default = "action failed without reason given, check action for errors";
    let message = options.args.first().map_or(default, String::as_str);
    if call.context.fail_action(message) {
        Ok(())
    } else {
        failed(NO_ACTION)
    }
}

pub(super) fn log(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    if options.args.is_empty() {
        return usage("no message specified");
    }
    if call.context.action_params().is_none() {
        return failed(NO_ACTION);
    }
    call.context.event(Event::Progress(options.args.join(" ")));
    Ok(())
}
