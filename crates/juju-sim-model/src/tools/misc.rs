//! juju-log, juju-reboot, goal-state, credential-get, resource-get.

use std::collections::BTreeMap;

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, PLAIN, SMART};
use crate::context::{Event, LogLevel};
use crate::go::{Value, quote};
use crate::state::{Life, Status, unit_tag};
use crate::time;

pub(super) fn juju_log(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        Flag::bool(&["debug"]),
        Flag::text(&["l", "log-level"]),
        Flag::text(&["format"]),
    ])?;
    if options.args.is_empty() {
        return usage("no message specified");
    }
    call.deprecated_format(&options);
    let mut level = LogLevel::Info;
    let word = options.text("l");
    if options.has("debug") {
        level = LogLevel::Debug;
    } else if !word.is_empty() {
        if let Some(known) = LogLevel::parse(word) {
            level = known;
        } else {
            let message = format!("Specified log level of {} is not valid", quote(word));
            let level = LogLevel::Warning;
            call.context.event(Event::Log { level, message });
        }
    }
    let prefix = match options.relation {
        Some(id) => format!("{}:{id}: ", call.context.endpoint_name(call.model, id)),
        None => String::new(),
    };
    let message = format!("{prefix}{}", options.args.join(" "));
    call.context.event(Event::Log { level, message });
    Ok(())
}

pub(super) fn juju_reboot(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[Flag::bool(&["now"])])?;
    no_more(&options.args)?;
    if call.context.action_params().is_some() {
        return failed("juju-reboot is not supported when running an action.");
    }
    if options.has("now") {
        if call.context.staged.no_process {
            return failed("no process to kill");
        }
        call.context.event(Event::RebootNow);
    } else {
        call.context.reboot = true;
    }
    Ok(())
}

pub(super) fn goal_state(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[PLAIN, OUTPUT])?;
    no_more(&options.args)?;
    let value = call
        .context
        .staged
        .goal_state
        .clone()
        .unwrap_or_else(|| compute_goal(call));
    call.print(&options, &value)
}

/// A row of the goal state.
pub(crate) fn goal(status: &str, since_ms: u64) -> Value {
    let since = time::spaced(since_ms);
    Value::Struct(vec![
        ("status", Value::Text(status.to_owned())),
        ("since", Value::Text(since)),
    ])
}

fn compute_goal(call: &Call<'_>) -> Value {
    let (model, own) = (&*call.model, &call.context.application);
    let units_of = |application: &str| -> BTreeMap<String, Value> {
        let units = model.units_of(application).into_iter();
        let row = |unit: &str| {
            let unit = &model.units[unit];
            let status = unit.status.as_ref();
            let word = match unit.life {
                Life::Alive => status.map_or(Status::Waiting, |row| row.status).as_str(),
                Life::Dying | Life::Dead => "dying",
            };
            goal(word, status.map_or(0, |row| row.since_ms))
        };
        units.map(|unit| (unit.to_owned(), row(unit))).collect()
    };
    let mut relations: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for relation in model.relations_of(own) {
        let Some((mine, other)) = relation.endpoint_of(own).zip(relation.remote_endpoint(own))
        else {
            continue;
        };
        let rows = relations.entry(mine.name.clone()).or_default();
        if relation.is_peer() {
            continue;
        }
        let word = match (relation.life, relation.suspended) {
            (_, true) => "suspended",
            (Life::Alive, _) if relation.in_scope.is_empty() => "joining",
            (Life::Alive, _) => "joined",
            (Life::Dying | Life::Dead, _) => "broken",
        };
        rows.insert(other.application.clone(), goal(word, 0));
        rows.extend(units_of(&other.application));
    }
    let relations = relations
        .into_iter()
        .map(|(name, rows)| (name, Value::Map(rows)))
        .collect();
    Value::Struct(vec![
        ("units", Value::Map(units_of(own))),
        ("relations", Value::Map(relations)),
    ])
}

pub(super) fn credential_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    no_more(&options.args)?;
    let application = call.model.applications.get(&call.context.application);
    if !application.is_some_and(|application| application.trusted) {
        return failed("cannot access cloud credentials: permission denied");
    }
    let cloud = &call.model.cloud;
    let text = |text: &str| Value::Text(text.to_owned());
    let none = || Value::Strings(Some(Vec::new()));
    let attributes = || Value::string_map(&cloud.attributes);
    // The structure has names for JSON only: YAML shows its fields in lower case, empty or not.
    let credential = vec![
        ("authtype", text(&cloud.auth_type)),
        ("attributes", attributes()),
        ("redacted", none()),
    ];
    let yaml = vec![
        ("type", text(&cloud.kind)),
        ("name", text(&cloud.name)),
        ("region", text(&cloud.region)),
        ("endpoint", text(&cloud.endpoint)),
        ("identityendpoint", text("")),
        ("storageendpoint", text("")),
        ("credential", Value::Struct(credential)),
        ("cacertificates", none()),
        ("skiptlsverify", Value::Bool(false)),
        ("iscontrollercloud", Value::Bool(false)),
    ];
    let mut credential = vec![("auth-type", text(&cloud.auth_type))];
    if !cloud.attributes.is_empty() {
        credential.push(("attrs", attributes()));
    }
    let mut json = vec![("type", text(&cloud.kind)), ("name", text(&cloud.name))];
    for (name, value) in [("region", &cloud.region), ("endpoint", &cloud.endpoint)] {
        if !value.is_empty() {
            json.push((name, text(value)));
        }
    }
    json.push(("credential", Value::Struct(credential)));
    call.print_as(&options, &Value::Struct(yaml), &Value::Struct(json))
}

/// Where errors about a download say it came from.
const API: &str = "https://10.0.0.1:17070";

pub(super) fn resource_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let Some((name, rest)) = options.args.split_first() else {
        return usage("missing required resource name");
    };
    no_more(rest)?;
    let application = call.model.applications.get(&call.context.application);
    let declared = application.and_then(|application| application.resources.get(name));
    let cause = match declared {
        Some(resource) if resource.source.is_some() => {
            let directory = &call.context.spec().agent_dir;
            let path = format!("{directory}/resources/{name}/{}", resource.filename);
            call.write(&path);
            return Ok(());
        }
        Some(_) => format!("resource {} not found", quote(name)),
        None => {
            let own = &call.context.application;
            format!("while getting resource info: {own}/{name} not found")
        }
    };
    let unit = unit_tag(call.context.unit());
    failed(format!(
        "could not download resource: HTTP request failed: Get \
         {API}/model/{}/units/{unit}/resources/{name}: {cause}",
        call.model.uuid
    ))
}
