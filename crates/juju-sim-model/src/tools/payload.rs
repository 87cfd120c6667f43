//! Payloads (up to Juju 3.6): checked as Juju checks them, and then forgotten.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::call::{Call, Stop, failed, no_more, usage};
use crate::go::quote;

const STATES: [&str; 4] = ["running", "starting", "stopped", "stopping"];

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    payloads: BTreeMap<String, Payload>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type", default)]
    kind: String,
}

fn needed<const N: usize>(args: &[String]) -> Result<[&String; N], Stop> {
    let missing = || Stop::Usage("missing required arguments".to_owned());
    let needed = args.get(..N).ok_or_else(missing)?;
    let needed: Vec<&String> = needed.iter().collect();
    needed.try_into().map_err(|_| missing())
}

pub(super) fn register(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let [kind, class, _] = needed::<3>(&options.args)?;
    let metadata = call
        .read(&call.path("metadata.yaml"))
        .map_err(Stop::Failed)?;
    let metadata: Metadata = serde_yaml::from_slice(&metadata)
        .map_err(|error| Stop::Failed(format!("metadata: {error}")))?;
    match metadata.payloads.get(class) {
        None => failed(format!(
            "payload {} not found in metadata.yaml",
            quote(class)
        )),
        Some(payload) if payload.kind != *kind => failed(format!(
            "incorrect type {} for payload {}, expected {}",
            quote(kind),
            quote(class),
            quote(&payload.kind)
        )),
        Some(_) => Ok(()),
    }
}

pub(super) fn status_set(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    let [_, _, status] = needed::<3>(&options.args)?;
    no_more(options.args.get(3..).unwrap_or_default())?;
    if STATES.contains(&status.as_str()) {
        return Ok(());
    }
    let states = STATES.map(quote).join(", ");
    failed(format!(
        "status {} not supported; expected one of [{states}]",
        quote(status)
    ))
}

pub(super) fn unregister(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[])?;
    needed::<2>(&options.args)?;
    if options.args.len() > 2 {
        return usage(format!(
            "unrecognized args: {}",
            crate::go::quote_list(&options.args[2..])
        ));
    }
    Ok(())
}
