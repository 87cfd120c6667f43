//! Whether our workers may join the group that options name.
//!
//! **Flow.** A derived group is ours alone, and nobody is asked. Of a named one the leader asks
//! Kafka, before any worker of ours has joined, who is in it and whether something was written to
//! its config topic. If nobody is and nothing was, or if the operator says `adopt-group`, the leader
//! notes the group in the peer relation; workers start in later hooks, once Juju has kept the note.
//!
//! **Guarantees.** Without `adopt-group` no worker of ours joins a group that had another member,
//! or reads another deployment's connectors. What was noted stays ours: our own workers and
//! connectors never speak against us. **Caveat.** Two applications that ask at the same moment both
//! find a new group free.

use std::net::IpAddr;

use crate::limits;
use crate::model::Model;
use crate::model::config::Config;
use crate::model::kafka::{Kafka, KafkaAccess};
use crate::model::peer::UnitData;
use crate::observation::{ConfigValue, GroupFacts, Hook, Observation, Reading};
use crate::status::{Finding, Id};

/// What to ask Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose members.
    pub group: String,
    /// Whether anything was written to this topic.
    pub config_topic: String,
    /// How to reach the brokers.
    pub kafka: KafkaAccess,
}

/// The options that name a group or its topics.
const NAMING: [&str; 4] = ["group-id", "config-topic", "offset-topic", "status-topic"];

/// What the leader has to know before a worker may start; nothing if that is known, or cannot be
/// asked yet.
#[must_use]
pub fn question(seen: &Observation) -> Option<Question> {
    let names = |option: &&str| matches!(seen.config.get(*option), Some(ConfigValue::Text(text)) if !text.trim().is_empty());
    if !seen.leader || seen.hook == Hook::Leave || !NAMING.iter().any(names) {
        return None;
    }
    let model = Model::read(seen);
    let Kafka::Ready(kafka) = &model.kafka else {
        return None;
    };
    (model.config_is_good() && is_closed(&model)).then(|| Question {
        group: model.config.group_id.clone(),
        config_topic: model.config.topics.config.clone(),
        kafka: (**kafka).clone(),
    })
}

/// How a group stands in the peer relation; no name holds a blank.
fn note(config: &Config) -> String {
    let topics = &config.topics;
    [
        config.group_id.as_str(),
        topics.config.as_str(),
        topics.offset.as_str(),
        topics.status.as_str(),
    ]
    .join(" ")
}

fn is_noted(model: &Model<'_>) -> bool {
    let peers = model.peers.as_ref();
    peers.is_some_and(|peers| peers.application.groups.contains(&note(&model.config)))
}

/// No worker of ours may start with the group that the options name.
pub(super) fn is_closed(model: &Model<'_>) -> bool {
    model.config.group_is_named && !model.config.adopt_group && !is_noted(model)
}

/// What the leader notes: the group is free, or to be adopted.
pub(super) fn claim(model: &Model<'_>) -> Option<String> {
    let may = model.config.adopt_group
        || matches!(&model.seen.group, Reading::Known(facts) if fault(model, facts).is_none());
    let wanted = model.config.group_is_named && model.config_is_good() && !is_noted(model);
    (wanted && may).then(|| note(&model.config))
}

/// What speaks against joining.
fn fault(model: &Model<'_>, facts: &GroupFacts) -> Option<String> {
    if let Some(host) = facts.members.first() {
        return Some(match facts.members.len() {
            1 => format!("has a worker at {host}"),
            many => format!("has {many} workers, one at {host}"),
        });
    }
    let topic = &model.config.topics.config;
    facts
        .written
        .then(|| format!("has connectors in topic {topic}"))
}

/// Why a worker waits to be started.
pub(super) fn hold(model: &Model<'_>) -> Option<Finding> {
    if !is_closed(model) {
        return None;
    }
    let group = ("group", model.config.group_id.as_str());
    let waits = Finding::new(Id::GroupWaiting, [group]);
    if !model.seen.leader {
        return Some(waits);
    }
    Some(match &model.seen.group {
        Reading::Known(facts) => match fault(model, facts) {
            Some(fault) => Finding::new(Id::GroupTaken, [group, ("fault", fault.as_str())]),
            None => waits,
        },
        Reading::Unreadable(fault) => Finding::new(Id::GroupUnknown, [group, ("fault", fault)]),
        Reading::Absent => waits,
    })
}

/// When to go on, in seconds from now: nothing else may come.
pub(super) fn wake(model: &Model<'_>) -> Option<u64> {
    if !model.seen.leader || !is_closed(model) {
        return None;
    }
    match &model.seen.group {
        Reading::Known(facts) => fault(model, facts).is_none().then_some(limits::NEXT_HOOK_S),
        Reading::Unreadable(_) => Some(limits::LOOK_AGAIN_S),
        Reading::Absent => None,
    }
}

/// A group in which somebody else's worker leads, as the leader of our units sees it.
pub(super) fn shared(model: &Model<'_>) -> Option<Finding> {
    let seen = model.seen;
    let peers = model.peers.as_ref()?;
    if !seen.leader || !model.config.group_is_named {
        return None;
    }
    let leader = &seen.host.group.as_ref()?.leader;
    let address = leader.trim_matches(['[', ']']).parse::<IpAddr>();
    let units = std::iter::once(&peers.ours).chain(peers.others.values());
    let told = units.flat_map(UnitData::addresses);
    let is_ours = address.is_ok_and(|address| {
        told.chain(seen.network.peer_bind.iter().copied())
            .any(|ours| ours == address)
    });
    let values = [("group", model.config.group_id.as_str()), ("host", leader)];
    (!is_ours && !leader.is_empty()).then(|| Finding::new(Id::GroupShared, values))
}
