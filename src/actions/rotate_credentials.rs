//! `rotate-credentials`: a new password for one client, or a new internal user and CA.

use connect_core::observation::{Hook, Life, Reading};
use connect_core::wire::labels;

use super::{Answer, result};
use crate::dispatch::{self, Error};
use crate::world::World;

pub(super) fn run(world: &mut World) -> Result<Answer, Error> {
    let parameters = world.tools.action_parameters().map_err(Error::Ask)?;
    let Some(relation) = parameters.get("relation") else {
        return internal(world);
    };
    let Some(relation) = relation.as_u64().and_then(|id| u32::try_from(id).ok()) else {
        return Ok(Answer::Refused(
            "parameter relation must be a client's relation id, such as 7".to_owned(),
        ));
    };
    let hook = Hook::RotateRequested { relation };
    let seen = dispatch::look(hook.clone(), world)?;
    if !seen.leader {
        return Ok(Answer::Refused("run this action on the leader".to_owned()));
    }
    let live = |id| {
        seen.clients
            .get(&id)
            .is_some_and(|client| client.life == Life::Live)
    };
    let has_user = seen
        .secrets
        .get(&labels::user(relation))
        .and_then(Reading::known)
        .is_some();
    if !live(relation) || !has_user {
        return Ok(Answer::Refused(format!(
            "connect-client:{relation} is no client with credentials"
        )));
    }
    dispatch::reconcile(hook, world)?;
    Ok(result(
        "a new password is on its way; the old one works for ten minutes more",
    ))
}

/// The user and CA that the units know one another by.
fn internal(world: &mut World) -> Result<Answer, Error> {
    let hook = Hook::RotateInternalRequested;
    let seen = dispatch::look(hook.clone(), world)?;
    if !seen.leader {
        return Ok(Answer::Refused("run this action on the leader".to_owned()));
    }
    dispatch::reconcile(hook, world)?;
    Ok(result(
        "the internal user and CA are being replaced; the status says how far it is",
    ))
}
