//! What is remembered of asking plugin servers, so that one that is down, or never gives the same
//! twice, is asked less and less often.

use serde::{Deserialize, Serialize};

use super::Fetched;
use crate::limits;

/// What came of asking for a plugin last. It is kept on this machine: lost, it costs a try too early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// On what terms ([`crate::model::admission::Terms::fingerprint`]).
    pub terms: String,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedFetch>,
    /// What was served last, if anything was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How often in a row that was something else than before.
    #[serde(default)]
    pub changes: u32,
}

/// A download that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedFetch {
    /// When it failed first without a success since, in seconds since the Unix epoch.
    pub since: u64,
    /// Why, in one line without a secret.
    pub reason: String,
    /// Only a change of the content or of the terms helps.
    pub lasting: bool,
}

impl Asked {
    /// After asking now, and once before if at all.
    #[must_use]
    pub fn after(before: Option<&Self>, now: u64, terms: &str, outcome: &Fetched) -> Self {
        let mut asked = Self {
            at: now,
            terms: terms.to_owned(),
            failed: None,
            digest: before.and_then(|before| before.digest.clone()),
            changes: before.map_or(0, |before| before.changes),
        };
        let digest = match outcome {
            Fetched::Failed { reason, lasting } => {
                let same = before.filter(|before| before.terms == terms);
                let failed = same.and_then(|before| before.failed.as_ref());
                asked.failed = Some(FailedFetch {
                    since: failed.map_or(now, |failed| failed.since),
                    reason: reason.clone(),
                    lasting: *lasting,
                });
                return asked;
            }
            Fetched::Stored { digest } => digest.clone(),
            Fetched::Empty => String::new(),
        };
        asked.changes = match &asked.digest {
            Some(before) if *before != digest => asked.changes.saturating_add(1),
            Some(_) | None => 0,
        };
        asked.digest = Some(digest);
        asked
    }

    /// Why it failed and for how many seconds it must not be tried again, if both are so. Half as
    /// long as it has failed, within limits, so that an outage costs at most half of its time once
    /// more.
    #[must_use]
    pub fn waits(&self, now: u64, terms: &str) -> Option<(&FailedFetch, u64)> {
        let failed = self.failed.as_ref().filter(|_| self.terms == terms)?;
        let wait = (self.at.saturating_sub(failed.since) / 2)
            .clamp(limits::RETRY_FETCH_S, limits::RETRY_FETCH_MOST_S);
        let until = self.at.saturating_add(wait);
        // A failure in the future is of a clock that was wrong.
        (self.at <= now && now < until).then(|| (failed, until - now))
    }

    /// Whether so many seconds have passed since; twice as many for each change in a row, so that a
    /// server that never gives the same twice has workers restart less and less often.
    #[must_use]
    pub fn is_older(&self, now: u64, seconds: u64) -> bool {
        let often = 1_u64.checked_shl(self.changes).unwrap_or(u64::MAX);
        let wait = seconds.saturating_mul(often);
        let wait = wait.min(limits::CHECK_MOST_S.max(seconds));
        now < self.at || self.at.saturating_add(wait) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Fetched {
        Fetched::Failed {
            reason: String::new(),
            lasting: false,
        }
    }

    #[test]
    fn a_failed_fetch_waits_half_as_long_as_it_has_failed_within_limits() {
        let rows = [
            // Failed first, failed last, now; the wait.
            (1000, 1000, 1000, Some(30)),
            (1000, 1000, 1029, Some(1)),
            (1000, 1000, 1030, None),
            (1000, 1200, 1200, Some(100)),
            (1000, 99_000, 99_000, Some(600)),
            // The clock was wrong.
            (5000, 5000, 1000, None),
        ];
        for (since, at, now, expected) in rows {
            let first = Asked::after(None, since, "a", &failed());
            let asked = Asked::after(Some(&first), at, "a", &failed());
            let wait = asked.waits(now, "a").map(|(_, wait_s)| wait_s);
            assert_eq!(wait, expected, "{since} {at} {now}");
            assert_eq!(asked.waits(now, "b"), None, "other terms");
        }
    }

    #[test]
    fn what_changes_again_and_again_is_asked_for_less_often() {
        let stored = |digest: &str| Fetched::Stored {
            digest: digest.to_owned(),
        };
        let mut asked = None;
        let rows = [
            // What came; for how long it is not asked again.
            (stored("a"), 600),
            (stored("a"), 600),
            (stored("b"), 1200),
            (stored("c"), 2400),
            (failed(), 2400),
            (stored("d"), 4800),
            (stored("d"), 600),
            (Fetched::Empty, 1200),
        ];
        for (number, (outcome, wait)) in rows.iter().enumerate() {
            let now = Asked::after(asked.as_ref(), 1000, "a", outcome);
            assert!(!now.is_older(999 + wait, 600), "row {number}");
            assert!(now.is_older(1000 + wait, 600), "row {number}");
            assert!(now.is_older(900, 600), "a clock that was wrong");
            asked = Some(now);
        }
        let restless = Asked {
            changes: 99,
            ..Asked::default()
        };
        assert!(restless.is_older(limits::CHECK_MOST_S, 600));
    }
}
