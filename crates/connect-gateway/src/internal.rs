//! The internal credentials: one, or two while it is rotated.

use std::sync::atomic::{AtomicBool, Ordering};

use connect_core::gateway::{InternalUser, Worker};
use hyper::header::HeaderValue;

use crate::login::Login;
use crate::users::Internal;

/// The credentials shared by all units' workers and gateways. Has no `Debug`.
pub struct Internals {
    first: Internal,
    other: Option<Internal>,
    /// Our worker accepted the other one last.
    other_in_use: AtomicBool,
}

impl Internals {
    /// Prepares them; `None` if HTTP basic cannot carry one.
    #[must_use]
    pub fn new(worker: &Worker) -> Option<Self> {
        let other = match &worker.internal_other {
            Some(other) => Some(Internal::new(other)?),
            None => None,
        };
        Some(Self {
            first: Internal::new(&worker.internal)?,
            other,
            other_in_use: AtomicBool::new(false),
        })
    }

    /// Whether the login is one of them.
    #[must_use]
    pub fn check(&self, login: &Login) -> bool {
        let other = self.other.as_ref().is_some_and(|other| other.check(login));
        self.first.check(login) | other
    }

    /// Whether the name is an internal user's, which the client door never lets in.
    #[must_use]
    pub fn is_name(&self, username: &str) -> bool {
        self.first.is_name(username)
            || self
                .other
                .as_ref()
                .is_some_and(|other| other.is_name(username))
    }

    /// All of them, the first one first, as they are presented.
    pub fn all(&self) -> impl Iterator<Item = (InternalUser, &HeaderValue)> {
        let first = (InternalUser::Internal, &self.first.authorization);
        let other = self
            .other
            .iter()
            .map(|other| (InternalUser::InternalOther, &other.authorization));
        std::iter::once(first).chain(other)
    }

    /// Our worker accepted this one.
    pub fn accepted(&self, which: InternalUser) {
        let other = which == InternalUser::InternalOther;
        self.other_in_use.store(other, Ordering::Relaxed);
    }

    /// The one that our worker accepted last; the first one before it accepted any.
    #[must_use]
    pub fn in_use(&self) -> InternalUser {
        if self.other.is_some() && self.other_in_use.load(Ordering::Relaxed) {
            InternalUser::InternalOther
        } else {
            InternalUser::Internal
        }
    }

    /// The credential for our worker.
    #[must_use]
    pub fn for_worker(&self) -> &HeaderValue {
        match (self.in_use(), &self.other) {
            (InternalUser::InternalOther, Some(other)) => &other.authorization,
            _ => &self.first.authorization,
        }
    }

    /// The credential for other units' gateways.
    #[must_use]
    pub fn for_peer(&self) -> &HeaderValue {
        &self.first.authorization
    }

    /// Goes on with the one that our worker accepted before, if it is still one of them.
    pub fn carry_over(&self, before: &Self) {
        let known = before.for_worker();
        if let Some((which, _)) = self.all().find(|(_, header)| *header == known) {
            self.accepted(which);
        }
    }
}

#[cfg(test)]
mod tests {
    use connect_core::gateway::Credential;

    use super::*;

    fn internals(first: &str, other: Option<&str>) -> Internals {
        let credential = |name: &str| Credential {
            username: name.into(),
            password: "p".into(),
        };
        Internals::new(&Worker {
            address: ([127, 0, 0, 1], 1).into(),
            internal: credential(first),
            internal_other: other.map(credential),
        })
        .unwrap()
    }

    #[test]
    fn what_the_worker_accepts_survives_new_settings() {
        let before = internals("old", Some("new"));
        assert_eq!(before.in_use(), InternalUser::Internal);
        let rows = [
            (internals("new", Some("old")), InternalUser::InternalOther),
            (internals("old", Some("new")), InternalUser::Internal),
            (internals("new", None), InternalUser::Internal),
        ];
        for (after, expect) in rows {
            after.carry_over(&before);
            assert_eq!(after.in_use(), expect);
            let presented = if expect == InternalUser::Internal {
                after.for_peer()
            } else {
                before.for_peer()
            };
            assert_eq!(after.for_worker(), presented);
        }
    }
}
