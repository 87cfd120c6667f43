//! A unit that is being removed serves clients until they ask the others.
//!
//! Clients hear of it in a hook of theirs, once the leader has shortened their endpoints; the leader
//! may be busy, or gone. One that asks less often than every [`limits::LEAVE_IDLE`] is not waited for
//! longer than that.

use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;
use tokio::time::{Instant, sleep_until};

use crate::limits;

/// When a client was last served.
#[derive(Debug, Default)]
pub struct Served(Mutex<Option<Instant>>);

impl Served {
    /// Counts an answer at the client door: not a refused login, nor one that nobody could serve.
    pub fn note(&self, status: StatusCode) {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
        if !refused.contains(&status) && !status.is_server_error() {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(Instant::now());
        }
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no client has been served for [`limits::LEAVE_IDLE`] from now on; false if that
    /// takes beyond [`limits::LEAVE`].
    pub async fn idle(&self) -> bool {
        let began = Instant::now();
        let over = began + limits::LEAVE;
        loop {
            let since = self.last().map_or(began, |last| last.max(began));
            let idle = since + limits::LEAVE_IDLE;
            if idle <= Instant::now() {
                return true;
            }
            if Instant::now() >= over {
                return false;
            }
            sleep_until(idle.min(over)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_once_clients_are_gone_and_not_never() {
        let served = Served::default();
        served.note(StatusCode::OK);
        tokio::time::advance(limits::LEAVE_IDLE).await;
        let started = Instant::now();
        assert!(served.idle().await);
        assert_eq!(started.elapsed(), limits::LEAVE_IDLE, "they may come late");

        let comes = async |every, statuses: &[StatusCode]| {
            for status in statuses {
                tokio::time::sleep(every).await;
                served.note(*status);
            }
        };
        let some = limits::LEAVE_IDLE / 5;
        let started = Instant::now();
        let refused = [
            StatusCode::NOT_FOUND,
            StatusCode::UNAUTHORIZED,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let (idle, ()) = tokio::join!(served.idle(), comes(some, &refused));
        assert!(idle);
        assert_eq!(started.elapsed(), some + limits::LEAVE_IDLE);

        let started = Instant::now();
        let stays = vec![StatusCode::OK; 1000];
        tokio::select! {
            idle = served.idle() => assert!(!idle),
            () = comes(some, &stays) => panic!("it goes on"),
        }
        assert_eq!(started.elapsed(), limits::LEAVE);
    }
}
