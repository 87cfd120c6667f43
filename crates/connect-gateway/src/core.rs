//! What every request looks at: the users, the worker with its peers, and whether it is ready.
//!
//! Each part is replaced as a whole while requests run; a request sees one consistent value of it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connect_core::gateway::Settings;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsConnector;

use crate::backoff::Backoff;
use crate::holds::Holds;
use crate::internal::Internals;
use crate::leaving::Served;
use crate::limits;
use crate::metrics::Metrics;
use crate::slow::Bench;
use crate::upstream::Upstream;
use crate::users::UserTable;

/// What `/health` of our worker said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// 200 since its last start.
    Ready,
    /// No answer, or another one.
    NotReady,
    /// It does not know the internal credential.
    Refused,
}

/// Another unit's gateway.
pub struct Peer {
    /// The unit, for logs.
    pub unit: String,
    /// Its peer door.
    pub upstream: Upstream,
    avoid_until: Mutex<Option<Instant>>,
}

impl Peer {
    /// Leaves the peer alone for a while.
    pub fn avoid(&self, time: Duration) {
        let mut until = self
            .avoid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + time);
    }

    fn avoided(&self) -> bool {
        let until = self
            .avoid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Where requests go, as the settings say.
pub struct Backend {
    /// Our own worker.
    pub worker: Upstream,
    /// The credentials that it and the peers know.
    pub internal: Internals,
    /// The other units, if the peer door's CA is known.
    pub peers: Vec<Peer>,
    /// Source addresses of the peer door.
    allowed: Vec<IpAddr>,
    /// Addresses that were among them, and until when they still count.
    former: Vec<(IpAddr, Instant)>,
    /// How long one request is retried.
    pub retry_limit: Duration,
}

impl Backend {
    /// Prepares what the settings describe; `None` if the internal credential cannot be sent.
    #[must_use]
    pub fn new(settings: &Settings, connector: Option<&TlsConnector>) -> Option<Self> {
        let peers = connector.into_iter().flat_map(|connector| {
            settings.peers.iter().map(|peer| Peer {
                unit: peer.unit.clone(),
                upstream: Upstream::tls(peer.address, connector.clone()),
                avoid_until: Mutex::default(),
            })
        });
        let allowed = settings.peer_door.iter().flat_map(|door| &door.allowed);
        Some(Self {
            worker: Upstream::plain(settings.worker.address),
            internal: Internals::new(&settings.worker)?,
            peers: peers.collect(),
            allowed: allowed.map(IpAddr::to_canonical).collect(),
            former: Vec::new(),
            retry_limit: Duration::from_millis(settings.retry_limit_ms),
        })
    }

    /// Whether the address may come in by the peer door. One that left the list still may for
    /// [`limits::FORMER_PEER`]: a unit that is being removed hands over what its clients send it
    /// until it is gone, and the others hear of its going first.
    #[must_use]
    pub fn lets_in(&self, address: IpAddr, now: Instant) -> bool {
        let still = |&(former, until): &_| former == address && now < until;
        self.allowed.contains(&address) || self.former.iter().any(still)
    }

    /// Remembers who was let in before and is not any more.
    fn remember(&mut self, before: &Self, now: Instant) {
        let left = before.allowed.iter();
        let left = left.map(|&address| (address, now + limits::FORMER_PEER));
        let known = before.former.iter().copied();
        self.former = left
            .chain(known)
            .filter(|(address, until)| now < *until && !self.allowed.contains(address))
            .collect();
    }

    /// A peer that has not failed lately.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peers.iter().find(|peer| !peer.avoided())
    }
}

/// Shared by all requests.
pub struct Core {
    backend: watch::Sender<Arc<Backend>>,
    users: watch::Sender<Arc<UserTable>>,
    health: watch::Sender<(Health, u64)>,
    /// Wakes whoever polls the worker's `/health`.
    pub check_health: Notify,
    /// What is counted.
    pub metrics: Metrics,
    /// Writes that wait.
    pub holds: Holds,
    /// When clients were served.
    pub served: Served,
    /// Failed logins.
    pub backoff: Backoff,
    /// Where slow password hashes are computed.
    pub bench: Bench,
    /// Places for large bodies held in memory.
    pub large_bodies: Semaphore,
    /// Places for lists of connectors held in memory.
    pub listings: Semaphore,
}

impl Core {
    /// Nobody may come in yet and the worker is not ready.
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        Self {
            backend: watch::Sender::new(Arc::new(backend)),
            users: watch::Sender::new(Arc::default()),
            health: watch::Sender::new((Health::NotReady, 0)),
            check_health: Notify::new(),
            metrics: Metrics::default(),
            holds: Holds::default(),
            served: Served::default(),
            backoff: Backoff::default(),
            bench: Bench::default(),
            large_bodies: Semaphore::new(limits::LARGE_BODIES_AT_ONCE),
            listings: Semaphore::new(limits::LISTINGS_AT_ONCE),
        }
    }

    /// Where requests go now.
    #[must_use]
    pub fn backend(&self) -> Arc<Backend> {
        Arc::clone(&self.backend.borrow())
    }

    /// Sends requests somewhere else from now on. Another worker has to prove that it is ready.
    pub fn set_backend(&self, mut backend: Backend) {
        let before = self.backend();
        backend.remember(&before, Instant::now());
        let moved = before.worker.address() != backend.worker.address();
        backend.internal.carry_over(&before.internal);
        self.backend.send_replace(Arc::new(backend));
        if moved {
            self.not_ready();
        }
        self.check_health.notify_one();
    }

    /// Who may come in now.
    #[must_use]
    pub fn users(&self) -> Arc<UserTable> {
        Arc::clone(&self.users.borrow())
    }

    /// Lets these users in, and nobody else, from now on.
    pub fn set_users(&self, mut users: UserTable) {
        users.remember(&self.users.borrow());
        self.users.send_replace(Arc::new(users));
    }

    /// What `/health` said last.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.borrow().0
    }

    /// Follows [`Core::health`].
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<(Health, u64)> {
        self.health.subscribe()
    }

    /// The worker was seen not serving: it counts again only after a `/health` asked from now on.
    pub fn not_ready(&self) {
        self.health.send_modify(|(health, epoch)| {
            *health = Health::NotReady;
            *epoch += 1;
        });
        self.check_health.notify_one();
    }

    /// How often the worker was seen not serving; for [`Core::set_health`].
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.health.borrow().1
    }

    /// Records an answer to a `/health` that was asked in `epoch`; an outdated one is dropped.
    pub fn set_health(&self, found: Health, epoch: u64) {
        self.health.send_if_modified(|(health, now)| {
            let changed = *now == epoch && *health != found;
            if changed {
                *health = found;
            }
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(allowed: &[&str]) -> Backend {
        let settings = serde_json::json!({
            "client_door": {"listen": []},
            "peer_door": {
                "listen": [], "certificate_file": "", "key_file": "", "ca_file": "",
                "allowed": allowed,
            },
            "worker": {
                "address": "127.0.0.1:1",
                "internal": {"username": "a", "password": "b"},
            },
            "peers": [],
            "retry_limit_ms": 1,
            "users_file": "",
            "state_file": "",
        });
        let settings = serde_json::from_value(settings).unwrap();
        Backend::new(&settings, None).unwrap()
    }

    #[test]
    fn who_leaves_the_list_is_let_in_for_a_while_longer() {
        let start = Instant::now();
        let limit = limits::FORMER_PEER.as_secs();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        let [stays, leaves, strange] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let first = backend(&[stays, leaves]);
        let mut second = backend(&[stays]);
        second.remember(&first, start);
        // Other new settings do not make it any longer.
        let mut third = backend(&[stays]);
        third.remember(&second, seconds(40));
        for (address, at, expect) in [
            (stays, 0, true),
            (stays, 3600, true),
            (leaves, limit - 1, true),
            (leaves, limit + 1, false),
            (strange, 0, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            for backend in [&second, &third] {
                let found = backend.lets_in(address, seconds(at));
                assert_eq!(found, expect, "{address} after {at} s");
            }
        }
        // Who comes back is as good as new, and what ended is forgotten.
        let mut back = backend(&[stays, leaves]);
        back.remember(&third, seconds(50));
        assert_eq!(back.former, []);
        let mut later = backend(&[stays]);
        later.remember(&third, seconds(limit + 1));
        assert_eq!(later.former, []);
    }
}
