//! What Kafka gave us.

use crate::observation::RelationId;
use crate::secret::Secret;

/// The state of the relation to Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kafka {
    /// No relation.
    Missing,
    /// More than one relation.
    Several,
    /// Something is not there yet.
    Waiting {
        /// Relation.
        id: RelationId,
        /// What, as databag keys.
        what: String,
    },
    /// A secret that is not granted yet, or an answer that makes no sense.
    Faulty {
        /// Relation.
        id: RelationId,
        /// Databag key.
        field: String,
        /// What is wrong.
        text: String,
    },
    /// TLS without a CA.
    NoCa {
        /// Relation.
        id: RelationId,
    },
    /// All there.
    Ready(Box<KafkaAccess>),
}

/// How to reach Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaAccess {
    /// `host:port` of brokers, sorted, so that another order is no change.
    pub bootstrap: Vec<String>,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
    /// CA certificates (DER) if Kafka speaks TLS.
    pub tls: Option<Vec<Vec<u8>>>,
}
