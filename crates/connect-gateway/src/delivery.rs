//! Delivering one request with patience: to our worker once it is ready, else to another unit's
//! gateway, again if it provably was not applied, and never for longer than the retry limit.
//!
//! *Guarantee:* a request that changes something is sent again only after an answer or a failure
//! that proves it was not applied. *Caveat:* when a connection breaks in the middle of such a
//! request, nobody knows what became of it, and the answer says so.

use std::error::Error as _;
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::body::{Body, collect, stream, whole};
use crate::core::{Backend, Core, Health, Peer};
use crate::limits;
use crate::reply::{self, HOP, WAITED};
use crate::target::Target;
use crate::upstream::{SendError, Upstream};
use crate::verdict::{self, Verdict};

/// The body of a request to deliver.
#[derive(Debug)]
pub enum Payload {
    /// Held, so it can be sent again.
    Held(Bytes),
    /// Passing through, so it can be sent once.
    Passing(Incoming),
    /// Passing through and already sent.
    Gone,
}

/// A request to deliver: headers stripped of what belongs to the connection or to the gateway.
#[derive(Debug)]
pub struct Outbound {
    /// Method.
    pub method: Method,
    /// What it is aimed at.
    pub target: Target,
    /// End-to-end headers.
    pub headers: HeaderMap,
    /// Body.
    pub payload: Payload,
}

/// The answer to a request.
pub struct Answer {
    /// Status and headers, stripped of what belongs to the connection.
    pub head: hyper::http::response::Parts,
    /// Body.
    pub body: AnswerBody,
}

/// The body of an answer.
pub enum AnswerBody {
    /// Read whole, because it had to be judged.
    Whole(Bytes),
    /// Passing through.
    Passing(Incoming),
}

impl Answer {
    /// The answer as it goes on to the client.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let body = match self.body {
            AnswerBody::Whole(bytes) => whole(bytes),
            AnswerBody::Passing(incoming) => stream(incoming, u64::MAX),
        };
        Response::from_parts(self.head, body)
    }

    fn own(response: Response<()>, text: Bytes) -> Self {
        let (head, ()) = response.into_parts();
        Self {
            head,
            body: AnswerBody::Whole(text),
        }
    }

    /// An error the gateway makes itself.
    #[must_use]
    pub fn error(status: StatusCode, message: &str) -> Self {
        let (head, _) = reply::error(status, message).into_parts();
        let text = serde_json::json!({ "error_code": status.as_u16(), "message": message });
        Self::own(
            Response::from_parts(head, ()),
            Bytes::from(text.to_string()),
        )
    }
}

/// Why a try has no answer to pass on.
enum Failure {
    /// Not sent, or refused in a way that proves it was not applied; perhaps with the answer.
    NotApplied(String, Option<Answer>),
    /// Perhaps applied.
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
        }
    }

    /// Delivers with all the patience the settings allow, over peers too.
    pub async fn patiently(&mut self, mut outbound: Outbound) -> Answer {
        let repeatable = verdict::changes_nothing(&outbound.method, outbound.target.route);
        let mut last = None;
        let mut health = self.core.watch_health();
        loop {
            let backend = self.core.backend();
            let deadline = self.started + backend.retry_limit;
            let began = Instant::now();
            health.mark_unchanged();
            let failure = if self.core.health() == Health::Ready {
                self.peer = None;
                match self.try_worker(&backend, &mut outbound, repeatable).await {
                    Ok(answer) => return self.stamped(answer),
                    Err(failure) => failure,
                }
            } else if let Some(peer) = backend.peer() {
                self.peer = Some(peer.unit.clone());
                match self
                    .try_peer(&backend, peer, &mut outbound, repeatable)
                    .await
                {
                    Ok(answer) => return self.stamped(answer),
                    Err(failure) => failure,
                }
            } else {
                Failure::NotApplied("the worker is not ready".into(), None)
            };
            let once = matches!(outbound.payload, Payload::Gone);
            match failure {
                Failure::Unknown(status, message) if !repeatable || once => {
                    return self.stamped(Answer::error(status, &message));
                }
                Failure::Unknown(status, message) => {
                    last = Some(Answer::error(status, &message));
                    tracing::debug!(%message, "retrying");
                }
                Failure::NotApplied(message, answer) => {
                    tracing::debug!(%message, "retrying");
                    last = answer.or_else(|| last.filter(|_| once));
                    if once {
                        return self.exhausted(last, &message);
                    }
                    if Instant::now() + limits::RETRY_PAUSE >= deadline {
                        sleep(deadline.saturating_duration_since(Instant::now())).await;
                        self.waited += began.elapsed();
                        return self.exhausted(last, &message);
                    }
                }
            }
            if Instant::now() >= deadline {
                self.waited += began.elapsed();
                return self.exhausted(last, "the worker does not answer");
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

    /// Delivers to our own worker only: waits for it up to `hold`, then tries once.
    pub async fn once(&mut self, mut outbound: Outbound, hold: Duration) -> Answer {
        let mut health = self.core.watch_health();
        let ready = health.wait_for(|(health, _)| *health == Health::Ready);
        let ready = timeout_at(self.started + hold, ready).await.is_ok();
        self.waited = self.started.elapsed();
        if !ready {
            return self.exhausted(None, "the worker is not ready");
        }
        let backend = self.core.backend();
        match self.try_worker(&backend, &mut outbound, false).await {
            Ok(answer) => answer,
            Err(Failure::NotApplied(message, answer)) => self.exhausted(answer, &message),
            Err(Failure::Unknown(status, message)) => Answer::error(status, &message),
        }
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

    async fn try_worker(
        &mut self,
        backend: &Backend,
        outbound: &mut Outbound,
        reuse: bool,
    ) -> Result<Answer, Failure> {
        match self
            .attempt(backend, &backend.worker, outbound, reuse, false)
            .await
        {
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
            Ok((_, Verdict::NotServing)) => {
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
    ) -> Result<Answer, Failure> {
        match self
            .attempt(backend, &peer.upstream, outbound, reuse, true)
            .await
        {
            Ok((answer, Verdict::Final)) => Ok(answer),
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
        let response = upstream
            .send(request, reuse, limits::FIRST_BYTE_TIMEOUT)
            .await?;
        let answer = read(response, upstream).await?;
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
                answer.head.status != StatusCode::UNAUTHORIZED && verdict::is_connect_error(bytes)
            }
            AnswerBody::Passing(_) => true,
        });
        let answer = telling.unwrap_or_else(|| {
            let waited = self.waited.as_secs_f32();
            let message = format!("cannot deliver the request: {message} (waited {waited:.1} s)");
            Answer::error(StatusCode::SERVICE_UNAVAILABLE, &message)
        });
        self.stamped(answer)
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
    let mut message = error.to_string();
    if let Some(source) = error.source() {
        tracing::debug!(%message, %source, "request failed");
    }
    let status = match error {
        SendError::Connect { .. } => return Failure::NotApplied(message, None),
        SendError::Broken { .. } | SendError::Truncated { .. } => StatusCode::BAD_GATEWAY,
        SendError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
    };
    message.push_str(": the request may have been applied, read before repeating it");
    Failure::Unknown(status, message)
}

fn failed(failure: &Failure) -> Answer {
    match failure {
        Failure::NotApplied(message, _) => Answer::error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("cannot deliver the request: {message}"),
        ),
        Failure::Unknown(status, message) => Answer::error(*status, message),
    }
}

/// The request as it is sent; `Err` with the answer if it cannot be made.
fn request(
    outbound: &mut Outbound,
    upstream: &Upstream,
    credential: Option<&HeaderValue>,
) -> Result<Request<Body>, Box<Answer>> {
    let refused = |what: &str| Box::new(Answer::error(StatusCode::BAD_REQUEST, what));
    let uri = hyper::Uri::try_from(outbound.target.to_path_and_query())
        .map_err(|_| refused("cannot use the request target"))?;
    let mut headers = outbound.headers.clone();
    let body = match std::mem::replace(&mut outbound.payload, Payload::Gone) {
        Payload::Held(bytes) => {
            outbound.payload = Payload::Held(bytes.clone());
            if !bytes.is_empty()
                || matches!(outbound.method, Method::POST | Method::PUT | Method::PATCH)
            {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
            whole(bytes)
        }
        Payload::Passing(incoming) => {
            if let Some(length) = incoming.size_hint().exact() {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            stream(incoming, limits::STREAM_BODY_BYTES)
        }
        Payload::Gone => return Err(refused("cannot send a streamed request again")),
    };
    if let Some(credential) = credential {
        headers.insert(AUTHORIZATION, credential.clone());
    }
    if !headers.contains_key(HOST) {
        let host = HeaderValue::try_from(upstream.address().to_string());
        headers.insert(HOST, host.map_err(|_| refused("cannot name the worker"))?);
    }
    let mut request = Request::new(body);
    *request.method_mut() = outbound.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Takes an answer in, reading the body of those that have to be judged.
async fn read(response: Response<Incoming>, upstream: &Upstream) -> Result<Answer, SendError> {
    let (mut head, body) = response.into_parts();
    let length = head.headers.get(CONTENT_LENGTH).cloned();
    reply::strip_hop_by_hop(&mut head.headers);
    let body = if verdict::needs_body(head.status) {
        let address = upstream.address();
        head.headers.remove(CONTENT_LENGTH);
        let bytes = collect(body, limits::JUDGED_ANSWER_BYTES).await;
        AnswerBody::Whole(bytes.map_err(|source| SendError::Truncated { address, source })?)
    } else {
        if let Some(length) = length {
            head.headers.insert(CONTENT_LENGTH, length);
        }
        AnswerBody::Passing(body)
    };
    Ok(Answer { head, body })
}
