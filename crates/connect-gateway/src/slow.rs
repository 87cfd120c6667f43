//! Passwords that people chose: hashed slowly, one at a time, and each right one only once.
//!
//! A poll must not cost a slow hash. A stored hash has exactly one password, so once that was given,
//! its salted SHA-256 is kept in memory beside the hash, and every further login is decided by it,
//! right or wrong. That is one digest for each stored hash: it cannot grow and needs no eviction.

use std::fmt;
use std::sync::OnceLock;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::limits;

/// One stored hash.
pub struct SlowHash {
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
    known: OnceLock<[u8; 32]>,
}

impl fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlowHash([redacted])")
    }
}

impl SlowHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`; `None` if it is another format, or would cost
    /// more than the gateway can give.
    ///
    /// **Contract:** the PHC string format as the reference implementation of Argon2 writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split('$').collect();
        let ["", "argon2id", "v=19", costs, salt, hash] = fields.as_slice() else {
            return None;
        };
        let costs: Vec<&str> = costs.split(',').collect();
        let [memory, time, lanes] = costs.as_slice() else {
            return None;
        };
        let number = |text: &str, key: &str, most: u32| {
            let digits = text.strip_prefix(key)?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let value: u32 = digits.parse().ok().filter(|_| plain)?;
            (value <= most).then_some(value)
        };
        let memory = number(memory, "m=", limits::ARGON2_KIB)?;
        let time = number(time, "t=", limits::ARGON2_PASSES)?;
        let lanes = number(lanes, "p=", limits::ARGON2_LANES)?;
        let bytes = |text: &str| STANDARD_NO_PAD.decode(text).ok();
        let (salt, hash) = (bytes(salt)?, bytes(hash)?);
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
            return None;
        }
        Some(Self {
            params: Params::new(memory, time, lanes, Some(hash.len())).ok()?,
            salt,
            hash,
            known: OnceLock::new(),
        })
    }

    /// Whether the password is the right one, if that is known without the slow hash.
    #[must_use]
    pub fn recall(&self, password: &str) -> Option<bool> {
        let known = self.known.get()?;
        Some(known.ct_eq(&self.digest(password)).into())
    }

    /// Whether the password is the right one. Takes tens of milliseconds and the memory that the
    /// hash asks for.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let mut hash = vec![0; self.hash.len()];
        let hashed = argon2.hash_password_into(password.as_bytes(), &self.salt, &mut hash);
        let right = hashed.is_ok() && bool::from(hash.ct_eq(&self.hash));
        if right {
            self.known.get_or_init(|| self.digest(password));
        }
        right
    }

    /// Whether it is the same hash, so that what is known of one holds for the other.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.params == other.params && self.salt == other.salt && self.hash == other.hash
    }

    fn digest(&self, password: &str) -> [u8; 32] {
        let digest = Sha256::new_with_prefix(&self.salt).chain_update(password);
        digest.finalize().into()
    }
}

/// The place where slow hashes are computed: one at a time, with few waiting.
pub struct Bench {
    waiting: Semaphore,
    working: Semaphore,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(limits::SLOW_LOGINS_WAITING),
            working: Semaphore::new(1),
        }
    }
}

impl Bench {
    /// Does the work outside the threads that serve requests; `None` if too many wait already.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<Option<T>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        let _working = self.working.acquire().await.ok()?;
        // A panic in it lets nobody in.
        Some(tokio::task::spawn_blocking(work).await.unwrap_or(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the reference implementation's own tests; the password is `password`.
    const REFERENCE: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn a_right_password_is_hashed_once() {
        let hash = SlowHash::parse(REFERENCE).unwrap();
        assert_eq!(hash.recall("password"), None);
        assert!(!hash.verify("Password"));
        assert_eq!(hash.recall("Password"), None, "what is wrong is not kept");
        assert!(hash.verify("password"));
        assert_eq!(hash.recall("password"), Some(true));
        assert_eq!(hash.recall("Password"), Some(false));
        assert_eq!(hash.recall(""), Some(false));
        assert!(hash.is(&SlowHash::parse(REFERENCE).unwrap()));
        let other = REFERENCE.replace("c29tZXNhbHQ", "c29tZXNhbHR0");
        assert!(!hash.is(&SlowHash::parse(&other).unwrap()));
    }

    #[test]
    fn a_hash_that_is_not_ours_or_costs_too_much_is_refused() {
        for (from, to) in [
            ("$argon2id", "argon2id"),
            ("argon2id", "argon2i"),
            ("argon2id", "argon2d"),
            ("v=19", "v=16"),
            ("v=19$", ""),
            ("m=256", "m=4194304"),
            ("m=256", "m=+256"),
            ("m=256", "m="),
            ("m=256", "m=1"),
            ("t=2", "t=100"),
            ("t=2", "t=0"),
            ("p=1", "p=100"),
            ("p=1", "p=1,keyid=a"),
            ("m=256,t=2", "t=2,m=256"),
            ("c29tZXNhbHQ", "c29t"),
            ("c29tZXNhbHQ", "c29tZXNhbHQ="),
            ("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65"),
            ("/4", "/4$"),
            ("/4", "!4"),
        ] {
            let text = REFERENCE.replace(from, to);
            assert_ne!(text, REFERENCE);
            assert!(SlowHash::parse(&text).is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn few_wait_and_the_rest_is_turned_away() {
        let bench = Bench::default();
        let held = bench.working.acquire().await.unwrap();
        let mut waiting: Vec<_> = (0..limits::SLOW_LOGINS_WAITING)
            .map(|_| Box::pin(bench.work(|| Some(()))))
            .collect();
        for work in &mut waiting {
            assert!(futures_poll(work.as_mut()).is_none());
        }
        assert_eq!(bench.work(|| Some(())).await, None);
        drop(held);
        for work in waiting {
            assert_eq!(work.await, Some(Some(())));
        }
    }

    /// One look at a future.
    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
