//! The actions.

use std::collections::BTreeMap;

use connect_client::Api;
use hook_tools::{Context, Tools};

use crate::charm::{self, CharmError, Relation};
use crate::desired::{Naming, Role};

/// Runs an action; what the operator did wrong fails the action, not the process.
pub(crate) fn run(name: &str, context: &Context, tools: &Tools) -> Result<(), CharmError> {
    let Relation::Ready(id, access) = charm::relation(context, tools)? else {
        return Ok(tools.fail_action("Kafka Connect has not shared credentials yet")?);
    };
    let mut results = BTreeMap::new();
    if name == "get-credentials" {
        let endpoints: Vec<&str> = access
            .endpoints
            .iter()
            .map(|url| url.as_str().trim_end_matches('/'))
            .collect();
        let tls = if access.ca.is_some() {
            "enabled"
        } else {
            "disabled"
        };
        results.insert("ok".to_owned(), "True".to_owned());
        for (key, value) in [
            ("endpoints", endpoints.join(",")),
            ("username", access.username.clone()),
            ("password", access.password.expose().to_owned()),
            ("tls", tls.to_owned()),
            (
                "tls-ca",
                access.ca.clone().unwrap_or_else(|| "disabled".to_owned()),
            ),
        ] {
            results.insert(format!("connect-client.{key}"), value);
        }
    } else {
        let naming = Naming {
            application: &context.application,
            relation: id,
            model_uuid: &context.model_uuid,
        };
        let api = Api::new(access)?;
        for role in [Role::Source, Role::Sink] {
            let reply = match api.status(&naming.connector(role)) {
                Ok(reply) => reply,
                Err(error) => return Ok(tools.fail_action(&crate::chain(&error))?),
            };
            let state = reply.body["connector"]["state"]
                .as_str()
                .unwrap_or("absent");
            let tasks = reply.body["tasks"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            let tasks: Vec<&str> = tasks
                .iter()
                .map(|task| task["state"].as_str().unwrap_or("unknown"))
                .collect();
            let tasks = if tasks.is_empty() {
                "none".to_owned()
            } else {
                tasks.join(" ")
            };
            results.insert(format!("{}.state", role.name()), state.to_owned());
            results.insert(format!("{}.tasks", role.name()), tasks);
        }
    }
    Ok(tools.set_action_results(&results)?)
}
