//! Delivering one request with patience: to our worker once it is ready, else to another unit's
//! gateway, again if it provably was not applied, and never for longer than the retry limit.
//!
//! *Guarantee:* a request that changes something is sent again only after an answer, a failure or
//! a look at the connector that proves it was not applied. *Caveat:* when a connection breaks in
//! the middle of such a request and reading back does not tell, the answer says so.

use std::error::Error as _;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::core::{Backend, Core, Health, Peer};
pub use crate::exchange::{Answer, AnswerBody, Outbound, Payload};
use crate::exchange::{read, request};
use crate::limits;
use crate::readback::{Found, Wish};
use crate::reply::{HOP, NOT_TAKEN, WAITED};
use crate::upstream::{SendError, Upstream};
use crate::verdict::{self, Verdict};

/// Why a try has no answer to pass on.
enum Failure {
    /// Not sent, or refused in a way that proves it was not applied; perhaps with the answer.
    NotApplied(String, Option<Answer>),
    /// Perhaps applied; a worker that was only slow may still apply it (504).
    Unknown(StatusCode, String),
}

/// One client's request on its way, across all the requests it needs to the worker.
pub struct Delivery<'a> {
    core: &'a Core,
    started: Instant,
    /// Number of requests sent.
    pub tries: u32,
    /// Time spent waiting and retrying.
    pub waited: Duration,
    /// The peer that answered, if our worker did not.
    pub peer: Option<String>,
    /// The configuration that a replacement is made for.
    pub before: Option<Bytes>,
}

impl<'a> Delivery<'a> {
    /// Starts the clock.
    #[must_use]
    pub fn new(core: &'a Core) -> Self {
        Self {
            core,
            started: Instant::now(),
            tries: 0,
            waited: Duration::ZERO,
            peer: None,
            before: None,
        }
    }

    /// Delivers with all the patience the settings allow, over peers too.
    pub async fn patiently(&mut self, outbound: Outbound) -> Answer {
        let deadline = self.started + self.core.backend().retry_limit;
        let answer = self.until(deadline, outbound).await;
        self.stamped(answer)
    }

    async fn until(&mut self, deadline: Instant, mut outbound: Outbound) -> Answer {
        let repeatable = verdict::changes_nothing(&outbound.method, outbound.target.route);
        let mut last = None;
        let mut health = self.core.watch_health();
        loop {
            let asked = Instant::now();
            let write = if repeatable {
                None
            } else {
                self.core.holds.pass(deadline).await
            };
            let began = Instant::now();
            self.waited += began - asked;
            if write.is_none() && !repeatable {
                return self.exhausted(last, "a worker of the group is stopping");
            }
            health.mark_unchanged();
            let failure = match self
                .attempt_somewhere(&mut outbound, repeatable, deadline)
                .await
            {
                Ok(answer) => return answer,
                Err(failure) => failure,
            };
            let once = matches!(outbound.payload, Payload::Gone);
            let message = match failure {
                Failure::Unknown(status, message) if !repeatable || once => {
                    match self.find_out(&outbound, deadline, status, &message).await {
                        Some(answer) => {
                            self.waited += began.elapsed();
                            return answer;
                        }
                        None => message,
                    }
                }
                Failure::Unknown(status, message) => {
                    last = Some(Answer::error(status, &message));
                    message
                }
                Failure::NotApplied(message, answer) => {
                    last = answer.or_else(|| last.filter(|_| once));
                    message
                }
            };
            tracing::debug!(%message, "retrying");
            if once || Instant::now() + limits::RETRY_PAUSE >= deadline {
                if !once {
                    sleep(deadline.saturating_duration_since(Instant::now())).await;
                }
                self.waited += began.elapsed();
                return self.exhausted(last, &message);
            }
            // A worker that becomes ready is worth an earlier try; one that just failed is not.
            let pause = Instant::now() + limits::RETRY_PAUSE;
            if self.core.health() == Health::Ready {
                tokio::time::sleep_until(pause).await;
            } else {
                let _ = timeout_at(pause, health.changed()).await;
            }
            self.waited += began.elapsed();
        }
    }

    /// Tries our worker if it counts, else a peer.
    async fn attempt_somewhere(
        &mut self,
        outbound: &mut Outbound,
        reuse: bool,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let backend = self.core.backend();
        if self.core.health() == Health::Ready {
            self.peer = None;
            let leave = reuse && !backend.peers.is_empty();
            self.try_worker(&backend, outbound, reuse, leave, deadline)
                .await
        } else if let Some(peer) = backend.peer() {
            self.peer = Some(peer.unit.clone());
            self.try_peer(&backend, peer, outbound, reuse, deadline)
                .await
        } else {
            Err(Failure::NotApplied("the worker is not ready".into(), None))
        }
    }

    /// The answer to a request whose own got lost; `None` if it may be sent again.
    async fn find_out(
        &mut self,
        outbound: &Outbound,
        deadline: Instant,
        status: StatusCode,
        message: &str,
    ) -> Option<Answer> {
        let lost = |what: &str| {
            let text = format!("{message}: the request may have been applied, {what}");
            Some(Answer::error(status, &text))
        };
        let Some(wish) = Wish::of(outbound, self.before.as_deref()) else {
            return lost("look before repeating it");
        };
        self.core.metrics.read_back();
        let found = self.read_back(&wish, deadline).await;
        tracing::info!(
            connector = wish.connector,
            ?found,
            "read back after a lost answer"
        );
        match found {
            // A worker that is only slow may still come to it.
            Found::Untouched if status != StatusCode::GATEWAY_TIMEOUT => None,
            Found::Untouched => lost("but was not so far"),
            Found::Otherwise => lost("but the connector is not as it asks"),
            Found::Unreadable => lost("look before repeating it"),
            Found::Applied => {
                let Some(shown) = wish.shown() else {
                    return Some(Answer::empty(wish.status()));
                };
                let end = deadline.max(Instant::now() + limits::READ_BACK);
                let mut answer = Box::pin(self.until(end, Outbound::reading(shown))).await;
                if answer.head.status == StatusCode::OK {
                    answer.head.status = wish.status();
                } else {
                    let text = format!("{message}: the request was applied");
                    answer = Answer::error(status, &text);
                }
                Some(answer)
            }
        }
    }

    /// Looks at the connector until the request shows, or did not show for a while.
    async fn read_back(&mut self, wish: &Wish, deadline: Instant) -> Found {
        let end = deadline.max(Instant::now() + limits::READ_BACK_UNREADABLE);
        let mut since = None;
        loop {
            let Some(question) = wish.question() else {
                return Found::Unreadable;
            };
            let answer = Box::pin(self.until(end, Outbound::reading(question))).await;
            let status = answer.head.status;
            let found = match answer.whole().await {
                Ok(body) => wish.judge(status, &body),
                Err(_) => Found::Unreadable,
            };
            let now = Instant::now();
            let enough = match found {
                Found::Applied => true,
                Found::Unreadable => now >= end,
                Found::Untouched | Found::Otherwise => {
                    now >= end || now - *since.get_or_insert(now) >= limits::READ_BACK
                }
            };
            if enough {
                return found;
            }
            sleep(limits::RETRY_PAUSE).await;
        }
    }

    /// Delivers to our own worker only: waits for it up to `hold`, then tries once.
    pub async fn once(&mut self, mut outbound: Outbound, hold: Duration) -> Answer {
        let mut health = self.core.watch_health();
        let ready = health.wait_for(|(health, _)| *health == Health::Ready);
        let ready = timeout_at(self.started + hold, ready).await.is_ok();
        self.waited = self.started.elapsed();
        if !ready {
            let answer = self.exhausted(None, "the worker is not ready");
            return self.stamped(answer);
        }
        let backend = self.core.backend();
        // Whoever sent it has a limit of its own, and reads back if it has to.
        let deadline = Instant::now() + limits::FIRST_BYTE_TIMEOUT;
        let leave = verdict::changes_nothing(&outbound.method, outbound.target.route);
        let tried = self.try_worker(&backend, &mut outbound, false, leave, deadline);
        let answer = match tried.await {
            Ok(answer) => answer,
            Err(Failure::NotApplied(message, answer)) => self.exhausted(answer, &message),
            Err(failure) => failed(&failure),
        };
        self.stamped(answer)
    }

    /// Passes a signed request to our own worker as it is: no credential, no waiting, no judging.
    pub async fn signed(&mut self, mut outbound: Outbound) -> Answer {
        let backend = self.core.backend();
        self.tries += 1;
        let request = match request(&mut outbound, &backend.worker, None) {
            Ok(request) => request,
            Err(answer) => return *answer,
        };
        match backend
            .worker
            .send(request, false, limits::FIRST_BYTE_TIMEOUT)
            .await
        {
            Ok(response) => read(response, &backend.worker)
                .await
                .unwrap_or_else(|error| failed(&failure(&error))),
            Err(error) => failed(&failure(&error)),
        }
    }

    /// `leave`: another unit can answer as well, so a worker that stops counting is not waited for.
    /// One that stops may keep its last requests until it is gone.
    async fn try_worker(
        &mut self,
        backend: &Backend,
        outbound: &mut Outbound,
        reuse: bool,
        leave: bool,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut health = self.core.watch_health();
        let tried = self.attempt(backend, &backend.worker, outbound, reuse, false, deadline);
        let tried = tokio::select! {
            biased;
            tried = tried => tried,
            _ = health.wait_for(|(health, _)| *health != Health::Ready), if leave => {
                let message = "the worker stopped counting before it answered";
                return Err(Failure::NotApplied(message.into(), None));
            }
        };
        match tried {
            Ok((answer, Verdict::Final)) => Ok(answer),
            Ok((answer, Verdict::NotApplied)) => {
                if answer.head.status == StatusCode::UNAUTHORIZED {
                    // It may know the other credential.
                    self.core.check_health.notify_one();
                }
                Err(Failure::NotApplied(
                    "the worker did not apply the request".into(),
                    Some(answer),
                ))
            }
            Ok((answer, Verdict::Unknown)) => Err(lost_by("the worker", &answer)),
            // Workers do not speak the mark, so nothing of theirs is judged so.
            Ok((_, Verdict::NotServing | Verdict::NotTaken)) => {
                self.core.not_ready();
                Err(Failure::NotApplied(
                    "the worker is starting or stopping".into(),
                    None,
                ))
            }
            Err(error) => {
                if matches!(error, SendError::Connect { .. }) {
                    self.core.not_ready();
                }
                self.core.check_health.notify_one();
                Err(failure(&error))
            }
        }
    }

    async fn try_peer(
        &mut self,
        backend: &Backend,
        peer: &Peer,
        outbound: &mut Outbound,
        reuse: bool,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        match self
            .attempt(backend, &peer.upstream, outbound, reuse, true, deadline)
            .await
        {
            Ok((answer, Verdict::Final)) => Ok(answer),
            Ok((answer, Verdict::Unknown)) => Err(lost_by(&peer.unit, &answer)),
            Ok((answer, Verdict::NotTaken)) => {
                peer.avoid(limits::PEER_NOT_READY);
                // Why is between the two of us: a client can do nothing about it.
                let status = answer.head.status.as_u16();
                let message = format!("{} did not take the request ({status})", peer.unit);
                Err(Failure::NotApplied(message, None))
            }
            Ok((answer, Verdict::NotApplied | Verdict::NotServing)) => {
                if matches!(answer.head.status.as_u16(), 401 | 403 | 503) {
                    peer.avoid(limits::PEER_NOT_READY);
                }
                let message = format!("the worker of {} did not apply the request", peer.unit);
                Err(Failure::NotApplied(message, Some(answer)))
            }
            Err(error) => {
                peer.avoid(limits::PEER_COOLDOWN);
                Err(failure(&error))
            }
        }
    }

    async fn attempt(
        &mut self,
        backend: &Backend,
        upstream: &Upstream,
        outbound: &mut Outbound,
        reuse: bool,
        hop: bool,
        deadline: Instant,
    ) -> Result<(Answer, Verdict), SendError> {
        self.tries += 1;
        let method = outbound.method.clone();
        let credential = if hop {
            backend.internal.for_peer()
        } else {
            backend.internal.for_worker()
        };
        let mut request = match request(outbound, upstream, Some(credential)) {
            Ok(request) => request,
            Err(answer) => return Ok((*answer, Verdict::Final)),
        };
        if hop {
            request
                .headers_mut()
                .insert(HOP, HeaderValue::from_static("1"));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let first_read = method == Method::GET && self.tries == 1;
        let first_byte = left.min(if first_read {
            limits::FIRST_READ_TIMEOUT
        } else {
            limits::FIRST_BYTE_TIMEOUT
        });
        let answer = async {
            let response = upstream.send(request, reuse, first_byte).await?;
            let taken = !(hop && response.headers().contains_key(NOT_TAKEN));
            Ok((read(response, upstream).await?, taken))
        };
        let address = upstream.address();
        let (answer, taken) = timeout_at(deadline.max(Instant::now()), answer)
            .await
            .unwrap_or(Err(SendError::Timeout { address }))?;
        if !taken {
            return Ok((answer, Verdict::NotTaken));
        }
        let judged = match &answer.body {
            AnswerBody::Whole(bytes) => verdict::judge(&method, answer.head.status, bytes),
            AnswerBody::Passing(_) => Verdict::Final,
        };
        Ok((answer, judged))
    }

    /// The last answer if it says something to a client, else a 503 of our own.
    fn exhausted(&self, last: Option<Answer>, message: &str) -> Answer {
        let telling = last.filter(|answer| match &answer.body {
            AnswerBody::Whole(bytes) => {
                // Those that were not final are about credentials and addresses of our own.
                let ours = matches!(answer.head.status.as_u16(), 401 | 403 | 429);
                !ours && verdict::is_connect_error(bytes)
            }
            AnswerBody::Passing(_) => true,
        });
        telling.unwrap_or_else(|| {
            let waited = self.waited.as_secs_f32();
            let message = format!("cannot deliver the request: {message} (waited {waited:.1} s)");
            Answer::error(StatusCode::SERVICE_UNAVAILABLE, &message)
        })
    }

    fn stamped(&self, mut answer: Answer) -> Answer {
        let milliseconds = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        if milliseconds > 0 {
            answer
                .head
                .headers
                .insert(WAITED, HeaderValue::from(milliseconds));
        }
        answer
    }
}

fn failure(error: &SendError) -> Failure {
    let message = error.to_string();
    if let Some(source) = error.source() {
        tracing::debug!(%message, %source, "request failed");
    }
    let status = match error {
        SendError::Connect { .. } => return Failure::NotApplied(message, None),
        SendError::Broken { .. } | SendError::Truncated { .. } => StatusCode::BAD_GATEWAY,
        SendError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
    };
    Failure::Unknown(status, message)
}

/// Somebody on the way, or the worker that had to apply it, cannot tell whether it was.
fn lost_by(whom: &str, answer: &Answer) -> Failure {
    let status = match answer.head.status {
        StatusCode::GATEWAY_TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let message = format!("{whom} cannot tell what became of the request");
    Failure::Unknown(status, message)
}

fn failed(failure: &Failure) -> Answer {
    match failure {
        Failure::NotApplied(message, _) => Answer::error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("cannot deliver the request: {message}"),
        ),
        Failure::Unknown(status, message) => Answer::error(
            *status,
            &format!("{message}: the request may have been applied, look before repeating it"),
        ),
    }
}
