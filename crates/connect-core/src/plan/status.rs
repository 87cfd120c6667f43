//! What is worth saying about a round, and when to look again.

use super::bundles::Bundles;
use super::rolling::{Rolling, Standing};
use super::unit;
use super::users::Users;
use crate::layout::{GATEWAY_SERVICE, Layout};
use crate::limits;
use crate::model::Model;
use crate::model::client::{Client, Request};
use crate::observation::{Connector, Life, Reading, RelationId};
use crate::status::{Finding, Id};
use crate::wire;

/// Bad options and failed steps.
pub(super) fn problems(model: &Model<'_>) -> Vec<Finding> {
    let rejection = model.rejection.iter().map(|rejection| {
        let rejected = &rejection.rejected;
        match rejection.by {
            None => Finding::new(
                Id::OptionRejected,
                [("option", &rejected.options), ("cause", &rejected.cause)],
            ),
            Some(number) => {
                let unit = format!("{}/{number}", model.seen.identity.application);
                let cause = format!("option {}: {}", rejected.options, rejected.cause);
                Finding::new(Id::RollStopped, [("unit", &unit), ("cause", &cause)])
            }
        }
    });
    let options = model.config_problems.iter().map(|problem| {
        Finding::new(
            Id::ConfigInvalid,
            [("option", &problem.option), ("fault", &problem.fault)],
        )
    });
    let failures = model
        .seen
        .failures
        .iter()
        .filter(|failure| failure.client.is_none())
        // The gateway's own state says better why it does not serve the newest users.
        .filter(|failure| !failure.step.starts_with("await users"))
        .map(|failure| {
            Finding::new(
                Id::StepFailed,
                [("step", &failure.step), ("reason", &failure.reason)],
            )
        });
    let transfers = model
        .seen
        .transfers
        .iter()
        .filter(|(_, relation)| relation.life == Life::Live && wire::transfer::read(relation).1)
        .map(|(id, _)| Finding::new(Id::TransferFaulty, [("relation", id.to_string().as_str())]));
    options
        .chain(rejection)
        .chain(failures)
        .chain(transfers)
        .collect()
}

/// What Kafka's clients log when brokers do not answer or let nobody in. They are parts of a
/// message, in Kafka 3.9 to 4.3, that no configuration of ours can bring about.
const BROKERS: [&str; 6] = [
    "Connection to node",
    "Bootstrap broker",
    "Timed out waiting for a node assignment",
    "Failed to connect to and describe Kafka cluster",
    "Timeout expired while fetching topic metadata",
    "SaslAuthenticationException",
];

pub(super) fn is_about_brokers(cause: &str) -> bool {
    BROKERS.iter().any(|words| cause.contains(words))
}

/// A worker that is not healthy, for the cause in its log: the relation's if it is about brokers.
fn failing(model: &Model<'_>, cause: &str) -> Finding {
    if let Some(finding) = super::topics::finding(cause) {
        return finding;
    }
    let mut relations = model.seen.kafka.iter();
    let live = relations.find(|(_, relation)| relation.life == Life::Live);
    match live.filter(|_| is_about_brokers(cause)) {
        Some((id, _)) => Finding::new(
            Id::KafkaUnreachable,
            [("relation", id.to_string().as_str()), ("cause", cause)],
        ),
        None => Finding::new(Id::WorkerFailing, [("cause", cause)]),
    }
}

/// systemd has given the gateway up for now.
fn gateway_failed(model: &Model<'_>) -> bool {
    let fact = model.seen.host.services.get(GATEWAY_SERVICE);
    fact.is_some_and(|fact| fact.active == "failed")
}

/// How worker and gateway are.
pub(super) fn worker(
    model: &Model<'_>,
    standing: Standing,
    rolling: &Rolling,
    users: Option<&Users>,
    layout: &Layout,
) -> Vec<Finding> {
    let host = &model.seen.host;
    let mut findings = Vec::new();
    match standing {
        Standing::Unwell | Standing::InBetween | Standing::Down => {
            findings.push(match &host.worker_log_cause {
                Some(cause) => failing(model, cause),
                None => Finding::bare(Id::WorkerStarting),
            });
        }
        Standing::Outdated if rolling.may_restart => {
            findings.push(Finding::bare(Id::WorkerStarting));
        }
        Standing::Outdated => findings.push(Finding::bare(Id::RestartPending)),
        Standing::Fit | Standing::Unjudged => {}
    }
    if standing != Standing::Unjudged {
        match &host.gateway {
            Some(gateway) => {
                if let Some(fault) = &gateway.fault {
                    findings.push(Finding::new(Id::GatewayFault, [("fault", fault)]));
                } else if !gateway.client_door || !unit::serves(model, users, layout) {
                    findings.push(Finding::bare(Id::GatewayStarting));
                }
            }
            None if gateway_failed(model) => findings.push(Finding::bare(Id::GatewayFailing)),
            None => findings.push(Finding::bare(Id::GatewayStarting)),
        }
    }
    findings
}

/// Faults of clients and their connectors, as this unit sees them, and as the others report them.
pub(super) fn clients(model: &Model<'_>, bundles: &Bundles) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, client) in &model.clients {
        if let Request::Held(fault) = &client.request {
            findings.push(named(
                *id,
                client,
                Id::ClientHeld,
                &[("field", &fault.field), ("fault", &fault.text)],
            ));
        }
        if let Some(fault) = bundles.faults.get(id) {
            findings.push(named(*id, client, Id::ClientPlugin, &[("fault", fault)]));
        }
        if !model.seen.leader {
            continue;
        }
        for (number, unit) in model.peers.iter().flat_map(|peers| &peers.others) {
            if let Some(fault) = unit.faults.get(id) {
                let unit = format!("{}/{number}", model.seen.identity.application);
                let fault = format!("{fault} (on {unit})");
                findings.push(named(*id, client, Id::ClientPlugin, &[("fault", &fault)]));
            }
        }
    }
    if let Some(fault) = &bundles.resource_fault {
        findings.push(Finding::new(Id::ResourcePlugin, [("fault", fault)]));
    }
    let connectors = model
        .seen
        .worker
        .known()
        .and_then(|worker| worker.connectors.as_ref());
    for (name, connector) in connectors.into_iter().flatten() {
        if has_failed(connector) {
            let cause = connector.trace.as_deref().unwrap_or("no cause given");
            findings.push(Finding::new(
                Id::ConnectorFailed,
                [("connector", name), ("cause", cause)],
            ));
        }
    }
    findings
}

fn named(id: RelationId, client: &Client, finding: Id, values: &[(&'static str, &str)]) -> Finding {
    let mut named = Finding::new(
        finding,
        [
            ("relation", &id.to_string()),
            ("application", &client.application),
        ],
    );
    named.values.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    named
}

fn has_failed(connector: &Connector) -> bool {
    connector.state == "FAILED" || connector.tasks.values().any(|task| task.state == "FAILED")
}

/// When to look again although no event may come, in seconds.
pub(super) fn wake(model: &Model<'_>, standing: Standing, bundles: &Bundles) -> Vec<u64> {
    let mut wake = Vec::new();
    wake.extend(&bundles.retry_after_s);
    if model
        .seen
        .failures
        .iter()
        .any(|failure| failure.client.is_none())
    {
        wake.push(limits::RETRY_STEP_S);
    }
    if gateway_failed(model) {
        // Not earlier: systemd would refuse to start it.
        wake.push(limits::GATEWAY_START_INTERVAL_S);
    }
    // No event comes when a secret is granted.
    let kafka = model.seen.kafka.values();
    if kafka
        .flat_map(|relation| relation.secrets.values())
        .any(|secret| matches!(secret, Reading::Unreadable(_)))
    {
        wake.push(limits::LOOK_AGAIN_S);
    }
    match standing {
        Standing::Unwell | Standing::InBetween | Standing::Down => wake.push(limits::LOOK_AGAIN_S),
        Standing::Fit | Standing::Outdated | Standing::Unjudged => {}
    }
    wake
}

#[cfg(test)]
mod tests {
    use super::is_about_brokers;

    #[test]
    fn brokers_are_blamed_for_what_they_did_and_for_nothing_else() {
        let rows = [
            (
                "Connection to node -1 (/10.0.0.9:9092) could not be established.",
                true,
            ),
            (
                "Bootstrap broker 10.0.0.9:9092 (id: -1 rack: null) disconnected",
                true,
            ),
            (
                "SaslAuthenticationException: Authentication failed during authentication",
                true,
            ),
            ("OutOfMemoryError: Java heap space", false),
            (
                "ConfigException: Invalid value x for configuration heartbeat.interval.ms",
                false,
            ),
            ("BindException: Address already in use", false),
        ];
        for (cause, expected) in rows {
            assert_eq!(is_about_brokers(cause), expected, "{cause}");
        }
    }
}
