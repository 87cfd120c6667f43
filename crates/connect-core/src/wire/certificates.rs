//! `tls-certificates`, requirer side: one certificate for each unit.
//!
//! **Contract:** wire format 1, which every library from version 1 on speaks. Values are PEM texts
//! inside JSON. A request must carry `ca`, or current providers ignore the whole databag. Answers
//! are matched by the request's bytes, because providers wrap its text in their own way.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::x509::{Certificate, Request, public_key_der, request_der};
use super::{PRIVATE_KEY, PUBLIC_KEY, labels};
use crate::model::tls::{Answer, Identity, Key, Tls};
use crate::observation::{Databag, Life, Observation, OwnSecret, Reading};

/// Key in our unit databag.
pub const REQUESTS: &str = "certificate_signing_requests";
const CERTIFICATES: &str = "certificates";
const ERRORS: &str = "request_errors";

#[derive(Deserialize)]
struct Entry {
    certificate_signing_request: String,
    #[serde(default)]
    certificate: String,
    #[serde(default)]
    ca: String,
    #[serde(default)]
    chain: Option<Vec<String>>,
    #[serde(default)]
    revoked: Option<bool>,
}

/// Everything that an observation says of certificates.
#[must_use]
pub fn read(seen: &Observation) -> Tls {
    let live = seen
        .certificates
        .iter()
        .find(|(_, relation)| relation.life == Life::Live);
    let (key, key_unreadable) = match seen.secrets.get(labels::TLS_KEY) {
        Some(Reading::Known(secret)) => (read_key(secret), None),
        Some(Reading::Unreadable(fault)) => (None, Some(fault.clone())),
        Some(Reading::Absent) | None => (None, None),
    };
    // A request for another key is as good as none.
    let request = live
        .and_then(|(_, relation)| request(&relation.ours))
        .filter(|request| {
            key.as_ref()
                .is_some_and(|key| key.public == request.public_key)
        });
    let answer = match (live, &request, &key) {
        (Some((_, relation)), Some(request), Some(key)) => {
            answer(&relation.theirs, request, key, seen.now)
        }
        _ => Answer::Nothing,
    };
    Tls {
        relation: live.map(|(id, _)| *id),
        parting: seen
            .certificates
            .values()
            .any(|relation| relation.life == Life::Parting),
        key,
        key_unreadable,
        request,
        answer,
    }
}

fn read_key(secret: &OwnSecret) -> Option<Key> {
    Some(Key {
        private: secret.content.get(PRIVATE_KEY)?.clone(),
        public: public_key_der(secret.content.get(PUBLIC_KEY)?.expose())?,
    })
}

/// Our request as it stands in our unit databag, if it is one that we would write.
#[must_use]
pub fn request(ours: &Databag) -> Option<Request> {
    let entries: Vec<Value> = serde_json::from_str(ours.get(REQUESTS)?).ok()?;
    let [entry] = entries.as_slice() else {
        return None;
    };
    if entry.get("ca") != Some(&Value::Bool(false)) {
        return None;
    }
    Request::parse(entry.get("certificate_signing_request")?.as_str()?)
}

/// The value of [`REQUESTS`] for one request in PEM.
#[must_use]
pub fn requests(pem: &str) -> String {
    json!([{"certificate_signing_request": pem.trim(), "ca": false}]).to_string()
}

/// What the provider says to `request`, for which we hold `key`.
#[must_use]
pub fn answer(theirs: &Databag, request: &Request, key: &Key, now: u64) -> Answer {
    let is_ours = |text: &str| request_der(text).as_ref() == Some(&request.der);
    if let Some(text) = theirs.get(CERTIFICATES) {
        let Ok(entries) = serde_json::from_str::<Vec<Value>>(text) else {
            return Answer::Faulty("certificates is not a list".to_owned());
        };
        // An entry that cannot be read may be another unit's.
        let ours: Vec<Entry> = entries
            .into_iter()
            .filter_map(|entry| serde_json::from_value(entry).ok())
            .filter(|entry: &Entry| is_ours(&entry.certificate_signing_request))
            .collect();
        let good = ours.iter().find(|entry| entry.revoked != Some(true));
        if let Some(entry) = good {
            return match identity(entry, key, now) {
                Ok(identity) => Answer::Issued(identity),
                Err(fault) => Answer::Faulty(fault.to_owned()),
            };
        }
        if !ours.is_empty() {
            return Answer::Revoked;
        }
    }
    refusal(theirs, &is_ours).map_or(Answer::Nothing, Answer::Refused)
}

fn refusal(theirs: &Databag, is_ours: &dyn Fn(&str) -> bool) -> Option<String> {
    let entries: Vec<Value> = serde_json::from_str(theirs.get(ERRORS)?).ok()?;
    let entry = entries
        .iter()
        .find(|entry| entry["csr"].as_str().is_some_and(is_ours))?;
    let text = ["message", "reason", "name"].iter().find_map(|key| {
        entry["error"][*key]
            .as_str()
            .filter(|text| !text.is_empty())
    });
    Some(text.unwrap_or("no reason given").to_owned())
}

fn identity(entry: &Entry, key: &Key, now: u64) -> Result<Identity, &'static str> {
    let Some(leaf) = Certificate::all(&entry.certificate).into_iter().next() else {
        return Err("the certificate is not PEM of a certificate");
    };
    if leaf.public_key != key.public {
        return Err("the certificate is for another key");
    }
    if leaf.not_after <= now {
        return Err("the certificate has ended already");
    }
    // Some send each certificate by itself, some all in one text, the first one or the last one
    // first, or only the CA: order comes from who issued what.
    let sent = entry.chain.iter().flatten();
    let pool: BTreeSet<Certificate> = sent
        .chain(std::iter::once(&entry.ca))
        .flat_map(|text| Certificate::all(text))
        .collect();
    let given: BTreeSet<Certificate> = Certificate::all(&entry.ca).into_iter().collect();
    let roots = pool.iter().filter(|one| one.is_self_issued()).cloned();
    let authorities: BTreeSet<Certificate> = given.into_iter().chain(roots).collect();
    if authorities.is_empty() {
        return Err("no CA certificate came with it");
    }
    let mut chain = vec![leaf];
    while let Some(last) = chain.last()
        && let Some(next) = pool
            .iter()
            .find(|one| one.subject == last.issuer && !one.is_self_issued() && !chain.contains(one))
    {
        chain.push(next.clone());
    }
    Ok(Identity { chain, authorities })
}
