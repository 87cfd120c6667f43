//! status-get, status-set, application-version-set.

use std::collections::BTreeMap;

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, SMART};
use crate::context::{Event, RawStatus};
use crate::go::{Value, quote};
use crate::state::{Status, StatusRow};

const SETTABLE: [Status; 4] = [
    Status::Maintenance,
    Status::Blocked,
    Status::Waiting,
    Status::Active,
];

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[Flag::bool(&["application"])])?;
    let Some(word) = options.args.first() else {
        return usage("invalid args, require <status> [message]");
    };
    let Some(status) = SETTABLE.into_iter().find(|status| status.as_str() == word) else {
        let words = SETTABLE.map(Status::as_str).join(" ");
        return usage(format!(
            "invalid status {}, expected one of [{words}]",
            quote(word)
        ));
    };
    no_more(options.args.get(2..).unwrap_or_default())?;
    let row = StatusRow {
        status,
        message: options.args.get(1).cloned().unwrap_or_default(),
        data: BTreeMap::new(),
        since_ms: call.model.now_ms,
    };
    if !options.has("application") {
        call.context.set_unit_status(call.model, row);
        return Ok(());
    }
    if !call.context.is_leader(call.model) {
        return failed("this unit is not the leader");
    }
    call.context.set_application_status(call.model, row);
    Ok(())
}

fn details(status: &RawStatus, with_data: bool) -> BTreeMap<String, Value> {
    let mut details = BTreeMap::new();
    details.insert("status".to_owned(), Value::Text(status.status.clone()));
    if with_data {
        let data = status
            .data
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value)));
        details.insert("status-data".to_owned(), Value::Map(data.collect()));
        details.insert("message".to_owned(), Value::Text(status.message.clone()));
    }
    details
}

pub(super) fn get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        SMART,
        OUTPUT,
        Flag::bool(&["include-data"]),
        Flag::bool(&["application"]),
    ])?;
    no_more(&options.args)?;
    let with_data = options.has("include-data");
    let bare = !with_data && options.format() == "smart";
    if !options.has("application") {
        let status = call.context.unit_status(call.model);
        let value = if bare {
            Value::Text(status.status)
        } else {
            Value::Map(details(&status, with_data))
        };
        return call.print(&options, &value);
    }
    if !call.context.is_leader(call.model) {
        return failed("finding application status: this unit is not the leader");
    }
    let application = application_status(call);
    if bare {
        return call.print(&options, &Value::Text(application.status));
    }
    let mut shown = details(&application, with_data);
    let units = unit_statuses(call).into_iter();
    let units = units.map(|(unit, status)| (unit, Value::Map(details(&status, with_data))));
    shown.insert("units".to_owned(), Value::Map(units.collect()));
    let value = Value::Map([("application-status".to_owned(), Value::Map(shown))].into());
    call.print(&options, &value)
}

/// What the leader set, else the gravest of the units' statuses.
fn application_status(call: &Call<'_>) -> RawStatus {
    if let Some(staged) = &call.context.staged.application_status {
        return staged.clone();
    }
    let application = call.model.applications.get(&call.context.application);
    if let Some(row) = application.and_then(|application| application.status.as_ref()) {
        return row.into();
    }
    let gravity = |status: Status| match status {
        Status::Error => 6,
        Status::Blocked => 5,
        Status::Waiting => 4,
        Status::Maintenance => 3,
        Status::Active => 2,
        Status::Terminated => 1,
        Status::Unknown
        | Status::Allocating
        | Status::Executing
        | Status::Idle
        | Status::Failed
        | Status::Lost => 0,
    };
    let units = call.model.units_of(&call.context.application);
    let rows = units
        .iter()
        .filter_map(|unit| call.model.units[*unit].status.as_ref());
    let gravest = rows.max_by_key(|row| gravity(row.status));
    gravest.map_or_else(|| (&StatusRow::default()).into(), RawStatus::from)
}

fn unit_statuses(call: &Call<'_>) -> BTreeMap<String, RawStatus> {
    if let Some(staged) = &call.context.staged.unit_statuses {
        return staged.clone();
    }
    let units = call.model.units_of(&call.context.application).into_iter();
    let default = StatusRow::default();
    let row = |unit: &str| {
        call.model.units[unit]
            .status
            .clone()
            .unwrap_or_else(|| default.clone())
    };
    units
        .map(|unit| (unit.to_owned(), (&row(unit)).into()))
        .collect()
}

pub(super) fn version_set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let Some((version, rest)) = options.args.split_first() else {
        return usage("no version specified");
    };
    no_more(rest)?;
    if let Some(unit) = call.model.units.get_mut(call.context.unit()) {
        unit.workload_version.clone_from(version);
    }
    if let Some(application) = call.model.applications.get_mut(&call.context.application) {
        application.workload_version.clone_from(version);
    }
    call.context.event(Event::WorkloadVersion(version.clone()));
    Ok(())
}
