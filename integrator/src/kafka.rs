//! An optional Kafka of our own, for connectors that need one in their settings (MirrorMaker).

use std::collections::BTreeMap;

use hook_tools::{Revision, SecretRef, ToolError, Tools};

const ENDPOINT: &str = "kafka-client";

/// Asks a related Kafka for a user and returns what it shared: `endpoints`, `username`, `password`;
/// empty until all of it is there.
///
/// **Contract:** `kafka_client` v0, requirer side.
pub(crate) fn shared(
    tools: &Tools,
    leader: bool,
    application: &str,
    breaking: Option<u32>,
) -> Result<BTreeMap<String, String>, ToolError> {
    let ids = tools.relation_ids(ENDPOINT)?;
    let Some(id) = ids.into_iter().find(|id| Some(*id) != breaking) else {
        return Ok(BTreeMap::new());
    };
    if leader {
        ask(tools, id, application)?;
    }
    let remote = tools.relation_application(ENDPOINT, id)?;
    let mut shared = tools.relation_data(ENDPOINT, id, &remote)?;
    if let Some(uri) = shared.get("secret-user").cloned() {
        match tools.secret(SecretRef::Uri(&uri), Revision::Refresh) {
            Ok(content) => shared.extend(content),
            // The URI may be seen a moment before its grant.
            Err(error) if error.is_gone() => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        }
    }
    let complete = ["endpoints", "username", "password"]
        .iter()
        .all(|key| shared.contains_key(*key));
    Ok(if complete { shared } else { BTreeMap::new() })
}

fn ask(tools: &Tools, id: u32, application: &str) -> Result<(), ToolError> {
    let present = tools.relation_data(ENDPOINT, id, application)?;
    if present.contains_key("topic") {
        return Ok(());
    }
    let secrets = "[\"username\", \"password\", \"tls\", \"tls-ca\", \"uris\"]";
    let request = [
        ("topic", application),
        ("extra-user-roles", "admin"),
        ("requested-secrets", secrets),
    ];
    let request = request.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    tools.set_application_data(ENDPOINT, id, &BTreeMap::from(request))
}
