//! `juju status`.

use juju_sim_model::state::{Application, Life, Model, Relation, Role, Status, StatusRow, Unit};
use serde_json::{Map, Value, json};

use super::table::{row, table};
use crate::clock::{rfc3339, time_of_day};
use crate::daemon::state::State;

/// The table.
pub(crate) fn tabular(state: &State, relations: bool) -> String {
    let model = &state.model;
    let mut text = table(&[
        row(&[
            "Model",
            "Controller",
            "Cloud/Region",
            "Version",
            "SLA",
            "Timestamp",
        ]),
        row(&[
            &model.name,
            "simulated",
            "localhost",
            &model.version,
            "unsupported",
            &format!("{}Z", time_of_day(crate::clock::now())),
        ]),
    ]);
    if model.applications.is_empty() {
        text.push_str("\nModel is empty.\n");
        return text;
    }
    let mut applications = vec![row(&[
        "App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Exposed", "Message",
    ])];
    let mut units = vec![row(&[
        "Unit",
        "Workload",
        "Agent",
        "Machine",
        "Public address",
        "Ports",
        "Message",
    ])];
    for (name, application) in &model.applications {
        let status = application_status(model, name);
        let alive = model.units_of(name).len();
        applications.push(row(&[
            name,
            &application.workload_version,
            status.status.as_str(),
            &alive.to_string(),
            &application.charm,
            "",
            &application.charm_revision.to_string(),
            if application.exposed { "yes" } else { "no" },
            &one_line(&status.message),
        ]));
        for unit in model
            .units_of(name)
            .into_iter()
            .filter_map(|unit| model.units.get(unit))
        {
            let leader = if model.is_leader(&unit.name) { "*" } else { "" };
            let workload = workload(unit);
            units.push(row(&[
                &format!("{}{leader}", unit.name),
                workload.status.as_str(),
                agent(unit).as_str(),
                &unit.machine,
                &unit.public_address,
                &ports(unit).join(","),
                &one_line(&workload.message),
            ]));
        }
    }
    text.push('\n');
    text.push_str(&table(&applications));
    text.push('\n');
    text.push_str(&table(&units));
    if relations && !model.relations.is_empty() {
        let mut rows = vec![row(&[
            "Integration provider",
            "Requirer",
            "Interface",
            "Type",
            "Message",
        ])];
        rows.extend(model.relations.values().filter_map(integration));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn integration(relation: &Relation) -> Option<Vec<String>> {
    let of = |role: Role| {
        relation
            .endpoints
            .iter()
            .find(|endpoint| endpoint.role == role)
    };
    let provider = of(Role::Provider).or_else(|| of(Role::Peer))?;
    let requirer = of(Role::Requirer).or_else(|| of(Role::Peer))?;
    let kind = if relation.is_peer() {
        "peer"
    } else {
        "regular"
    };
    let message = if relation.life == Life::Alive {
        ""
    } else {
        "dying"
    };
    Some(row(&[
        &format!("{}:{}", provider.application, provider.name),
        &format!("{}:{}", requirer.application, requirer.name),
        &provider.interface,
        kind,
        message,
    ]))
}

/// The workload status that is shown: the agent's error goes first.
pub(crate) fn workload(unit: &Unit) -> StatusRow {
    if unit.agent_status.status == Status::Error {
        return unit.agent_status.clone();
    }
    unit.status.clone().unwrap_or_default()
}

fn agent(unit: &Unit) -> Status {
    if unit.agent_status.status == Status::Error {
        Status::Idle
    } else {
        unit.agent_status.status
    }
}

fn ports(unit: &Unit) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = unit.ports.values().flatten().collect();
    all.into_iter().map(ToString::to_string).collect()
}

/// What the leader set, else the worst of the units'.
pub(crate) fn application_status(model: &Model, name: &str) -> StatusRow {
    if let Some(status) = model.applications.get(name).and_then(|a| a.status.clone()) {
        return status;
    }
    let rank = |row: &StatusRow| match row.status {
        Status::Error => 0,
        Status::Blocked => 1,
        Status::Maintenance => 2,
        Status::Waiting => 3,
        Status::Active => 4,
        Status::Terminated => 5,
        Status::Unknown
        | Status::Allocating
        | Status::Executing
        | Status::Idle
        | Status::Failed
        | Status::Lost => 6,
    };
    let units = model
        .units_of(name)
        .into_iter()
        .filter_map(|unit| model.units.get(unit));
    units.map(workload).min_by_key(rank).unwrap_or_default()
}

/// The whole of it as data.
pub(crate) fn value(state: &State) -> Value {
    let model = &state.model;
    let applications: Map<String, Value> = model
        .applications
        .iter()
        .map(|(name, application)| (name.clone(), application_value(state, name, application)))
        .collect();
    let machines: Map<String, Value> = model
        .units
        .values()
        .map(|unit| {
            let machine = json!({
                "juju-status": {"current": "started"},
                "dns-name": unit.public_address,
                "ip-addresses": [unit.public_address],
                "instance-id": format!("sim-{}", unit.machine),
            });
            (unit.machine.clone(), machine)
        })
        .collect();
    json!({
        "model": {
            "name": model.name,
            "uuid": model.uuid,
            "type": "iaas",
            "controller": "simulated",
            "cloud": "localhost",
            "version": model.version,
        },
        "machines": machines,
        "applications": applications,
        "controller": {"timestamp": format!("{}Z", time_of_day(crate::clock::now()))},
    })
}

fn status_value(row: &StatusRow) -> Value {
    let mut value = json!({"current": row.status.as_str(), "since": rfc3339(row.since_ms)});
    if !row.message.is_empty() {
        value["message"] = json!(row.message);
    }
    value
}

fn application_value(state: &State, name: &str, application: &Application) -> Value {
    let model = &state.model;
    let mut relations: Map<String, Value> = Map::new();
    for relation in model.relations_of(name) {
        let Some((mine, other)) = relation
            .endpoint_of(name)
            .zip(relation.remote_endpoint(name))
        else {
            continue;
        };
        let entry = json!({
            "related-application": other.application,
            "interface": other.interface,
            "scope": "global",
        });
        if let Value::Array(list) = relations
            .entry(mine.name.clone())
            .or_insert_with(|| json!([]))
        {
            list.push(entry);
        }
    }
    let units: Map<String, Value> = model
        .units_of(name)
        .into_iter()
        .filter_map(|unit| model.units.get(unit))
        .map(|unit| (unit.name.clone(), unit_value(model, unit)))
        .collect();
    let mut value = json!({
        "charm": format!("local:{}-{}", application.charm, application.charm_revision),
        "charm-origin": "local",
        "charm-name": application.charm,
        "charm-rev": application.charm_revision,
        "scale": units.len(),
        "exposed": application.exposed,
        "application-status": status_value(&application_status(model, name)),
        "relations": relations,
        "units": units,
    });
    if application.life != Life::Alive {
        value["life"] = json!("dying");
    }
    if !application.workload_version.is_empty() {
        value["version"] = json!(application.workload_version);
    }
    let charm_version = state
        .applications
        .get(name)
        .and_then(|extra| extra.charm.version.clone());
    if let Some(version) = charm_version {
        value["charm-version"] = json!(version);
    }
    value
}

fn unit_value(model: &Model, unit: &Unit) -> Value {
    let mut agent_row = unit.agent_status.clone();
    agent_row.status = agent(unit);
    if agent_row.status != unit.agent_status.status {
        agent_row.message = String::new();
    }
    let mut value = json!({
        "workload-status": status_value(&workload(unit)),
        "juju-status": status_value(&agent_row),
        "machine": unit.machine,
        "public-address": unit.public_address,
    });
    value["juju-status"]["version"] = json!(model.version);
    if unit.life != Life::Alive {
        value["juju-status"]["life"] = json!("dying");
    }
    if model.is_leader(&unit.name) {
        value["leader"] = json!(true);
    }
    let ports = ports(unit);
    if !ports.is_empty() {
        value["open-ports"] = json!(ports);
    }
    value
}
