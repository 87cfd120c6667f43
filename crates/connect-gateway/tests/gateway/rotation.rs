//! What units share is replaced under the requests between them: the CA and the internal user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use connect_core::gateway::{Credential, InternalUser};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Ask, Authority, CLIENT, Connection, Gateway, INTERNAL, LIMIT, Worker, until};

const NEXT: &str = "internal-2:the next secret";

fn credential(login: &str) -> Credential {
    let (username, password) = login.split_once(':').unwrap();
    Credential {
        username: username.into(),
        password: password.into(),
    }
}

/// Two units; the first one's worker is away, so what it is asked goes to the second.
struct Two {
    workers: [Worker; 2],
    units: [Gateway; 2],
}

impl Two {
    async fn start(authority: &Authority) -> Self {
        let (away, worker) = (Worker::start().await, Worker::start().await);
        away.set_healthy(false);
        let second = Gateway::prepare(worker.address)
            .with_peer_door(authority)
            .start()
            .await;
        let first = Gateway::prepare(away.address)
            .with_peer_door(authority)
            .with_peer("connect/1", second.peer)
            .open()
            .await;
        Self {
            workers: [away, worker],
            units: [first, second],
        }
    }
}

/// A client that polls through the first unit; no request of it may fail or be repeated.
struct Poller {
    stop: Arc<AtomicBool>,
    polls: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Poller {
    fn start(two: &Two) -> Self {
        let (stop, polls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let (address, stopped, count) =
            (two.units[0].client, Arc::clone(&stop), Arc::clone(&polls));
        let task = tokio::spawn(async move {
            let mut connection = Connection::plain(address).await.unwrap();
            let ask = Ask::new("GET", "/connectors").login(CLIENT);
            while !stopped.load(Ordering::Relaxed) {
                let got = connection.send(&ask).await.unwrap();
                assert_eq!(got.status, 200, "{:?}", got.body);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, polls, task }
    }

    /// Waits until requests that began after now have been answered.
    async fn goes_on(&self) {
        let before = self.polls.load(Ordering::Relaxed);
        until("the client is served", || {
            self.task.is_finished() || self.polls.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ca_is_replaced_under_forwarded_requests() {
    let (old, new) = (Authority::new(), Authority::new());
    let two = Two::start(&old).await;
    let poller = Poller::start(&two);
    poller.goes_on().await;
    for unit in &two.units {
        unit.write_ca(&[&old, &new]);
        unit.until("both are trusted", |state| state.trusted_cas.len() == 2)
            .await;
    }
    poller.goes_on().await;
    for unit in &two.units {
        let serial = new.issue(unit.peer.ip(), unit.directory.path(), "peer");
        unit.until("the new certificate is presented", |state| {
            let certificate = state.peer_certificate.as_ref();
            certificate.is_some_and(|certificate| certificate.serial == serial)
        })
        .await;
    }
    poller.goes_on().await;
    for unit in &two.units {
        unit.write_ca(&[&new]);
        unit.until("one is trusted", |state| state.trusted_cas.len() == 1)
            .await;
    }
    poller.goes_on().await;
    poller.stop().await;
    // Certificates of the old one are worth nothing now.
    let began = Instant::now();
    let second = &two.units[1];
    let serial = old.issue(second.peer.ip(), second.directory.path(), "peer");
    second
        .until("the old one is presented", |state| {
            let certificate = state.peer_certificate.as_ref();
            certificate.is_some_and(|certificate| certificate.serial == serial)
        })
        .await;
    // Connections from before stay in use for a while, unless the CA is read again.
    let first = &two.units[0];
    first.write_ca(&[&new]);
    while first.get("/connectors").await.status != 503 {
        assert!(
            began.elapsed() < LIMIT,
            "the old certificate is not accepted"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_internal_user_is_replaced_under_forwarded_requests() {
    let authority = Authority::new();
    let mut two = Two::start(&authority).await;
    let poller = Poller::start(&two);
    poller.goes_on().await;
    // The workers restart with the new one at different times, in between.
    let steps: [(&str, Option<&str>, &[&str], InternalUser); 4] = [
        (INTERNAL, Some(NEXT), &[INTERNAL], InternalUser::Internal),
        (
            NEXT,
            Some(INTERNAL),
            &[INTERNAL],
            InternalUser::InternalOther,
        ),
        (
            NEXT,
            Some(INTERNAL),
            &[NEXT, INTERNAL],
            InternalUser::Internal,
        ),
        (NEXT, None, &[NEXT], InternalUser::Internal),
    ];
    for (first, other, known, takes) in steps {
        two.workers[1].knows(known);
        // One unit is told after the other.
        for unit in &mut two.units {
            unit.settings.worker.internal = credential(first);
            unit.settings.worker.internal_other = other.map(credential);
            let before = unit.state().settings_generation;
            let changed = unit.write_settings();
            if changed {
                unit.until("it is told", |state| state.settings_generation != before)
                    .await;
            }
            poller.goes_on().await;
        }
        two.units[1]
            .until("the worker takes it", |state| {
                state.worker_takes == Some(takes)
            })
            .await;
    }
    poller.stop().await;
    // The old one opens nothing any more, and neither opens the client door.
    let second = &two.units[1];
    let mut peer = Connection::tls(second.peer, second.peer.ip(), authority.client())
        .await
        .unwrap();
    for (login, status) in [(INTERNAL, 401), (NEXT, 200)] {
        let ask = Ask::new("GET", "/?forward=true").login(login);
        assert_eq!(peer.send(&ask).await.unwrap().status, status, "{login}");
        let ask = Ask::new("GET", "/").login(login);
        assert_eq!(second.ask(ask).await.status, 401, "{login}");
    }
}
