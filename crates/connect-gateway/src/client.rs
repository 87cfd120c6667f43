//! The client door's rules: who may come in, what is kept from the worker, and the owner's tag.

use std::net::IpAddr;

use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use crate::access::{Entry, Refusal, authenticate, config_body, examine, payload};
use crate::body::Body;
use crate::core::Core;
use crate::delivery::{Answer, AnswerBody, Delivery, Outbound, Payload};
use crate::reply::{HOP, SIGNATURE, strip_request};
use crate::tag;
use crate::target::{Route, Target};
use crate::users::Caller;

/// How often an update starts over because the connector appeared in between.
const RACES: u32 = 3;

/// Answers a request of a client or operator.
pub async fn answer(
    core: &Core,
    remote: IpAddr,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Response<Body> {
    let users = core.users();
    let backend = core.backend();
    let check = |login: &_| {
        let caller = users.check(login);
        // The internal user is not a client, even if a file should list it.
        caller.filter(|caller| !backend.internal.is_name(&caller.name))
    };
    let caller = match authenticate(core, remote, request.headers(), check).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    drop((users, backend));
    entry.user.clone_from(&caller.name);
    let answer = match admit(&request, entry) {
        Err(refusal) => refusal.into(),
        Ok(target) => {
            let mut delivery = Delivery::new(core);
            let (parts, body) = request.into_parts();
            let handled = handle(&mut delivery, core, &caller, target, parts, body, entry).await;
            entry.delivered(&delivery);
            handled.unwrap_or_else(Answer::from)
        }
    };
    answer.into_response()
}

/// Refuses what never comes from a client.
fn admit(request: &Request<Incoming>, entry: &mut Entry) -> Result<Target, Refusal> {
    let target = examine(request)?;
    entry.target = Some(target.clone());
    let forbidden = |text| Err(Refusal::new(StatusCode::FORBIDDEN, text));
    if target.forward() {
        let text = "cannot accept the query parameter `forward` from a client";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
    }
    if request.headers().contains_key(HOP) {
        return forbidden("cannot accept a request between gateways from a client");
    }
    if request.headers().contains_key(SIGNATURE)
        || is_between_workers(request.method(), target.route)
    {
        return forbidden("cannot accept a request between workers from a client");
    }
    if target.route == Route::Unknown {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "HTTP 404 Not Found"));
    }
    Ok(target)
}

/// Whether workers sign this request and nobody else may send it.
#[must_use]
pub fn is_between_workers(method: &Method, route: Route) -> bool {
    (*method == Method::POST && route == Route::Tasks) || route == Route::Fence
}

async fn handle(
    delivery: &mut Delivery<'_>,
    core: &Core,
    caller: &Caller,
    target: Target,
    parts: Parts,
    body: Incoming,
    entry: &mut Entry,
) -> Result<Answer, Refusal> {
    let Parts {
        method,
        mut headers,
        ..
    } = parts;
    let config = match (method.as_str(), target.route) {
        ("POST", Route::Connectors)
        | ("PUT" | "PATCH", Route::Config)
        | ("PUT", Route::Validate) => Some(config_body(core, &headers, body).await?),
        _ => {
            let payload = payload(body).await?;
            strip_request(&mut headers);
            let outbound = Outbound {
                method,
                target,
                headers,
                payload,
            };
            return Ok(delivery.patiently(outbound).await);
        }
    };
    let config = config.unwrap_or_default();
    strip_request(&mut headers);
    let sent = match (method.as_str(), target.route) {
        ("POST", _) => {
            let (tagged, name) = tag::tag_creation(&config, caller.owner.as_deref())?;
            entry.connector = name;
            tagged.into()
        }
        ("PUT", Route::Config) => return replace(delivery, caller, target, headers, &config).await,
        ("PATCH", _) => tag::check_patch(&config)?.into(),
        _ => config,
    };
    let outbound = Outbound {
        method,
        target,
        headers,
        payload: Payload::Held(sent),
    };
    Ok(delivery.patiently(outbound).await)
}

/// `PUT …/config`: an existing connector keeps its tag, a new one is created by `POST`, so that of
/// two clients who want the same name only one gets it.
async fn replace(
    delivery: &mut Delivery<'_>,
    caller: &Caller,
    target: Target,
    headers: HeaderMap,
    config: &Bytes,
) -> Result<Answer, Refusal> {
    let config = tag::read_config(config)?;
    let name = target.connector().unwrap_or_default().to_owned();
    let mut races = 0;
    loop {
        let existing = delivery.patiently(read_request(&name, &headers)).await;
        let (method, target, body, creates) = match existing.head.status {
            StatusCode::OK => {
                let existing = tag::read_config(&whole(existing).await?);
                let owner = existing.ok().as_ref().and_then(tag::owner_of);
                let body = tag::write_config(config.clone(), owner.as_deref())?;
                (Method::PUT, target.clone(), body, false)
            }
            StatusCode::NOT_FOUND => {
                let body = tag::write_creation(&name, config.clone(), caller.owner.as_deref())?;
                (Method::POST, Target::connectors(), body, true)
            }
            _ => return Ok(existing),
        };
        let payload = Payload::Held(body.into());
        let outbound = Outbound {
            method,
            target,
            headers: headers.clone(),
            payload,
        };
        let answer = delivery.patiently(outbound).await;
        let lost =
            creates && answer.head.status == StatusCode::CONFLICT && already_exists(&answer, &name);
        races += 1;
        if !lost || races >= RACES {
            return Ok(answer);
        }
    }
}

fn read_request(name: &str, headers: &HeaderMap) -> Outbound {
    let mut headers = headers.clone();
    headers.remove(CONTENT_TYPE);
    Outbound {
        method: Method::GET,
        target: Target::config_of(name),
        headers,
        payload: Payload::Held(Bytes::new()),
    }
}

async fn whole(answer: Answer) -> Result<Bytes, Refusal> {
    match answer.body {
        AnswerBody::Whole(bytes) => Ok(bytes),
        AnswerBody::Passing(incoming) => {
            let bytes = crate::body::collect(incoming, crate::limits::JUDGED_ANSWER_BYTES).await;
            bytes.map_err(|error| {
                let text = format!("cannot read the connector's present configuration: {error}");
                Refusal(StatusCode::BAD_GATEWAY, text)
            })
        }
    }
}

fn already_exists(answer: &Answer, name: &str) -> bool {
    match &answer.body {
        AnswerBody::Whole(bytes) => serde_json::from_slice::<serde_json::Value>(bytes)
            .ok()
            .and_then(|body| {
                Some(body.get("message")?.as_str()? == format!("Connector {name} already exists"))
            })
            .unwrap_or(false),
        AnswerBody::Passing(_) => false,
    }
}

impl From<tag::TagError> for Refusal {
    fn from(error: tag::TagError) -> Self {
        let status = match error {
            tag::TagError::Shape(..) | tag::TagError::Reserved => StatusCode::BAD_REQUEST,
            tag::TagError::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut text = error.to_string();
        if let tag::TagError::Shape(_, source) = &error {
            // Only the place: the parser's text may quote the body.
            use std::fmt::Write as _;
            let _ = write!(
                text,
                " (line {}, column {})",
                source.line(),
                source.column()
            );
        }
        Self(status, text)
    }
}
