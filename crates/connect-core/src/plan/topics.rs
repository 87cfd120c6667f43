//! Internal topics that a worker refuses, as its log says so.
//!
//! The worker itself looks at its topics at every start, and exits over one that could lose what it
//! stores there. **Contract:** the messages of `KafkaTopicBasedBackingStore` and `TopicAdmin` in Kafka
//! 3.9 to 4.3.

use crate::status::{Finding, Id};

/// What to do about it, if a cause is about an internal topic.
pub(super) fn finding(cause: &str) -> Option<Finding> {
    let quoted = |after: &str| {
        let rest = cause.split_once(after)?.1;
        Some(rest.split_once('\'')?.0.to_owned())
    };
    if cause.contains("cleanup.policy=compact") {
        let topic = quoted("Topic '").or_else(|| quoted("topic '"))?;
        return Some(unfit(
            &topic,
            "must be compacted: set cleanup.policy=compact on it",
        ));
    }
    if cause.contains("single partition") {
        let topic = quoted("Topic '").or_else(|| quoted("topic '"))?;
        return Some(unfit(
            &topic,
            "must have one partition: delete it, or use another group-id",
        ));
    }
    if cause.contains("InvalidReplicationFactorException") || cause.contains("Replication factor:")
    {
        let fault = "cannot be made: more replicas are asked for than there are brokers";
        return Some(unfit("for configs, offsets or status", fault));
    }
    None
}

fn unfit(topic: &str, fault: &str) -> Finding {
    Finding::new(Id::TopicUnfit, [("topic", topic), ("fault", fault)])
}

#[cfg(test)]
mod tests {
    use super::finding;

    #[test]
    fn a_refused_topic_is_named_with_the_remedy() {
        for (cause, expected) in [
            (
                "ConfigException: Topic 'g-configs' supplied via the 'config.storage.topic' property is \
                 required to have 'cleanup.policy=compact' to guarantee consistency and durability of \
                 connector configurations, but found the topic currently has 'cleanup.policy=delete'.",
                Some(("g-configs", "must be compacted")),
            ),
            (
                "ConfigException: Topic 'g-configs' supplied via the 'config.storage.topic' property is \
                 required to have a single partition in order to guarantee consistency of connector \
                 configurations, but found 3 partitions.",
                Some(("g-configs", "must have one partition")),
            ),
            (
                "InvalidReplicationFactorException: Unable to replicate the partition 3 time(s)",
                Some(("for configs, offsets or status", "cannot be made")),
            ),
            (
                "TopicAuthorizationException: Not authorized to access topics: [x]",
                None,
            ),
        ] {
            let found = finding(cause).map(|found| found.values);
            match (found, expected) {
                (Some(values), Some((topic, fault))) => {
                    assert_eq!(values[0].1, topic);
                    assert!(values[1].1.starts_with(fault), "{values:?}");
                }
                (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{cause}"),
            }
        }
    }
}
