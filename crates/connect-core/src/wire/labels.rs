//! Owner labels of the application's secrets, and which of them a hook has to look up.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::peer::KnownClient;
use crate::observation::{ClientRelation, Life, PeerRelation, RelationId};

/// The internal REST user and the internal CA.
pub const INTERNAL: &str = "kafka-connect.internal.secret";

/// The internal REST user and the internal CA that replace those while they are rotated.
pub const INTERNAL_NEXT: &str = "kafka-connect.internal-next.secret";

/// The operators' users, hashed.
pub const OPERATORS: &str = "kafka-connect.operators.secret";

/// The private key that a unit's own certificate is for; owned by the unit.
pub const TLS_KEY: &str = "kafka-connect.tls-key.secret";

/// The credentials of a client.
#[must_use]
pub fn user(client: RelationId) -> String {
    format!("connect-client.{client}.user.secret")
}

/// Whether the REST API is served over TLS, and the CAs to trust.
#[must_use]
pub fn tls(client: RelationId) -> String {
    format!("connect-client.{client}.tls.secret")
}

/// What a client asked for as a secret and is neither a credential nor TLS: its endpoints.
#[must_use]
pub fn extra(client: RelationId) -> String {
    format!("connect-client.{client}.extra.secret")
}

/// The credentials that replace a client's while they are rotated; never granted to anybody.
#[must_use]
pub fn next(client: RelationId) -> String {
    format!("connect-client.{client}.next.secret")
}

/// The labels of the internal user, and of the next one while it is rotated.
#[must_use]
pub fn internal(peers: Option<&PeerRelation>) -> Vec<&'static str> {
    let announced = peers.map(|peers| super::peer::read_application(&peers.application));
    let rotation = announced.and_then(|announced| announced.internal);
    if rotation.is_some_and(|rotation| rotation.phase.is_some()) {
        vec![INTERNAL, INTERNAL_NEXT]
    } else {
        vec![INTERNAL]
    }
}

/// Who looks for secrets, and in what hook.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Reader {
    /// Our unit leads its application.
    pub leader: bool,
    /// There is a relation on `certificates`.
    pub certificates: bool,
    /// Without it a hook does without the credentials of clients of whom the leader has told
    /// everything, and, on the leader, who were answered: a hundred clients are a hundred calls.
    pub thorough: bool,
    /// An option names users of the operators.
    pub operators: bool,
}

/// The labels that the shell has to look up in this hook.
///
/// Every unit needs the internal secret, the credentials of clients that the leader announced, its
/// own private key where there is anything to do with certificates, and the operators' users where
/// there are any; the leader also looks for those of clients that it may have to serve, and of
/// clients that are gone and must be forgotten.
#[must_use]
pub fn wanted(
    reader: &Reader,
    clients: &BTreeMap<RelationId, ClientRelation>,
    peers: Option<&PeerRelation>,
) -> BTreeSet<String> {
    let Reader {
        leader,
        certificates,
        thorough,
        operators,
    } = *reader;
    let announced = peers.map(|peers| super::peer::read_application(&peers.application));
    let announced = announced.unwrap_or_default();
    let is_tls_over = announced.tls.is_none() && !certificates;
    let has_operators = operators || announced.operators.is_some();
    let known = announced.clients;
    let internal = internal(peers).into_iter().map(ToOwned::to_owned);
    let mut labels: BTreeSet<String> = internal.collect();
    let has_certificate =
        peers.is_some_and(|peers| super::peer::read_unit(&peers.ours).tls.is_some());
    if certificates || has_certificate {
        labels.insert(TLS_KEY.to_owned());
    }
    let is_settled = |id: &RelationId| {
        let answered = |relation: &ClientRelation| {
            let ours = relation.ours.as_ref();
            !leader || ours.is_some_and(|bag| bag.contains_key(super::SECRET_USER))
        };
        let stays = |relation: &&ClientRelation| relation.life == Life::Live;
        known.get(id).is_some_and(KnownClient::is_settled)
            && clients.get(id).filter(stays).is_some_and(answered)
    };
    let reads = |id: &&RelationId| thorough || !is_settled(id);
    labels.extend(known.keys().filter(reads).map(|id| user(*id)));
    if has_operators {
        labels.insert(OPERATORS.to_owned());
    }
    for (id, client) in &known {
        if client.next.is_some() {
            labels.insert(next(*id));
        }
    }
    if leader {
        labels.extend(clients.keys().filter(reads).map(|id| user(*id)));
        labels.extend(
            clients
                .iter()
                .filter(|(_, relation)| {
                    let extra = |bag: &super::Databag| bag.contains_key(super::SECRET_EXTRA);
                    super::client::wants_extra(&super::client::read(relation))
                        || relation.ours.as_ref().is_some_and(extra)
                })
                .map(|(id, _)| extra(*id)),
        );
        labels.extend(
            clients
                .iter()
                .filter(|(_, relation)| {
                    let has = |bag: &super::Databag| bag.contains_key(super::SECRET_TLS);
                    let wants = super::client::wants_tls_secret(&super::client::read(relation));
                    (wants && !is_tls_over) || relation.ours.as_ref().is_some_and(has)
                })
                .map(|(id, _)| tls(*id)),
        );
        // Whether a client that is gone had one is not known any more.
        labels.extend(
            known
                .keys()
                .filter(|id| !clients.contains_key(id))
                .flat_map(|id| [extra(*id), tls(*id)]),
        );
    }
    labels
}
