//! One request from its head to its log line: what both doors have in common.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::body::{Body, BodyError, collect, discard};
use crate::core::Core;
use crate::delivery::{Answer, Delivery, Payload};
use crate::login::Login;
use crate::reply;
use crate::target::{Target, TargetError};
use crate::users::Check;
use crate::{client, limits, log, peer};

/// Which door a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Clients and operators.
    Client,
    /// Other units' workers and gateways.
    Peer,
    /// Whoever collects metrics.
    Metrics,
}

impl Door {
    /// The door's name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Peer => "peer",
            Self::Metrics => "metrics",
        }
    }
}

/// What the log says of a request besides its status.
#[derive(Debug, Default)]
pub struct Entry {
    /// Who; empty before authentication.
    pub user: String,
    /// The owner tag of a client's user.
    pub client: Option<String>,
    /// What it was aimed at, once parsed.
    pub target: Option<Target>,
    /// The connector, if the body and not the path names it.
    pub connector: Option<String>,
    /// Requests sent to workers.
    pub tries: u32,
    /// Milliseconds waited and retried.
    pub waited_ms: u64,
    /// The unit that served it, if not ours.
    pub via: Option<String>,
}

impl Entry {
    /// Takes over what the delivery found.
    pub fn delivered(&mut self, delivery: &Delivery<'_>) {
        self.tries = delivery.tries;
        self.waited_ms = u64::try_from(delivery.waited.as_millis()).unwrap_or(u64::MAX);
        self.via.clone_from(&delivery.peer);
    }
}

/// A refusal: the status and what to say.
pub struct Refusal(pub StatusCode, pub String);

impl Refusal {
    /// A refusal with a fixed text.
    #[must_use]
    pub fn new(status: StatusCode, message: &str) -> Self {
        Self(status, message.to_owned())
    }
}

impl From<TargetError> for Refusal {
    fn from(error: TargetError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Stalled => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal(status, message): Refusal) -> Self {
        Self::error(status, &message)
    }
}

/// Answers one request and logs it.
pub async fn serve(
    core: Arc<Core>,
    door: Door,
    remote: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let method = request.method().clone();
    let mut entry = Entry::default();
    let response = match door {
        Door::Client => client::answer(&core, remote, request, &mut entry).await,
        Door::Peer => peer::answer(&core, remote, request, &mut entry).await,
        Door::Metrics => return core.metrics.answer(&request),
    };
    if door == Door::Client {
        core.served.note(response.status());
    }
    core.metrics
        .answered(door, &method, &entry, response.status(), started.elapsed());
    write_line(door, remote, &method, &entry, response.status(), started);
    response
}

/// One line per request. Nothing in it comes from a body, a header or the query, except the names
/// of user and connector.
fn write_line(
    door: Door,
    remote: IpAddr,
    method: &Method,
    entry: &Entry,
    status: StatusCode,
    started: Instant,
) {
    let route = entry
        .target
        .as_ref()
        .map_or("-", |target| target.route.template());
    let connector = entry.target.as_ref().and_then(Target::connector);
    let connector = entry.connector.as_deref().or(connector);
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($target:expr, $text:literal) => {
            tracing::info!(
                target: $target,
                door = door.name(),
                address = %remote,
                user = entry.user,
                client = entry.client.as_deref(),
                method = method.as_str(),
                route,
                connector,
                status = status.as_u16(),
                duration_ms,
                waited_ms = entry.waited_ms,
                tries = entry.tries,
                via = entry.via.as_deref(),
                $text
            )
        };
    }
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if reads && !matches!(status.as_u16(), 401 | 403 | 429) {
        line!(log::ACCESS, "request");
    } else {
        line!("audit", "request");
    }
}

/// Checks the credentials without telling how far they were right; late answers to guessers.
///
/// # Errors
/// The response to send instead.
pub async fn authenticate<T>(
    core: &Core,
    remote: IpAddr,
    headers: &HeaderMap,
    check: impl Fn(&Login) -> Check<T>,
) -> Result<T, Response<Body>>
where
    T: Send + 'static,
{
    let began = Instant::now();
    let Some(login) = Login::of(headers) else {
        return Err(reply::unauthorized());
    };
    let busy = || reply::error(StatusCode::TOO_MANY_REQUESTS, reply::BUSY);
    if core.backoff.is_busy(remote, &login.username) {
        return Err(busy());
    }
    let known = match check(&login) {
        Check::Right(known) => Some(known),
        Check::Wrong => None,
        Check::Slow(work) => core.bench.work(work).await.ok_or_else(busy)?,
    };
    if let Some(known) = known {
        return Ok(known);
    }
    let floor = if core.users().has_slow() {
        limits::FAILED_LOGIN_TIME.saturating_sub(began.elapsed())
    } else {
        Duration::ZERO
    };
    match core.backoff.failed(remote, &login.username, Instant::now()) {
        Some(delayed) => {
            tokio::time::sleep(delayed.wait.max(floor)).await;
            Err(reply::unauthorized())
        }
        None => Err(busy()),
    }
}

/// Refuses requests that two servers could read in different ways, and parses the target.
///
/// # Errors
/// [`Refusal`] with 400, 405 or 417.
pub fn examine(request: &Request<Incoming>) -> Result<Target, Refusal> {
    let bad = |text| Err(Refusal::new(StatusCode::BAD_REQUEST, text));
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "cannot serve this method",
        ));
    }
    let uri = request.uri();
    if uri.scheme().is_some() || uri.authority().is_some() {
        return bad("cannot use a request target that is not a path");
    }
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let known = host
                .to_str()
                .ok()
                .and_then(|host| host.parse::<hyper::http::uri::Authority>().ok());
            if known.is_none_or(|host| host.as_str().contains('@')) {
                return bad("cannot read the `Host` header");
            }
        }
        (None, _) if request.version() == Version::HTTP_10 => {}
        (None, _) => return bad("cannot serve a request without `Host` header"),
        (Some(_), Some(_)) => return bad("cannot serve a request with two `Host` headers"),
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding
            .to_str()
            .is_ok_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
        if !chunked || codings.next().is_some() {
            return bad("cannot read this `Transfer-Encoding`");
        }
    }
    let expect = headers.get(hyper::header::EXPECT);
    if expect.is_some_and(|expect| !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        let text = "cannot meet this expectation";
        return Err(Refusal::new(StatusCode::EXPECTATION_FAILED, text));
    }
    Ok(Target::parse(uri.path(), uri.query())?)
}

/// The body as it is sent on: small ones are held, so that they can be sent again.
///
/// # Errors
/// [`Refusal`] with 413 if it says that it is too large, and as [`collect`].
pub async fn payload(body: Incoming) -> Result<Payload, Refusal> {
    use hyper::body::Body as _;
    let size = body.size_hint();
    if size.lower() > limits::STREAM_BODY_BYTES {
        discard(body).await;
        return Err(BodyError::TooLarge(limits::STREAM_BODY_BYTES).into());
    }
    let small = size
        .upper()
        .is_some_and(|upper| upper <= limits::HELD_BODY_BYTES as u64);
    if small {
        return Ok(Payload::Held(collect(body, limits::HELD_BODY_BYTES).await?));
    }
    Ok(Payload::Passing(body))
}

/// A body with a configuration, whole. Few large ones are held at a time.
///
/// # Errors
/// [`Refusal`] with 413, 415, 408 or 400.
pub async fn config_body(
    core: &Core,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<hyper::body::Bytes, Refusal> {
    use hyper::body::Body as _;
    let coding = headers.get(hyper::header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let text = "cannot read a compressed body";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let size = body.size_hint();
    let large = size
        .upper()
        .is_none_or(|upper| upper > limits::HELD_BODY_BYTES as u64);
    let _place = if large {
        core.large_bodies.acquire().await.ok()
    } else {
        None
    };
    Ok(collect(body, limits::CONFIG_BODY_BYTES).await?)
}
