//! The hook tools: command lines in, answers out, exactly as Juju's own.
//!
//! Contract: `runner/jujuc` of Juju's uniter, on juju/cmd and juju/gnuflag.

mod action;
mod call;
mod config;
mod flags;
mod key_values;
mod misc;
mod network;
mod payload;
mod ports;
mod relation;
mod secret_access;
mod secret_content;
mod secret_read;
mod secret_write;
mod state;
mod status;
mod storage;

use crate::context::{Answer, Files, HookContext, Reply};
use crate::state::Model;
use call::{Call, Stop};
pub(crate) use misc::goal;

type Tool = fn(&mut Call<'_>) -> Result<(), Stop>;

/// Every tool, with the first major version of Juju that has it no longer.
const TOOLS: &[(&str, Tool, Option<u32>)] = &[
    ("action-fail", action::fail, None),
    ("action-get", action::get, None),
    ("action-log", action::log, None),
    ("action-set", action::set, None),
    ("application-version-set", status::version_set, None),
    ("close-port", ports::close, None),
    ("config-get", config::config_get, None),
    ("credential-get", misc::credential_get, None),
    ("goal-state", misc::goal_state, None),
    ("is-leader", config::is_leader, None),
    ("juju-log", misc::juju_log, None),
    ("juju-reboot", misc::juju_reboot, None),
    ("leader-get", config::leader_get, Some(4)),
    ("leader-set", config::leader_set, Some(4)),
    ("network-get", network::network_get, None),
    ("open-port", ports::open, None),
    ("opened-ports", ports::opened, None),
    ("payload-register", payload::register, Some(4)),
    ("payload-status-set", payload::status_set, Some(4)),
    ("payload-unregister", payload::unregister, Some(4)),
    ("relation-get", relation::get, None),
    ("relation-ids", relation::ids, None),
    ("relation-list", relation::list, None),
    ("relation-model-get", relation::model_get, None),
    ("relation-set", relation::set, None),
    ("resource-get", misc::resource_get, None),
    ("secret-add", secret_write::add, None),
    ("secret-get", secret_read::get, None),
    ("secret-grant", secret_access::grant, None),
    ("secret-ids", secret_read::ids, None),
    ("secret-info-get", secret_read::info_get, None),
    ("secret-remove", secret_write::remove, None),
    ("secret-revoke", secret_access::revoke, None),
    ("secret-set", secret_write::set, None),
    ("state-delete", state::delete, None),
    ("state-get", state::get, None),
    ("state-set", state::set, None),
    ("status-get", status::get, None),
    ("status-set", status::set, None),
    ("storage-add", storage::add, None),
    ("storage-get", storage::get, None),
    ("storage-list", storage::list, None),
    ("unit-get", network::unit_get, None),
];

/// The names of the tools of a model's version of Juju, in order.
#[must_use]
pub fn names(model: &Model) -> Vec<&'static str> {
    let present = TOOLS
        .iter()
        .filter(|(_, _, gone)| gone.is_none_or(|gone| model.major() < gone));
    present.map(|(name, _, _)| *name).collect()
}

pub(crate) fn run(
    context: &mut HookContext,
    model: &mut Model,
    argv: &[String],
    directory: &str,
    stdin: Option<&[u8]>,
    files: &dyn Files,
) -> Reply {
    let refused = |text: &str| {
        let stderr = format!("ERROR bad request: {text}\n").into_bytes();
        Reply::Answer(Answer {
            code: 1,
            stdout: Vec::new(),
            stderr,
        })
    };
    let Some((name, args)) = argv.split_first().filter(|(name, _)| !name.is_empty()) else {
        return refused("command not specified");
    };
    if !directory.starts_with('/') {
        return refused("Dir is not absolute");
    }
    let known = TOOLS
        .iter()
        .find(|(tool, _, gone)| tool == name && gone.is_none_or(|gone| model.major() < gone));
    let Some((name, tool, _)) = known else {
        return refused(&format!("unknown command: {name}"));
    };
    let mut call = Call::new(context, model, name, args, directory, stdin, files);
    let outcome = tool(&mut call);
    call.finish(outcome)
}
