//! `certificate_transfer`, requirer side: CA certificates that others want trusted.
//!
//! **Contract:** version 1 is a JSON list of PEM texts in the provider's application databag, and
//! the requirer says `version` 1; version 0 is one certificate with its CA in each unit's databag.

use std::collections::BTreeSet;

use super::x509::Certificate;
use crate::observation::{Databag, TransferRelation};

const CERTIFICATES: &str = "certificates";

/// What we write into our application databag.
#[must_use]
pub fn request() -> Databag {
    Databag::from([("version".to_owned(), "1".to_owned())])
}

/// Certificates received, and whether something that came could not be understood.
#[must_use]
pub fn read(relation: &TransferRelation) -> (BTreeSet<Certificate>, bool) {
    let mut texts: Vec<String> = Vec::new();
    let mut faulty = false;
    if let Some(text) = relation.theirs.get(CERTIFICATES) {
        match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => texts.extend(list),
            Err(_) => faulty = true,
        }
    }
    for bag in relation.units.values() {
        texts.extend(bag.get("ca").cloned());
        if let Some(text) = bag.get("chain") {
            match serde_json::from_str::<Vec<String>>(text) {
                Ok(list) => texts.extend(list),
                Err(_) => faulty = true,
            }
        }
    }
    let mut found = BTreeSet::new();
    for text in &texts {
        let certificates = Certificate::all(text);
        faulty |= certificates.is_empty();
        found.extend(certificates);
    }
    (found, faulty)
}
