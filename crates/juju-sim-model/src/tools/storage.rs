//! storage-get, storage-list, storage-add.

use std::collections::BTreeMap;

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{OUTPUT, SMART, STORAGE};
use crate::context::HookContext;
use crate::go::{Value, quote};
use crate::state::{Model, StorageKind};

/// Whether `-s` may name this instance: the text is an id, and the controller has it ready.
pub(super) fn check_id(context: &mut HookContext, model: &Model, id: &str) -> Result<(), String> {
    let digits = |number: &str| {
        number == "0"
            || !number.is_empty()
                && !number.starts_with('0')
                && number.bytes().all(|c| c.is_ascii_digit())
    };
    let legal = id
        .split_once('/')
        .is_some_and(|(name, number)| crate::state::is_application_name(name) && digits(number));
    if !legal {
        return Err(format!("invalid storage ID {}", quote(id)));
    }
    let unit = context.unit().to_owned();
    match context
        .storage(model)
        .iter()
        .find(|instance| instance.id == id)
    {
        None => Err(format!("storage attachment {id}:{unit} not found")),
        Some(instance) => instance.error.clone().map_or(Ok(()), Err),
    }
}

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, STORAGE])?;
    let Some(id) = &options.storage else {
        return usage("no storage instance specified");
    };
    let key = options.args.first().cloned().unwrap_or_default();
    no_more(options.args.get(1..).unwrap_or_default())?;
    check_id(call.context, call.model, id).map_err(Stop::Failed)?;
    let storage = call.context.storage(call.model);
    let Some(instance) = storage.iter().find(|instance| instance.id == *id) else {
        return failed(format!("storage attachment {id} not found"));
    };
    let kind = match instance.kind {
        StorageKind::Filesystem => "filesystem",
        StorageKind::Block => "block",
    };
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    values.insert("kind".to_owned(), Value::Text(kind.to_owned()));
    values.insert(
        "location".to_owned(),
        Value::Text(instance.location.clone()),
    );
    let value = if key.is_empty() {
        Value::Map(values)
    } else if let Some(value) = values.remove(&key) {
        value
    } else {
        return failed(format!("invalid storage attribute {}", quote(&key)));
    };
    call.print(&options, &value)
}

pub(super) fn list(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    no_more(options.args.get(1..).unwrap_or_default())?;
    let name = options.args.first().map(String::as_str).unwrap_or_default();
    let storage = call.context.storage(call.model).iter();
    let wanted = storage
        .filter(|instance| name.is_empty() || instance.id.split('/').next() == Some(name))
        .map(|instance| instance.id.clone());
    let wanted = wanted.collect();
    call.print(&options, &Value::Strings(Some(wanted)))
}

/// A storage directive: a count, or anything else that may only be said elsewhere.
struct Directive {
    count: u64,
    /// A pool or a size.
    more: bool,
}

/// Reads a list of pool, count and size.
///
/// Contract: `ParseConstraints` of Juju's `storage` package.
fn directive(text: &str) -> Result<Directive, String> {
    let (mut pool, mut size, mut count) = (None, false, 0);
    for field in text.split(',').filter(|field| !field.is_empty()) {
        if is_pool(field) {
            if let Some(before) = pool.replace(field) {
                let (before, field) = (quote(before), quote(field));
                return Err(format!(
                    "pool name is already set to {before}, new value {field} not valid"
                ));
            }
        } else if let Some(digits) = number(field) {
            match digits.parse() {
                Ok(number) if number > 0 && !field.starts_with('-') => count = number,
                Err(_) if !field.starts_with('-') => {
                    return Err(format!(
                        "unrecognized storage constraint {} not valid",
                        quote(field)
                    ));
                }
                _ => {
                    let field = quote(field);
                    return Err(format!(
                        "cannot parse count: count must be greater than zero, got {field}"
                    ));
                }
            }
        } else if is_size(field) {
            if field.starts_with('-') {
                let field = quote(field);
                return Err(format!(
                    "cannot parse size: expected a non-negative number, got {field}"
                ));
            }
            size = true;
        } else {
            return Err(format!(
                "unrecognized storage constraint {} not valid",
                quote(field)
            ));
        }
    }
    if pool.is_none() && !size && count == 0 {
        return Err("storage constraints require at least one field to be specified".to_owned());
    }
    Ok(Directive {
        count: count.max(1),
        more: pool.is_some() || size,
    })
}

fn is_pool(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'?'))
}

fn number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())).then_some(digits)
}

fn is_size(text: &str) -> bool {
    let text = text
        .strip_suffix('B')
        .map_or(text, |text| text.strip_suffix('i').unwrap_or(text));
    let Some(text) = text.strip_suffix(['M', 'G', 'T', 'P', 'E', 'Z', 'Y']) else {
        return false;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    number(whole).is_some() && !fraction.is_empty() && fraction.bytes().all(|c| c.is_ascii_digit())
}

pub(super) fn add(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    if options.args.is_empty() {
        return usage("storage add requires a storage directive");
    }
    let mut directives: BTreeMap<&str, Directive> = BTreeMap::new();
    for argument in &options.args {
        let (name, value) = argument.split_once('=').unwrap_or((argument, "1"));
        if name.is_empty() || value.contains('=') {
            let got = quote(argument);
            return usage(format!(
                "expected \"name=constraints\" or \"name\", got {got}"
            ));
        }
        if directives.contains_key(name) {
            return usage(format!("storage {} specified more than once", quote(name)));
        }
        let directive = directive(value).map_err(|error| {
            Stop::Usage(format!(
                "cannot parse constraints for storage {}: {error}",
                quote(name)
            ))
        })?;
        directives.insert(name, directive);
    }
    if let Some((name, _)) = directives.iter().find(|(_, directive)| directive.more) {
        return usage(format!("only count can be specified for {}", quote(name)));
    }
    for (name, directive) in directives {
        *call
            .context
            .storage_added
            .entry(name.to_owned())
            .or_default() += directive.count;
    }
    Ok(())
}
