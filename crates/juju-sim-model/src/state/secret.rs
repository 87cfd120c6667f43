//! Secrets: owners, revisions, consumers and grants.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::application_of;

/// Who owns a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum SecretOwner {
    /// An application: its leader writes.
    Application(String),
    /// A unit.
    Unit(String),
    /// The operator.
    Model,
}

impl SecretOwner {
    /// The owning application, or the application of the owning unit.
    #[must_use]
    pub fn application(&self) -> Option<&str> {
        match self {
            Self::Application(name) => Some(name),
            Self::Unit(name) => Some(application_of(name)),
            Self::Model => None,
        }
    }
}

/// When an owner is asked to write a new revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Juju's own words")]
pub enum RotatePolicy {
    Never,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
}

impl RotatePolicy {
    /// Every policy with its word.
    pub const ALL: [(&'static str, Self); 7] = [
        ("never", Self::Never),
        ("hourly", Self::Hourly),
        ("daily", Self::Daily),
        ("weekly", Self::Weekly),
        ("monthly", Self::Monthly),
        ("quarterly", Self::Quarterly),
        ("yearly", Self::Yearly),
    ];

    /// As Juju writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, policy)| *policy == self)
            .map_or("never", |(word, _)| *word)
    }

    /// Hours until the next rotation, none for `never`; a month counts 30 days and a quarter 90.
    #[must_use]
    pub fn hours(self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::Hourly => Some(1),
            Self::Daily => Some(24),
            Self::Weekly => Some(7 * 24),
            Self::Monthly => Some(30 * 24),
            Self::Quarterly => Some(90 * 24),
            Self::Yearly => Some(365 * 24),
        }
    }
}

/// Key to base64-encoded value. `Debug` shows the keys only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(pub BTreeMap<String, String>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One revision of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretRevision {
    /// What it holds.
    pub content: Content,
    /// SHA-256 of the content, in hexadecimal: equal content makes no new revision.
    pub checksum: String,
    /// When it expires, RFC 3339.
    pub expire: Option<String>,
    /// The owner has had its secret-remove for this revision.
    pub obsolete_reported: bool,
}

/// What a consumer keeps of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// The revision it tracks.
    pub revision: u32,
    /// Its own label; empty for none.
    #[serde(default)]
    pub label: String,
    /// The latest revision that a secret-changed has told it of.
    #[serde(default)]
    pub notified: u32,
}

/// Leave to read a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Tag of an application (`application-kafka`) or unit (`unit-kafka-0`).
    pub target: String,
    /// Tag of the relation (or model) it is bound to.
    pub scope: String,
}

/// A secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// 20 characters of `0-9a-v`.
    pub id: String,
    /// Who owns it.
    pub owner: SecretOwner,
    /// The owner's label; empty for none.
    #[serde(default)]
    pub label: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Rotation policy.
    #[serde(default)]
    pub rotate: Option<RotatePolicy>,
    /// When the next rotation is due, RFC 3339.
    #[serde(default)]
    pub next_rotate: Option<String>,
    /// The number of the newest revision, also when that one was removed.
    pub latest: u32,
    /// Revisions that exist.
    #[serde(default)]
    pub revisions: BTreeMap<u32, SecretRevision>,
    /// Consumers by unit; units of the owning application count.
    #[serde(default)]
    pub consumers: BTreeMap<String, Consumer>,
    /// Who may read it.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

impl Secret {
    /// The newest revision that exists.
    #[must_use]
    pub fn newest(&self) -> Option<&SecretRevision> {
        self.revisions.get(&self.latest)
    }

    /// Whether this unit may read it: as the owner, or by a grant to it or its application.
    #[must_use]
    pub fn readable_by(&self, unit: &str) -> bool {
        let owns = match &self.owner {
            SecretOwner::Application(name) => name == application_of(unit),
            SecretOwner::Unit(name) => name == unit,
            SecretOwner::Model => false,
        };
        let application = format!("application-{}", application_of(unit));
        let tag = super::unit_tag(unit);
        owns || self
            .grants
            .iter()
            .any(|g| g.target == application || g.target == tag)
    }

    /// Revisions that nobody tracks and that are not the newest: what secret-remove is about.
    pub fn obsolete(&self) -> impl Iterator<Item = u32> + '_ {
        self.revisions.keys().copied().filter(move |revision| {
            *revision < self.latest
                && !self
                    .consumers
                    .values()
                    .any(|consumer| consumer.revision == *revision)
        })
    }
}

/// Whether Juju takes this text for a secret id: 20 characters of base 32, of which the last
/// carries one bit only.
#[must_use]
pub fn is_secret_id(text: &str) -> bool {
    text.len() == 20
        && text
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'v').contains(&c))
        && matches!(text.as_bytes().last(), Some(b'0' | b'g'))
}

/// An id in the form of the controller's: nine bytes that tell controllers apart and a counter, in
/// base 32.
#[must_use]
pub fn secret_id(prefix: [u8; 9], number: u32) -> String {
    let mut bits = prefix
        .iter()
        .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    bits = (bits << 24 | u128::from(number & 0xff_ffff)) << 4;
    let digit = |at: u32| char::from_digit(((bits >> (5 * at)) & 31) as u32, 32).unwrap_or('0');
    (0..20).rev().map(digit).collect()
}

/// The prefix of a model's secret ids: a fingerprint of its UUID.
#[must_use]
pub fn secret_prefix(model_uuid: &str) -> [u8; 9] {
    let hash = model_uuid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let mut prefix = [0x66; 9];
    prefix[1..].copy_from_slice(&hash.to_be_bytes());
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_of_the_form_that_is_accepted() {
        let prefix = secret_prefix("5a4c3b2a-1111-4222-8333-444455556666");
        let ids: std::collections::BTreeSet<String> =
            (0..100).map(|number| secret_id(prefix, number)).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| is_secret_id(id)));
        assert!(!is_secret_id("d0000000000000000035"));
    }
}
