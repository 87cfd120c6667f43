//! `kafka_client`, requirer side, v0.
//!
//! **Contract:** each field is looked for first in its group's secret, then as a plain key, since
//! Kafka 3 hands `tls` over in a secret and Kafka 4 in plain text.

use std::collections::BTreeMap;

use super::{ENDPOINTS, PASSWORD, SECRET_TLS, SECRET_USER, TLS, TLS_CA, USERNAME, pem};
use crate::model::kafka::{Kafka, KafkaAccess};
use crate::model::password::is_plain;
use crate::observation::{Databag, KafkaRelation, Life, Reading, RelationId};
use crate::secret::Secret;

/// What we ask for; written by the leader, all keys in one hook, and never changed afterwards.
///
/// Kafka answers as soon as it sees a topic. Any name will do for an `admin`; this is the one its
/// other clients of our kind use.
#[must_use]
pub fn request() -> Databag {
    [
        ("topic", "connect-offset"),
        ("extra-user-roles", "admin"),
        (
            "requested-secrets",
            r#"["username", "password", "tls", "tls-ca", "uris"]"#,
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Reads the answer.
#[must_use]
pub fn read(relations: &BTreeMap<RelationId, KafkaRelation>) -> Kafka {
    let mut live = relations
        .iter()
        .filter(|(_, relation)| relation.life == Life::Live);
    match (live.next(), live.next()) {
        (None, _) => Kafka::Missing,
        (Some(_), Some(_)) => Kafka::Several,
        (Some((id, relation)), None) => read_one(*id, relation),
    }
}

fn read_one(id: RelationId, relation: &KafkaRelation) -> Kafka {
    for (field, secret) in &relation.secrets {
        if let Reading::Unreadable(reason) = secret {
            return Kafka::Faulty {
                id,
                field: field.clone(),
                text: reason.clone(),
            };
        }
    }
    let field = |group: &str, key: &str| -> Option<Secret<String>> {
        relation
            .secrets
            .get(group)
            .and_then(Reading::known)
            .and_then(|content| content.get(key).cloned())
            .or_else(|| relation.theirs.get(key).cloned().map(Secret::new))
            .filter(|value| !value.expose().is_empty())
    };
    let username = field(SECRET_USER, USERNAME);
    let password = field(SECRET_USER, PASSWORD);
    let endpoints = relation
        .theirs
        .get(ENDPOINTS)
        .filter(|value| !value.is_empty());
    let (Some(username), Some(password), Some(endpoints)) = (&username, &password, endpoints)
    else {
        let absent: Vec<&str> = [
            (username.is_none(), USERNAME),
            (password.is_none(), PASSWORD),
            (endpoints.is_none(), ENDPOINTS),
        ]
        .iter()
        .filter(|(absent, _)| *absent)
        .map(|(_, key)| *key)
        .collect();
        return Kafka::Waiting {
            id,
            what: absent.join(", "),
        };
    };
    let faulty = |field: &str, text: &str| Kafka::Faulty {
        id,
        field: field.to_owned(),
        text: text.to_owned(),
    };
    if !is_plain(username.expose()) {
        return faulty(USERNAME, "holds blanks or control characters");
    }
    if !is_plain(password.expose()) {
        return faulty(PASSWORD, "holds blanks or control characters");
    }
    let mut bootstrap: Vec<String> = endpoints
        .split(',')
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect();
    bootstrap.sort();
    bootstrap.dedup();
    if bootstrap.is_empty() || !bootstrap.iter().all(|one| is_host_port(one)) {
        return faulty(ENDPOINTS, "is not a list of host:port");
    }
    let tls_on = field(SECRET_TLS, TLS).is_some_and(|value| {
        ["enabled", "true"]
            .iter()
            .any(|on| value.expose().eq_ignore_ascii_case(on))
    });
    let tls = if tls_on {
        // Kafka 3 repeats the flag where Kafka 4 gives the certificate.
        let authorities = field(SECRET_TLS, TLS_CA)
            .map(|text| pem::certificates(text.expose()))
            .filter(|found| !found.is_empty());
        match authorities {
            Some(found) => Some(found),
            None => return Kafka::NoCa { id },
        }
    } else {
        None
    };
    Kafka::Ready(Box::new(KafkaAccess {
        bootstrap,
        username: username.expose().clone(),
        password: password.clone(),
        tls,
    }))
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}
