//! Writes wait while a worker of the group stops.
//!
//! A record that reaches the config topic while a worker shuts down makes it take 24 s instead of
//! 2: its herder waits for the topic's reader, which waits for the herder, until a limit ends both
//! (measured with Kafka 4.1). Its tasks run nowhere meanwhile. So before a worker is stopped, its
//! unit asks every gateway of the group to hold writes ([`crate::quiet`]), and lets them go on as
//! soon as the worker is gone. A hold ends by itself after [`limits::HOLD`], whatever became of
//! whoever asked for it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits;

/// Who holds writes back, and which are under way.
#[derive(Debug)]
pub struct Holds(watch::Sender<Now>);

#[derive(Debug, Default)]
struct Now {
    /// The unit that asked, by its address, and when its hold ends by itself.
    holds: Vec<(IpAddr, Instant)>,
    under_way: usize,
    /// When the last write ended.
    ended: Option<Instant>,
}

impl Now {
    /// When the last of the holds ends; none if nothing is held.
    fn held_until(&self, now: Instant) -> Option<Instant> {
        let ends = self.holds.iter().map(|&(_, end)| end);
        ends.max().filter(|&end| now < end)
    }
}

/// A write that is under way; it has ended when dropped.
#[derive(Debug)]
pub struct Write<'a>(&'a Holds);

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|now| {
            now.under_way -= 1;
            now.ended = Some(Instant::now());
        });
    }
}

impl Default for Holds {
    fn default() -> Self {
        Self(watch::Sender::new(Now::default()))
    }
}

impl Holds {
    /// Holds the writes that come from now on, for the unit at this address.
    pub fn hold(&self, unit: IpAddr) {
        let end = Instant::now() + limits::HOLD;
        self.0.send_modify(|now| {
            now.holds.retain(|&(by, _)| by != unit);
            now.holds.push((unit, end));
        });
    }

    /// Ends the unit's hold.
    pub fn release(&self, unit: IpAddr) {
        self.0
            .send_modify(|now| now.holds.retain(|&(by, _)| by != unit));
    }

    /// Whether a unit holds writes back now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.borrow().held_until(Instant::now()).is_some()
    }

    /// Waits until no unit holds writes back; `None` if that takes beyond the deadline.
    pub async fn pass(&self, deadline: Instant) -> Option<Write<'_>> {
        let mut news = self.0.subscribe();
        loop {
            let mut held = None;
            self.0.send_if_modified(|now| {
                held = now.held_until(Instant::now());
                if held.is_none() {
                    now.under_way += 1;
                }
                // Nobody waits for a write to begin.
                false
            });
            let Some(end) = held else {
                return Some(Write(self));
            };
            if Instant::now() >= deadline {
                return None;
            }
            // News or its end: both are looked at above.
            let _ = timeout_at(end.min(deadline), news.changed()).await;
        }
    }

    /// A write that the worker of this unit sends the one that leads the group: what follows from a
    /// connector's change. It waits until no unit holds writes back, or the holds are over; not if its
    /// own unit does, for a worker that stops waits for what it sent.
    pub async fn pass_worker(&self, unit: IpAddr) -> Write<'_> {
        let end = Instant::now() + limits::HOLD;
        let mut news = self.0.subscribe();
        loop {
            let held = {
                let now = news.borrow_and_update();
                let own = now.holds.iter().any(|&(by, _)| by == unit);
                now.held_until(Instant::now()).filter(|_| !own)
            };
            let Some(until) = held.filter(|_| Instant::now() < end) else {
                break;
            };
            // News or its end: both are looked at above.
            let _ = timeout_at(until.min(end), news.changed()).await;
        }
        self.0.send_modify(|now| now.under_way += 1);
        Write(self)
    }

    /// Waits until no write is under way and none has ended for [`limits::QUIET`]; false if that
    /// takes beyond [`limits::HOLD_DRAIN`].
    pub async fn quiet(&self) -> bool {
        let mut news = self.0.subscribe();
        let quiet = async {
            loop {
                let (under_way, ended) = {
                    let now = news.borrow_and_update();
                    (now.under_way, now.ended)
                };
                let left = ended.map_or(Duration::ZERO, |ended| {
                    limits::QUIET.saturating_sub(ended.elapsed())
                });
                if under_way > 0 {
                    // A sender lives as long as this: it cannot fail.
                    let _ = news.changed().await;
                } else if left.is_zero() {
                    return;
                } else {
                    let _ = timeout(left, news.changed()).await;
                }
            }
        };
        timeout(limits::HOLD_DRAIN, quiet).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    async fn passes(holds: &Holds, within: Duration) -> bool {
        holds.pass(Instant::now() + within).await.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_waits_for_every_unit_that_holds_it() {
        let holds = Holds::default();
        let moment = Duration::from_millis(100);
        assert!(passes(&holds, Duration::ZERO).await, "nobody holds it");
        holds.hold(ONE);
        holds.hold(TWO);
        holds.release(TWO);
        assert!(!passes(&holds, moment).await);
        holds.hold(TWO);
        let started = Instant::now();
        let waiting = holds.pass(started + limits::HOLD);
        let released = async {
            holds.release(ONE);
            tokio::time::sleep(moment).await;
            holds.release(TWO);
        };
        let (passed, ()) = tokio::join!(waiting, released);
        assert!(passed.is_some());
        assert_eq!(started.elapsed(), moment);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_worker_sends_waits_for_the_others_and_not_for_ever() {
        let holds = Holds::default();
        let moment = Duration::from_millis(100);
        let started = Instant::now();
        drop(holds.pass_worker(ONE).await);
        holds.hold(ONE);
        drop(holds.pass_worker(ONE).await);
        assert_eq!(started.elapsed(), Duration::ZERO);
        let released = async {
            tokio::time::sleep(moment).await;
            holds.release(ONE);
        };
        tokio::join!(holds.pass_worker(TWO), released);
        assert_eq!(started.elapsed(), moment);
        holds.hold(ONE);
        let again = async {
            tokio::time::sleep(limits::HOLD / 2).await;
            holds.hold(ONE);
        };
        let started = Instant::now();
        tokio::join!(holds.pass_worker(TWO), again);
        assert_eq!(started.elapsed(), limits::HOLD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_ends_by_itself_and_can_be_asked_for_anew() {
        let holds = Holds::default();
        holds.hold(ONE);
        tokio::time::advance(limits::HOLD / 2).await;
        holds.hold(ONE);
        tokio::time::advance(limits::HOLD / 2).await;
        assert!(!passes(&holds, Duration::ZERO).await);
        let started = Instant::now();
        assert!(passes(&holds, limits::HOLD).await);
        assert_eq!(started.elapsed(), limits::HOLD / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_waited_for_and_what_follows_it() {
        let holds = Holds::default();
        let started = Instant::now();
        assert!(holds.quiet().await);
        assert_eq!(started.elapsed(), Duration::ZERO, "there was none");
        let write = holds.pass(Instant::now()).await.unwrap();
        holds.hold(ONE);
        let moment = Duration::from_millis(700);
        let ends = async {
            tokio::time::sleep(moment).await;
            drop(write);
            // The new configurations of a connector's tasks, which the unit itself sends.
            tokio::time::sleep(moment).await;
            let of_worker = holds.pass_worker(ONE).await;
            tokio::time::sleep(moment).await;
            drop(of_worker);
        };
        let (quiet, ()) = tokio::join!(holds.quiet(), ends);
        assert!(quiet);
        assert_eq!(started.elapsed(), 3 * moment + limits::QUIET);
        // One that does not end is not waited for longer than it is worth.
        holds.release(ONE);
        let _endless = holds.pass(Instant::now()).await.unwrap();
        let started = Instant::now();
        assert!(!holds.quiet().await);
        assert_eq!(started.elapsed(), limits::HOLD_DRAIN);
    }
}
