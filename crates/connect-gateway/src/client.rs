//! The client door's rules: who may come in, what is kept from the worker, and the owner's tag.

use std::net::IpAddr;

use connect_core::gateway::Access;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use crate::access::{Entry, Refusal, authenticate, config_body, examine, payload};
use crate::body::{Body, discard};
use crate::core::Core;
use crate::delivery::{Answer, AnswerBody, Delivery, Outbound, Payload};
use crate::login::Login;
use crate::reply::{HOP, SIGNATURE, strip_request};
use crate::rules::{Rule, rule};
use crate::target::{Route, Target};
use crate::users::{Caller, Check};
use crate::{limits, own, tag};

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
    let check = |login: &Login| {
        // The internal user is not a client, even if a file should list it.
        if backend.internal.is_name(&login.username) {
            return Check::Wrong;
        }
        users.check(login)
    };
    let caller = match authenticate(core, remote, request.headers(), check).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    drop((users, backend));
    entry.user.clone_from(&caller.name);
    entry.client.clone_from(&caller.owner);
    let mut answer = match admit(&request, &caller, entry) {
        Err(refusal) => refusal.into(),
        Ok((target, rule)) => {
            let mut delivery = Delivery::new(core);
            let (parts, body) = request.into_parts();
            let asked = Asked {
                core,
                caller: &caller,
                target,
                rule,
            };
            let handled = handle(&mut delivery, asked, parts, body, entry).await;
            entry.delivered(&delivery);
            handled.unwrap_or_else(Answer::from)
        }
    };
    if caller.access == Access::Own {
        answer = own::tell_less(answer);
    }
    answer.into_response()
}

/// A request of somebody who was let in, as far as its head goes.
struct Asked<'a> {
    core: &'a Core,
    caller: &'a Caller,
    target: Target,
    rule: Rule,
}

/// Refuses what never comes from a client, and what is not for this one.
fn admit(
    request: &Request<Incoming>,
    caller: &Caller,
    entry: &mut Entry,
) -> Result<(Target, Rule), Refusal> {
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
    let rule = rule(request.method(), target.route);
    if request.headers().contains_key(SIGNATURE) || rule == Rule::Worker {
        return forbidden("cannot accept a request between workers from a client");
    }
    if rule == Rule::Nobody {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "HTTP 404 Not Found"));
    }
    if rule == Rule::All && caller.access != Access::All {
        return forbidden("cannot let this client use the route: it is for operators");
    }
    Ok((target, rule))
}

async fn handle(
    delivery: &mut Delivery<'_>,
    asked: Asked<'_>,
    parts: Parts,
    body: Incoming,
    entry: &mut Entry,
) -> Result<Answer, Refusal> {
    let Parts {
        method,
        mut headers,
        ..
    } = parts;
    let carries_config = matches!(asked.rule, Rule::Creation | Rule::Replacement)
        || matches!(
            (method.as_str(), asked.target.route),
            ("PATCH", Route::Config) | ("PUT", Route::Validate)
        );
    let payload = if carries_config {
        Payload::Held(config_body(asked.core, &headers, body).await?)
    } else {
        payload(body).await?
    };
    strip_request(&mut headers);
    let Asked {
        core,
        caller,
        target,
        rule,
    } = asked;
    let owner = caller.owner.as_deref();
    if caller.access == Access::Own {
        let instead = match rule {
            Rule::Listing => own::list(delivery, core, &target, owner).await.map(Some),
            Rule::Owner => {
                let name = target.connector().unwrap_or_default();
                own::check_owner(delivery, name, owner).await
            }
            Rule::Anybody
            | Rule::Creation
            | Rule::Replacement
            | Rule::All
            | Rule::Worker
            | Rule::Nobody => Ok(None),
        };
        if !matches!(instead, Ok(None)) {
            // Most clients read an answer only after they have sent everything.
            if let Payload::Passing(body) = payload {
                discard(body).await;
            }
            return instead.map(|answer| answer.unwrap_or_else(|| own::foreign().into()));
        }
    }
    let payload = match (payload, rule) {
        (Payload::Held(config), Rule::Creation) => {
            let (tagged, name) = tag::tag_creation(&config, owner)?;
            if caller.access == Access::Own {
                own::check_name(name.as_deref().unwrap_or_default())?;
            }
            entry.connector = name;
            Payload::Held(tagged.into())
        }
        (Payload::Held(config), Rule::Replacement) => {
            return replace(delivery, caller, target, headers, &config).await;
        }
        (Payload::Held(config), _) if method == Method::PATCH && target.route == Route::Config => {
            Payload::Held(tag::check_patch(&config)?.into())
        }
        (payload, _) => payload,
    };
    let outbound = Outbound {
        method,
        target,
        headers,
        payload,
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
    let sees_all = caller.access == Access::All;
    if !sees_all {
        own::check_name(&name)?;
    }
    let mut races = 0;
    loop {
        let existing = delivery
            .patiently(own::read(Target::config_of(&name)))
            .await;
        let (method, target, body, creates) = match existing.head.status {
            StatusCode::OK => {
                let existing = own::whole(existing, limits::JUDGED_ANSWER_BYTES).await?;
                delivery.before = Some(existing.clone());
                let existing = tag::read_config(&existing);
                let owner = existing.ok().as_ref().and_then(tag::owner_of);
                if !sees_all && owner != caller.owner {
                    return Err(own::foreign());
                }
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
