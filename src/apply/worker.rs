//! What is asked of our own worker.

use connect_core::observation::Observation;

use super::StepError;
use crate::host::loopback::segment;
use crate::observe::worker;

/// Deletes a connector; one that is not there is as good.
pub(super) fn delete_connector(name: &str, seen: &Observation) -> Result<(), StepError> {
    let Some(mut connection) = worker::connect(&worker::internal(seen), worker::address())? else {
        return Err(StepError::Refused {
            status: 401,
            message: "there is no internal user yet".to_owned(),
        });
    };
    let answer = connection.request("DELETE", &format!("/connectors/{}", segment(name)))?;
    if matches!(answer.status, 200..=299 | 404) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(StepError::Refused {
        status: answer.status,
        message: text.chars().take(200).collect(),
    })
}
