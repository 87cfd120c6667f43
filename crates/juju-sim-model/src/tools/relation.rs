//! relation-ids, -list, -get, -set, -model-get.

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, Options, RELATION, SMART};
use super::key_values;
use crate::context::Target;
use crate::go::{Value, quote};
use crate::state::{application_of, is_application_name, is_unit_name};

fn relation_of(options: &Options) -> Result<u32, Stop> {
    options
        .relation
        .ok_or_else(|| Stop::Usage("no relation id specified".to_owned()))
}

pub(super) fn ids(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    let default = options
        .relation
        .map(|id| call.context.endpoint_name(call.model, id).to_owned());
    let (name, rest) = match options.args.split_first() {
        Some((name, rest)) => (name.clone(), rest),
        None => match default.filter(|name| !name.is_empty()) {
            Some(name) => (name, options.args.as_slice()),
            None => return usage("no endpoint name specified"),
        },
    };
    no_more(rest)?;
    let ids = call.context.relation_ids(call.model, &name);
    let mut ids: Vec<String> = ids.into_iter().map(|id| format!("{name}:{id}")).collect();
    ids.sort();
    call.print(&options, &Value::Strings(Some(ids)))
}

pub(super) fn list(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, RELATION, Flag::bool(&["app"])])?;
    let id = relation_of(&options)?;
    no_more(&options.args)?;
    let value = if options.has("app") {
        Value::Text(call.context.remote_application(call.model, id))
    } else {
        Value::Strings(Some(call.context.relation_members(id)))
    };
    call.print(&options, &value)
}

pub(super) fn model_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, RELATION])?;
    let id = relation_of(&options)?;
    no_more(&options.args)?;
    let relation = call.model.relations.get(&id);
    let remote = relation.and_then(|r| r.remote_endpoint(&call.context.application));
    let uuid = remote.and_then(|endpoint| endpoint.model_uuid.clone());
    let uuid = uuid.unwrap_or_else(|| call.model.uuid.clone());
    call.print(&options, &Value::Struct(vec![("uuid", Value::Text(uuid))]))
}

/// Whose databag `relation-get` reads; an empty name is one that is no name at all.
fn target(call: &Call<'_>, options: &Options) -> Result<(Target, String), Stop> {
    let spec = call.context.spec();
    if let Some(name) = options.args.get(1) {
        if options.has("app") {
            let known = is_application_name(name) || is_unit_name(name);
            let name = if known { application_of(name) } else { "" };
            return Ok((Target::Application, name.to_owned()));
        }
        if is_unit_name(name) {
            return Ok((Target::Unit, name.clone()));
        }
        let name_quoted = quote(name);
        return usage(if is_application_name(name) {
            format!("expected unit name, got application name {name_quoted}")
        } else {
            format!("invalid unit name {name_quoted}")
        });
    }
    let remote = spec.remote_unit().filter(|_| !options.has("app"));
    if let Some(unit) = remote.filter(|unit| !unit.is_empty()) {
        return Ok((Target::Unit, unit.to_owned()));
    }
    match spec
        .remote_application()
        .filter(|application| !application.is_empty())
    {
        Some(application) => Ok((Target::Application, application.to_owned())),
        None => usage("no unit or application specified"),
    }
}

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, RELATION, Flag::bool(&["app"])])?;
    let id = relation_of(&options)?;
    let key = options
        .args
        .first()
        .map(String::as_str)
        .filter(|key| *key != "-");
    let key = key.unwrap_or_default();
    let (target, name) = target(call, &options)?;
    no_more(options.args.get(2..).unwrap_or_default())?;
    if name.is_empty() {
        return failed("\"\" is not a valid unit or application");
    }
    let bag = call
        .context
        .read_bag(call.model, id, target, &name)
        .map_err(Stop::Failed)?;
    let value = if key.is_empty() {
        Value::string_map(&bag)
    } else {
        bag.get(key)
            .map_or(Value::Null, |value| Value::Text(value.clone()))
    };
    call.print(&options, &value)
}

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        RELATION,
        Flag::text(&["file"]),
        Flag::bool(&["app"]),
        Flag::text(&["format"]),
    ])?;
    let id = relation_of(&options)?;
    let arguments = key_values::parse(&options.args)?;
    call.deprecated_format(&options);
    let changes = key_values::with_file(call, options.text("file"), arguments)?;
    let (target, what) = if options.has("app") {
        if !call.context.is_leader(call.model) {
            return failed("cannot write relation settings");
        }
        (Target::Application, "relation application settings")
    } else {
        (Target::Unit, "relation settings")
    };
    let written = call.context.write_bag(call.model, id, target, changes);
    written.map_err(|error| Stop::Failed(format!("cannot read {what}: {error}")))
}
