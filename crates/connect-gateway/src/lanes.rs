//! Threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, and so do its requests and the connections
//! to the worker that they use: nothing wakes another thread, which would cost more than the rest of
//! a small request. *Caveat:* connections are dealt out in turn, not by what they cost; one that
//! keeps a thread busy slows down the others there. Slow hashes are computed elsewhere.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The number of this thread; 0 for one that is no lane.
#[must_use]
pub fn here() -> usize {
    HERE.get()
}

/// Until nobody holds the other end: nothing is ever sent.
///
/// A timer that is due before all others makes tokio write to a descriptor of its own, to wake
/// itself up, on every request. One that is always due sooner spares that.
async fn until(mut closed: oneshot::Receiver<()>) {
    while timeout(limits::LANE_TICK, &mut closed).await.is_err() {}
}

struct Lane {
    handle: Handle,
    /// The thread ends when this is dropped.
    _open: oneshot::Sender<()>,
}

/// The lanes; they end when dropped, with whatever they serve.
pub struct Lanes {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl Lanes {
    /// Starts so many.
    ///
    /// # Errors
    /// [`io::Error`] if there can be no thread or runtime more.
    pub fn start(count: usize) -> io::Result<Self> {
        let lane = |number| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (open, closed) = oneshot::channel();
            thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || {
                    HERE.set(number);
                    runtime.block_on(until(closed));
                })?;
            Ok(Lane {
                handle,
                _open: open,
            })
        };
        Ok(Self {
            lanes: (1..=count).map(lane).collect::<io::Result<_>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Serves this on one of them.
    pub fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(lane) = self.lanes.get(turn % self.lanes.len().max(1)) {
            drop(lane.handle.spawn(serving));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_dealt_out_and_ends_with_the_lanes() {
        let lanes = Lanes::start(2).unwrap();
        let mut seen = BTreeSet::new();
        for _ in 0..4 {
            let (tell, told) = oneshot::channel();
            lanes.spawn(async move {
                // It has the clock of its lane.
                tokio::time::sleep(Duration::from_millis(1)).await;
                tell.send(here()).unwrap();
            });
            seen.insert(told.await.unwrap());
        }
        assert_eq!(seen, BTreeSet::from([1, 2]));
        assert_eq!(here(), 0);

        let (never, ended) = oneshot::channel::<()>();
        lanes.spawn(async move {
            let _never = never;
            std::future::pending::<()>().await;
        });
        drop(lanes);
        assert!(ended.await.is_err(), "what was served is gone");
    }
}
