//! Slowing down whoever guesses passwords, per address and user.
//!
//! A failed login is answered late, a right one at once: a client whose password was just rotated
//! is never held up by its own earlier failures, and nobody can lock out somebody else. What bounds
//! guessing is that only a few late answers may be pending per address and user; further logins of
//! that pair are turned away unchecked until one of them is out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

type Key = (IpAddr, String);

#[derive(Debug)]
struct Record {
    failures: u32,
    pending: u32,
    last: Instant,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Key, Record>,
    pending: u32,
}

/// The failed logins of the last minute; bounded.
#[derive(Debug, Default)]
pub struct Backoff {
    table: Mutex<Table>,
}

/// A failed login whose answer is due after [`Delayed::wait`]; dropping it frees its place.
#[derive(Debug)]
pub struct Delayed<'a> {
    backoff: &'a Backoff,
    key: Key,
    /// How long to hold the answer.
    pub wait: Duration,
}

impl Drop for Delayed<'_> {
    fn drop(&mut self) {
        let mut table = self.backoff.lock();
        table.pending = table.pending.saturating_sub(1);
        if let Some(record) = table.records.get_mut(&self.key) {
            record.pending = record.pending.saturating_sub(1);
        }
    }
}

impl Backoff {
    /// Whether the pair has so many late answers pending that its password is not even looked at.
    #[must_use]
    pub fn is_busy(&self, address: IpAddr, user: &str) -> bool {
        let table = self.lock();
        let record = table.records.get(&key(address, user));
        record.is_some_and(|record| record.pending >= limits::DELAYED_PER_KEY)
    }

    /// Records a failure. `None`: too many answers are pending, turn it away now.
    pub fn failed(&self, address: IpAddr, user: &str, now: Instant) -> Option<Delayed<'_>> {
        let key = key(address, user);
        let mut table = self.lock();
        if table.pending >= limits::DELAYED_IN_ALL {
            return None;
        }
        make_room(&mut table.records, &key, now);
        let fresh = Record {
            failures: 0,
            pending: 0,
            last: now,
        };
        let record = table.records.entry(key.clone()).or_insert(fresh);
        if now.saturating_duration_since(record.last) > limits::FAILURE_MEMORY {
            record.failures = 0;
        }
        record.failures = record.failures.saturating_add(1);
        record.pending += 1;
        record.last = now;
        let wait = delay(record.failures);
        table.pending += 1;
        Some(Delayed {
            backoff: self,
            key,
            wait,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is only counters: a panic elsewhere leaves nothing half done that matters.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delay(failures: u32) -> Duration {
    let beyond = failures.saturating_sub(limits::FREE_FAILURES);
    if beyond == 0 {
        return Duration::ZERO;
    }
    let factor = 1_u32 << (beyond - 1).min(10);
    (Duration::from_millis(125) * factor).min(limits::MAX_LOGIN_DELAY)
}

fn key(address: IpAddr, user: &str) -> Key {
    // One host owns at least a /64, so that is what counts as one address.
    let address = match address {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        IpAddr::V4(_) => address,
    };
    let end = user.char_indices().map(|(at, _)| at).find(|at| *at >= 128);
    (address, user[..end.unwrap_or(user.len())].to_owned())
}

fn make_room(records: &mut HashMap<Key, Record>, key: &Key, now: Instant) {
    if records.len() < limits::REMEMBERED_FAILURES || records.contains_key(key) {
        return;
    }
    records.retain(|_, record| {
        record.pending > 0 || now.saturating_duration_since(record.last) <= limits::FAILURE_MEMORY
    });
    if records.len() >= limits::REMEMBERED_FAILURES {
        let idle = records.iter().filter(|(_, record)| record.pending == 0);
        let oldest = idle
            .min_by_key(|(_, record)| record.last)
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            records.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn answers_get_later_and_never_later_than_the_limit() {
        let waits: Vec<u128> = (1..=12)
            .map(|failures| delay(failures).as_millis())
            .collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 0, 125, 250, 500, 1000, 2000, 2000, 2000]
        );
        assert_eq!(delay(u32::MAX), limits::MAX_LOGIN_DELAY);
    }

    #[test]
    fn one_pair_has_no_effect_on_another() {
        let backoff = Backoff::default();
        let now = Instant::now();
        let held: Vec<_> = (0..8)
            .map(|_| backoff.failed(address(1), "a", now))
            .collect();
        assert!(held.iter().all(Option::is_some));
        assert!(backoff.is_busy(address(1), "a"));
        assert!(!backoff.is_busy(address(1), "b"));
        assert!(!backoff.is_busy(address(2), "a"));
        assert_eq!(
            backoff.failed(address(2), "a", now).unwrap().wait,
            Duration::ZERO
        );
        drop(held);
        assert!(!backoff.is_busy(address(1), "a"));
    }

    #[test]
    fn failures_are_forgotten_after_a_minute() {
        let backoff = Backoff::default();
        let now = Instant::now();
        for _ in 0..8 {
            drop(backoff.failed(address(1), "a", now));
        }
        assert!(backoff.failed(address(1), "a", now).unwrap().wait > Duration::from_millis(500));
        let later = now + limits::FAILURE_MEMORY + Duration::from_secs(1);
        assert_eq!(
            backoff.failed(address(1), "a", later).unwrap().wait,
            Duration::ZERO
        );
    }

    #[test]
    fn the_table_is_bounded() {
        let backoff = Backoff::default();
        let now = Instant::now();
        for number in 0..limits::REMEMBERED_FAILURES + 50 {
            drop(backoff.failed(address(1), &format!("user-{number}"), now));
        }
        assert_eq!(backoff.lock().records.len(), limits::REMEMBERED_FAILURES);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let one = key("2001:db8::1".parse().unwrap(), "a");
        assert_eq!(one, key("2001:db8::2".parse().unwrap(), "a"));
        assert_ne!(one, key("2001:db8:0:1::1".parse().unwrap(), "a"));
    }
}
