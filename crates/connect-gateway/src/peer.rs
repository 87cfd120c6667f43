//! The peer door's rules: four kinds of request, told apart by what they carry.
//!
//! | Request | Carries | Goes |
//! | --- | --- | --- |
//! | signed by a worker | the signature header, one of the two internal routes | to our worker as it is |
//! | forwarded by a worker | the internal credential and the query parameter `forward` | to our worker, once |
//! | handed over by a gateway | the internal credential and the hop header | to our worker, once |
//! | about the gateways themselves | the internal credential, and one of three paths of our own | nowhere |
//!
//! What the door itself refuses is marked as not taken: the gateway that handed it over tells its
//! client nothing of it and looks for another unit.

use std::net::IpAddr;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use crate::access::{Entry, Refusal, authenticate, examine, payload};
use crate::body::{Body, whole};
use crate::core::Core;
use crate::delivery::{Answer, AnswerBody, Delivery, Outbound};
use crate::limits;
use crate::quiet::Wish;
use crate::reply::{self, HOP, NOT_TAKEN, SIGNATURE, strip_request};
use crate::rules::{Rule, rule};
use crate::target::{Route, Target};
use crate::users::Check;
use crate::verdict;

/// Answers a request of another unit.
pub async fn answer(
    core: &Core,
    remote: IpAddr,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Response<Body> {
    match take(core, remote, request, entry).await {
        Ok(response) => response,
        Err(mut refusal) => {
            let mark = HeaderValue::from_static("1");
            refusal.headers_mut().insert(NOT_TAKEN, mark);
            refusal
        }
    }
}

/// The answer of our worker, or of whatever became of the request on its way there; `Err` with our
/// own if it was not even sent.
async fn take(
    core: &Core,
    remote: IpAddr,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Response<Body>, Response<Body>> {
    if !core.backend().lets_in(remote, Instant::now()) {
        return Err(reply::error(StatusCode::FORBIDDEN, reply::STRANGER));
    }
    let refused = |refusal: Refusal| Answer::from(refusal).into_response();
    let target = examine(&request);
    if let Ok(target) = &target {
        entry.target = Some(target.clone());
        let internal = (request.method().as_str(), target.route);
        let signed = matches!(internal, ("POST", Route::Tasks) | ("PUT", Route::Fence))
            && request.headers().contains_key(SIGNATURE);
        if signed {
            "worker".clone_into(&mut entry.user);
            let sent = signed_request(core, remote, target.clone(), request, entry).await;
            return sent.map_err(refused);
        }
    }
    let backend = core.backend();
    let check = |login: &_| {
        if backend.internal.check(login) {
            Check::Right(())
        } else {
            Check::Wrong
        }
    };
    authenticate(core, remote, request.headers(), check).await?;
    drop(backend);
    "internal".clone_into(&mut entry.user);
    if let Some(wish) = Wish::of(request.method(), request.uri().path()) {
        grant(core, remote, wish).await;
        let mut response = Response::new(whole(""));
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let (target, hold) = target
        .and_then(|target| admit(target, &request))
        .map_err(refused)?;
    let sent = pass(core, target, hold, request, entry).await;
    sent.map_err(refused)
}

/// What a unit wants while its worker stops or it is being removed.
async fn grant(core: &Core, unit: IpAddr, wish: Wish) {
    match wish {
        Wish::Hold => {
            core.holds.hold(unit);
            if !core.holds.quiet().await {
                tracing::warn!(%unit, "a write did not end before a worker stops");
            }
        }
        Wish::Release => core.holds.release(unit),
        Wish::Leave => {
            if !core.served.idle().await {
                tracing::warn!("clients still ask this unit, which is being removed");
            }
        }
    }
}

/// The target and how long to hold the request for our worker.
fn admit(
    target: Target,
    request: &Request<Incoming>,
) -> Result<(Target, std::time::Duration), Refusal> {
    let forbidden = |text| Err(Refusal::new(StatusCode::FORBIDDEN, text));
    if rule(request.method(), target.route) == Rule::Worker {
        return forbidden("cannot accept a request between workers without its signature");
    }
    let mut hops = request.headers().get_all(HOP).iter();
    match (hops.next(), hops.next(), target.forward()) {
        (None, None, true) => Ok((target, limits::FORWARD_HOLD)),
        (Some(hop), None, false) if hop.as_bytes() == b"1" => {
            if target.route == Route::Unknown {
                return Err(Refusal::new(StatusCode::NOT_FOUND, "HTTP 404 Not Found"));
            }
            // The other gateway looks for the next unit by itself.
            Ok((target, std::time::Duration::ZERO))
        }
        (None, None, false) => forbidden(
            "cannot accept the internal user for a request that no worker or gateway sent",
        ),
        _ => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "cannot tell who sent the request",
        )),
    }
}

async fn pass(
    core: &Core,
    target: Target,
    hold: std::time::Duration,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Response<Body>, Refusal> {
    let (outbound, _) = take_apart(target, request).await?;
    let mut delivery = Delivery::new(core);
    let answer = delivery.once(outbound, hold).await;
    entry.delivered(&delivery);
    Ok(readable(answer))
}

async fn signed_request(
    core: &Core,
    remote: IpAddr,
    target: Target,
    request: Request<Incoming>,
    entry: &mut Entry,
) -> Result<Response<Body>, Refusal> {
    let (mut outbound, signature) = take_apart(target, request).await?;
    outbound.headers.extend(signature);
    let _write = core.holds.pass_worker(remote).await;
    let mut delivery = Delivery::new(core);
    let answer = delivery.signed(outbound).await;
    entry.delivered(&delivery);
    Ok(readable(answer))
}

/// The request as it is sent on, and the signature it came with, which is not part of it yet.
async fn take_apart(
    target: Target,
    request: Request<Incoming>,
) -> Result<(Outbound, Vec<(HeaderName, HeaderValue)>), Refusal> {
    let (
        Parts {
            method,
            mut headers,
            ..
        },
        body,
    ) = request.into_parts();
    let payload = payload(body).await?;
    let signature = reply::signature_of(&headers);
    strip_request(&mut headers);
    let outbound = Outbound {
        method,
        target,
        headers,
        payload,
    };
    Ok((outbound, signature))
}

/// Turns errors that a forwarding worker could not read into ones it passes on with their status.
fn readable(answer: Answer) -> Response<Body> {
    let status = answer.head.status;
    let AnswerBody::Whole(bytes) = &answer.body else {
        return answer.into_response();
    };
    if !verdict::needs_body(status) {
        return answer.into_response();
    }
    if status == StatusCode::UNAUTHORIZED {
        // A worker's own 401 has no challenge, without which the other worker answers 500.
        return reply::unauthorized();
    }
    if verdict::is_connect_error(bytes) {
        return answer.into_response();
    }
    match status {
        StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE => reply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot deliver the request: the worker is starting or stopping",
        ),
        _ => Response::from_parts(answer.head, whole(bytes.clone())),
    }
}
