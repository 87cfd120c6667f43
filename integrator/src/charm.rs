//! The whole charm: every hook does the same thing. Read the options and both relations, ask,
//! serve the plugin, and make the connectors what the options say.

use std::collections::BTreeMap;

use connect_client::{
    Access, Answer, AnswerError, Api, ApiError, NoAnswer, Plugin, Reply, Request,
};
use hook_tools::{Context, Hook, Level, Revision, SecretRef, ToolError, Tools};
use serde_json::Value;
use url::Url;

use crate::desired::{self, Connector, Naming, OptionError, Options, Role};
use crate::plugin::{self, PluginError};
use crate::{actions, chain, kafka};

const ENDPOINT: &str = "connect-client";

/// What Juju should retry: everything else is a status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CharmError {
    #[error("cannot talk to Juju")]
    Juju(#[from] ToolError),
    #[error("cannot serve the plugin")]
    Plugin(#[from] PluginError),
    #[error("cannot prepare the REST client")]
    Api(#[from] ApiError),
}

/// The options, owned.
struct Config(BTreeMap<String, Value>);

impl Config {
    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn options(&self) -> Options<'_> {
        Options {
            role: self.text("role"),
            topics: self.text("topics"),
            settings: self.text("settings"),
        }
    }

    /// `plugin-port`, or an error text.
    fn plugin_port(&self) -> Result<u16, String> {
        let port = self
            .0
            .get("plugin-port")
            .and_then(Value::as_u64)
            .unwrap_or(8080);
        let legal = u16::try_from(port).ok().filter(|port| *port > 0);
        legal.ok_or_else(|| format!("option plugin-port must be from 1 to 65535, not {port}"))
    }
}

/// What we have of the relation to Kafka Connect.
pub(crate) enum Relation {
    /// None.
    Absent,
    /// Asked, not answered completely.
    Pending,
    /// The answer breaks the contract.
    Faulty(AnswerError),
    /// Answered.
    Ready(u32, Access),
}

/// Runs a hook or an action.
pub(crate) fn run(context: &Context, tools: &Tools) -> Result<(), CharmError> {
    if let Hook::Action { name, .. } = &context.hook {
        return actions::run(name, context, tools);
    }
    if matches!(context.hook, Hook::Stop | Hook::Remove) {
        return Ok(plugin::leave()?);
    }
    let (state, message) = reconcile(context, tools)?;
    if tools.status()? != (state.to_owned(), message.clone()) {
        tools.set_status(state, &message)?;
    }
    Ok(())
}

fn reconcile(context: &Context, tools: &Tools) -> Result<(&'static str, String), CharmError> {
    let config = Config(tools.config()?);
    let leader = tools.is_leader()?;
    let port = match config.plugin_port() {
        Ok(port) => port,
        Err(fault) => return Ok(("blocked", fault)),
    };
    let served = plugin::serve(tools, context, port)?;
    let kafka = kafka::shared(
        tools,
        leader,
        &context.application,
        breaking(context, "kafka-client"),
    )?;
    if leader && let Some(id) = related(context, tools)? {
        let plugin = if served {
            match plugin_url(tools, port)? {
                Some(url) => Plugin::Url(url),
                None => {
                    return Ok((
                        "waiting",
                        "waiting for an address to serve the plugin at".into(),
                    ));
                }
            }
        } else {
            Plugin::NotRequired
        };
        ask(context, tools, id, &Request { plugin })?;
    }
    match relation(context, tools)? {
        Relation::Absent => Ok((
            "blocked",
            "integrate with Kafka Connect over connect-client".into(),
        )),
        Relation::Pending => Ok((
            "waiting",
            "Kafka Connect has not shared credentials yet".into(),
        )),
        Relation::Faulty(fault) => Ok(("waiting", fault.to_string())),
        Relation::Ready(id, access) => {
            let naming = Naming {
                application: &context.application,
                relation: id,
                model_uuid: &context.model_uuid,
            };
            let wanted = match desired::connectors(&config.options(), &naming, &kafka) {
                Ok(wanted) => wanted,
                Err(fault @ OptionError::NoKafka(_)) => return Ok(("waiting", fault.to_string())),
                Err(fault) => return Ok(("blocked", fault.to_string())),
            };
            let user = access.username.clone();
            let api = Api::new(access)?;
            if leader {
                match apply(tools, &api, &naming, &wanted) {
                    Ok(None) => {}
                    Ok(Some(refusal)) => return Ok(("blocked", refusal)),
                    Err(error) => return Ok(("waiting", chain(&error))),
                }
            }
            Ok(("active", summary(&config.options(), &wanted, &user)))
        }
    }
}

/// The id of the relation that is being broken, if it is this endpoint's.
fn breaking(context: &Context, endpoint: &str) -> Option<u32> {
    if let Hook::RelationBroken(relation) = &context.hook
        && relation.endpoint == endpoint
    {
        return Some(relation.id);
    }
    None
}

fn related(context: &Context, tools: &Tools) -> Result<Option<u32>, ToolError> {
    let ids = tools.relation_ids(ENDPOINT)?;
    Ok(ids
        .into_iter()
        .find(|id| Some(*id) != breaking(context, ENDPOINT)))
}

fn plugin_url(tools: &Tools, port: u16) -> Result<Option<Url>, ToolError> {
    let address = tools.network(ENDPOINT)?.ingress.into_iter().next();
    let url = address.map(|host| {
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        Url::parse(&format!("http://{host}:{port}/plugin"))
    });
    Ok(url.and_then(Result::ok))
}

/// Writes the request; keys that are there already are not written again.
fn ask(context: &Context, tools: &Tools, id: u32, request: &Request) -> Result<(), ToolError> {
    let present = tools.relation_data(ENDPOINT, id, &context.application)?;
    let mut changes = BTreeMap::new();
    for (key, value) in request.databag() {
        if present.get(&key) != Some(&value) {
            changes.insert(key, Some(value));
        }
    }
    if changes.is_empty() {
        Ok(())
    } else {
        tools.set_application_data(ENDPOINT, id, &changes)
    }
}

/// Reads the relation to Kafka Connect.
pub(crate) fn relation(context: &Context, tools: &Tools) -> Result<Relation, ToolError> {
    let Some(id) = related(context, tools)? else {
        return Ok(Relation::Absent);
    };
    let application = tools.relation_application(ENDPOINT, id)?;
    let databag = tools.relation_data(ENDPOINT, id, &application)?;
    let mut secrets = BTreeMap::new();
    for (key, uri) in databag.iter().filter(|(key, _)| key.starts_with("secret-")) {
        match tools.secret(SecretRef::Uri(uri), Revision::Refresh) {
            Ok(content) => drop(secrets.insert(key.clone(), content)),
            // The URI may be seen a moment before its grant; the next event finds it.
            Err(error) if error.is_gone() => tools.log(Level::Info, &chain(&error)),
            Err(error) => return Err(error),
        }
    }
    Ok(match Answer::read(&databag, &secrets) {
        Ok(Answer::Ready(access)) => Relation::Ready(id, access),
        Ok(Answer::Pending { .. }) => Relation::Pending,
        Err(fault) => Relation::Faulty(fault),
    })
}

/// Makes the connectors what they should be; the text is Kafka Connect's refusal.
fn apply(
    tools: &Tools,
    api: &Api,
    naming: &Naming<'_>,
    wanted: &[Connector],
) -> Result<Option<String>, NoAnswer> {
    for connector in wanted {
        let present = api.config(&connector.name)?;
        // An update restarts the connector, even one that changes nothing.
        if present.ok() && covers(&present.body, &connector.config) {
            continue;
        }
        let reply = api.register(&connector.name, &connector.config)?;
        if !reply.ok() {
            return Ok(Some(refused(connector.role, &reply)));
        }
        tools.log(Level::Info, &format!("{} is registered", connector.name));
    }
    for role in [Role::Source, Role::Sink] {
        let name = naming.connector(role);
        if wanted.iter().all(|connector| connector.name != name) && api.config(&name)?.ok() {
            api.unregister(&name)?;
        }
    }
    Ok(None)
}

/// Whether a connector's configuration already says all that is wanted.
fn covers(present: &Value, wanted: &Value) -> bool {
    let wanted = wanted.as_object().into_iter().flatten();
    wanted
        .into_iter()
        .all(|(key, value)| present.get(key) == Some(value))
}

fn refused(role: Role, reply: &Reply) -> String {
    let why = reply
        .message()
        .unwrap_or("no reason given")
        .lines()
        .next()
        .unwrap_or_default();
    let why: String = why.chars().take(80).collect();
    format!(
        "Kafka Connect refused the {} connector ({}): {why}",
        role.name(),
        reply.status
    )
}

fn summary(options: &Options<'_>, wanted: &[Connector], user: &str) -> String {
    if wanted.is_empty() {
        return format!("no connector, credentials of {user}");
    }
    let roles: Vec<&str> = wanted
        .iter()
        .map(|connector| connector.role.name())
        .collect();
    let topics = desired::topics(options);
    let topics = if topics.is_empty() {
        "its own topics".to_owned()
    } else {
        topics.join(", ")
    };
    format!("{} of {topics} as {user}", roles.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_with_more_than_is_wanted_needs_no_update() {
        let present = serde_json::json!({"a": "1", "name": "n", "juju.client": "m:app:3"});
        assert!(covers(&present, &serde_json::json!({"a": "1"})));
        assert!(!covers(&present, &serde_json::json!({"a": "2"})));
        assert!(!covers(&present, &serde_json::json!({"b": "1"})));
    }

    #[test]
    fn the_status_names_direction_topic_and_user() {
        let options = Options {
            role: "both",
            topics: "orders",
            settings: "connector.class=C",
        };
        let naming = Naming {
            application: "files",
            relation: 3,
            model_uuid: "u",
        };
        let wanted = desired::connectors(&options, &naming, &BTreeMap::new()).unwrap();
        assert_eq!(
            summary(&options, &wanted, "relation-3"),
            "source and sink of orders as relation-3"
        );
        assert_eq!(
            summary(&options, &[], "relation-3"),
            "no connector, credentials of relation-3"
        );
    }
}
