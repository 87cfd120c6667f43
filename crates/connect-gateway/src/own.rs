//! What a client gets that sees only the connectors it created.
//!
//! *Guarantee:* of a connector with another owner, or with none, such a client reads nothing and
//! changes nothing. *Assumption:* a connector's owner never changes; the tag in its configuration is
//! read from the worker for every request, never remembered. *Caveat:* when a connector is deleted
//! and its name taken by somebody else between that reading and the request, the request reaches the
//! new one; the worker offers nothing that would join the two.

use std::collections::BTreeMap;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::CONTENT_LENGTH;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::Refusal;
use crate::core::Core;
use crate::delivery::{Answer, AnswerBody, Delivery, Outbound};
use crate::limits;
use crate::tag;
use crate::target::{Expand, Target};

/// The refusal of somebody else's connector. It does not say whose.
#[must_use]
pub fn foreign() -> Refusal {
    let text = "cannot use the connector: it was not created by this client";
    Refusal::new(StatusCode::FORBIDDEN, text)
}

/// Refuses names that not every worker takes for the same connector.
///
/// A worker writes the name into the URL of a forwarded request without encoding `%`, so a request for
/// `a%62` of one owner would reach `ab` of another on the leader; names are trimmed in some places and
/// not in others.
///
/// # Errors
/// [`Refusal`] with 400.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let misread = |c: char| c.is_control() || "%{}/\\;?#".contains(c);
    if name.is_empty()
        || name.trim() != name
        || name == "."
        || name == ".."
        || name.contains(misread)
    {
        let text = "cannot use this connector name: it has a character that workers read in \
                    different ways";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
    }
    Ok(())
}

/// The answer to give instead of serving the request, unless the connector has this owner.
///
/// # Errors
/// [`Refusal`] with 403 if it has another owner or none, 400 as [`check_name`], 502 if its
/// configuration cannot be read.
pub async fn check_owner(
    delivery: &mut Delivery<'_>,
    name: &str,
    owner: Option<&str>,
) -> Result<Option<Answer>, Refusal> {
    check_name(name)?;
    let existing = delivery.patiently(read(Target::config_of(name))).await;
    if existing.head.status != StatusCode::OK {
        return unserved(existing).map(Some);
    }
    let config = tag::read_config(&whole(existing, limits::JUDGED_ANSWER_BYTES).await?);
    let found = config.ok().as_ref().and_then(tag::owner_of);
    if owner.is_some() && found.as_deref() == owner {
        Ok(None)
    } else {
        Err(foreign())
    }
}

/// `GET /connectors`, in whatever form was asked for, with this owner's connectors only.
///
/// # Errors
/// [`Refusal`] with 502 if the worker's list cannot be read.
pub async fn list(
    delivery: &mut Delivery<'_>,
    core: &Core,
    target: &Target,
    owner: Option<&str>,
) -> Result<Answer, Refusal> {
    let asked = target.expand();
    let _place = core.listings.acquire().await.ok();
    let status = asked.is_some_and(|asked| asked.status);
    let listing = read(Target::listing(Expand { info: true, status }));
    let answer = delivery.patiently(listing).await;
    if answer.head.status != StatusCode::OK {
        return unserved(answer);
    }
    let mut head = answer.head.clone();
    let bytes = whole(answer, limits::LISTING_BYTES).await?;
    let filtered = filter(&bytes, owner.unwrap_or_default(), asked).map_err(|_| {
        let text = "cannot read the worker's list of connectors";
        Refusal::new(StatusCode::BAD_GATEWAY, text)
    })?;
    head.headers.remove(CONTENT_LENGTH);
    Ok(Answer {
        head,
        body: AnswerBody::Whole(filtered.into()),
    })
}

/// A request of the gateway's own: nothing of the client's headers decides what comes back.
#[must_use]
pub fn read(target: Target) -> Outbound {
    Outbound::reading(target)
}

/// The body of an answer to such a request.
///
/// # Errors
/// [`Refusal`] with 502.
pub async fn whole(answer: Answer, most_bytes: usize) -> Result<Bytes, Refusal> {
    match answer.body {
        AnswerBody::Whole(bytes) => Ok(bytes),
        AnswerBody::Passing(incoming) => {
            let bytes = crate::body::collect(incoming, most_bytes).await;
            bytes.map_err(|error| {
                let text = format!("cannot read the worker's answer: {error}");
                Refusal(StatusCode::BAD_GATEWAY, text)
            })
        }
    }
}

/// Removes from an error what tells of other clients' requests: the name of the connector that the
/// worker is busy with.
#[must_use]
pub fn tell_less(mut answer: Answer) -> Answer {
    let AnswerBody::Whole(bytes) = &answer.body else {
        return answer;
    };
    let status = answer.head.status;
    if !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    if let Some(less) = without_stage(bytes) {
        answer.head.headers.remove(CONTENT_LENGTH);
        answer.body = AnswerBody::Whole(less.into());
    }
    answer
}

/// **Contract:** the two sentences of `org.apache.kafka.connect.util.Stage` (3.9 to 4.3).
fn without_stage(body: &[u8]) -> Option<Vec<u8>> {
    let mut body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let message = body.get("message")?.as_str()?;
    let stage = [
        "The worker is currently ",
        "The last operation the worker completed was ",
    ];
    let end = stage.iter().filter_map(|start| message.find(start)).min()?;
    let less = message[..end].trim_end().to_owned();
    body.insert("message".into(), less.into());
    serde_json::to_vec(&body).ok()
}

/// An answer other than 200 to a request of the gateway's own, if it is an error to pass on.
fn unserved(answer: Answer) -> Result<Answer, Refusal> {
    let status = answer.head.status;
    if status.is_client_error() || status.is_server_error() {
        return Ok(answer);
    }
    let text = "cannot read the worker's answer: unexpected status";
    Err(Refusal::new(StatusCode::BAD_GATEWAY, text))
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Info {
    config: Option<tag::Map>,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a RawValue>,
}

fn filter(body: &[u8], owner: &str, asked: Option<Expand>) -> Result<Vec<u8>, serde_json::Error> {
    let all: BTreeMap<String, Listed<'_>> = serde_json::from_slice(body)?;
    let theirs = all.into_iter().filter(|(_, listed)| {
        let info: Option<Info> = listed
            .info
            .and_then(|info| serde_json::from_str(info.get()).ok());
        let found = info.and_then(|info| tag::owner_of(&info.config?));
        found.is_some_and(|found| found == owner)
    });
    match asked {
        None => serde_json::to_vec(&theirs.map(|(name, _)| name).collect::<Vec<_>>()),
        Some(Expand { info, status }) => {
            let shown = theirs.map(|(name, listed)| {
                let info = listed.info.filter(|_| info);
                let status = listed.status.filter(|_| status);
                (name, Shown { info, status })
            });
            serde_json::to_vec(&shown.collect::<BTreeMap<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_to_its_owner() {
        let body = r#"{
            "mine":{"info":{"name":"mine","config":{"a":1.10,"juju.client":"me"},"tasks":[]},"status":{"x":1}},
            "forged":{"info":{"name":"forged","config":{"a":"b"},"juju.client":"me"},"juju.client":"me"},
            "theirs":{"info":{"name":"theirs","config":{"juju.client":"you"}},"status":{"x":2}},
            "longer":{"info":{"name":"longer","config":{"juju.client":"me2"}}},
            "number":{"info":{"name":"number","config":{"juju.client":1}}},
            "nobody":{"info":{"name":"nobody","config":{}}},
            "bare":{"status":{"x":3}},
            "null":{"info":{"config":null}}
        }"#;
        let both = r#"{"mine":{"info":{"name":"mine","config":{"a":1.10,"juju.client":"me"},"tasks":[]},"status":{"x":1}}}"#;
        let expand = |info, status| Some(Expand { info, status });
        let rows = [
            (None, r#"["mine"]"#),
            (expand(true, true), both),
            (expand(false, true), r#"{"mine":{"status":{"x":1}}}"#),
            (expand(false, false), r#"{"mine":{}}"#),
        ];
        for (asked, expect) in rows {
            let found = filter(body.as_bytes(), "me", asked).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expect, "{asked:?}");
        }
        assert_eq!(filter(body.as_bytes(), "", None).unwrap(), b"[]");
        for body in ["[]", "[\"theirs\"]", "", "null", "{\"a\":1}"] {
            assert!(filter(body.as_bytes(), "me", None).is_err(), "{body}");
        }
    }

    #[test]
    fn names_that_could_mean_another_connector_are_refused() {
        for name in [
            "a",
            "my-connector_r7_0a1b",
            "ä ö",
            "a.b",
            "...",
            "a+b",
            "a&b=c",
        ] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "", "%", "a%62", "100%", "a{b}", "a/b", "a\\b", "a;b", "a?b", "a#b", " a", "a ",
            "a\u{a0}", ".", "..", "a\nb",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_error_does_not_name_the_connector_that_the_worker_is_busy_with() {
        let rows = [
            (
                r#"{"error_code":500,"message":"Request timed out. The worker is currently stopping connector theirs, which began at 2026-01-01T00:00:00Z"}"#,
                Some(r#"{"error_code":500,"message":"Request timed out."}"#),
            ),
            (
                r#"{"message":"Unhealthy. The last operation the worker completed was restarting connector theirs, which began at x","status":"unhealthy"}"#,
                Some(r#"{"message":"Unhealthy.","status":"unhealthy"}"#),
            ),
            (
                r#"{"error_code":404,"message":"Connector mine not found"}"#,
                None,
            ),
            (r#"{"error_code":500}"#, None),
            ("<html>", None),
        ];
        for (body, expect) in rows {
            let found = without_stage(body.as_bytes()).map(|body| String::from_utf8(body).unwrap());
            assert_eq!(found.as_deref(), expect, "{body}");
        }
    }
}
