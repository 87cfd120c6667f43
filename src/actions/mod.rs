//! Juju's actions: parameters in, answer out.

mod list_plugins;
mod restart;
mod rotate_credentials;

use std::collections::BTreeMap;

use crate::dispatch::Error;
use crate::world::World;

/// What an action answers.
enum Answer {
    /// Results, by key.
    Results(BTreeMap<String, String>),
    /// What the operator should do instead.
    Refused(String),
}

/// Runs an action. A refusal is an answer, not an error.
///
/// # Errors
///
/// See [`Error`].
pub fn run(name: &str, id: &str, world: &mut World) -> Result<(), Error> {
    let answer = match name {
        "restart" => restart::run(id, world)?,
        "rotate-credentials" => rotate_credentials::run(world)?,
        "list-plugins" => list_plugins::run(world)?,
        _ => Answer::Refused(format!("there is no action `{name}`")),
    };
    match answer {
        Answer::Results(results) => world.tools.set_action_results(&results),
        Answer::Refused(reason) => world.tools.fail_action(&reason),
    }
    .map_err(Error::Answer)
}

fn result(text: &str) -> Answer {
    Answer::Results(BTreeMap::from([("result".to_owned(), text.to_owned())]))
}
