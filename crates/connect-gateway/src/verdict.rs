//! Whether an answer proves that its request was not applied, and so may be sent again.
//!
//! **Contract:** Kafka Connect's error body `{"error_code", "message"}` and the messages of its
//! distributed herder (3.9 to 4.3). Messages are matched at their start, so that text chosen by a
//! client, such as a connector's name, cannot make an answer look like one of these.

use hyper::{Method, StatusCode};
use serde::Deserialize;

/// What an answer means for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer stands.
    Final,
    /// The request was not applied.
    NotApplied,
    /// The request was not applied, because the worker is starting or stopping.
    NotServing,
    /// Somebody on the way lost the answer: perhaps it was applied.
    Unknown,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "error_code")]
    _code: i64,
    #[serde(default)]
    message: Option<String>,
}

/// Starts of messages of answers to requests that the worker did not apply.
const NOT_APPLIED: &[(u16, &str)] = &[
    (
        409,
        "Cannot complete request momentarily due to stale configuration",
    ),
    (
        409,
        "Cannot complete request momentarily due to no known leader URL",
    ),
    (
        409,
        "Cannot complete request because of a conflicting operation",
    ),
    (
        500,
        "Request cannot be completed because a rebalance is expected",
    ),
    (500, "Worker is shutting down"),
    (
        500,
        "IO Error trying to forward REST request: java.net.ConnectException",
    ),
    (
        500,
        "IO Error trying to forward REST request: java.util.concurrent.ExecutionException: java.net.ConnectException",
    ),
];

/// Starts of messages of answers to requests that another worker may have applied.
const UNKNOWN: &[(u16, &str)] = &[(500, "IO Error trying to forward REST request: ")];

/// Statuses whose body has to be read before the answer can be judged.
#[must_use]
pub fn needs_body(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 404 | 409 | 500 | 502 | 503 | 504)
}

/// Whether the body is an error as Kafka Connect writes it.
#[must_use]
pub fn is_connect_error(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody>(body).is_ok()
}

/// Judges an answer to a request that carried the internal credential.
#[must_use]
pub fn judge(method: &Method, status: StatusCode, body: &[u8]) -> Verdict {
    let error = serde_json::from_slice::<ErrorBody>(body).ok();
    match (status.as_u16(), error) {
        // 401: the credential is ours, not the client's, and being rotated through the units.
        // 503: public routes never answer it themselves.
        (401, _) | (503, Some(_)) => Verdict::NotApplied,
        // Made by the HTTP server before the application is there, or after it is gone.
        (503, None) => Verdict::NotServing,
        // Made by a gateway on the way.
        (502 | 504, _) => Verdict::Unknown,
        // An answer to HEAD has no body that could tell.
        (404, None) if method != Method::HEAD => Verdict::NotServing,
        (
            status,
            Some(ErrorBody {
                message: Some(message),
                ..
            }),
        ) => {
            let is_one_of = |known: &[(u16, &str)]| {
                known
                    .iter()
                    .any(|(of, start)| *of == status && message.starts_with(start))
            };
            if is_one_of(NOT_APPLIED) {
                Verdict::NotApplied
            } else if is_one_of(UNKNOWN) {
                Verdict::Unknown
            } else {
                Verdict::Final
            }
        }
        _ => Verdict::Final,
    }
}

/// Whether the request changes nothing, so that repeating it after a broken connection is safe.
#[must_use]
pub fn changes_nothing(method: &Method, route: crate::target::Route) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || (*method == Method::PUT && route == crate::target::Route::Validate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn only_what_proves_that_nothing_happened_is_retried() {
        let error = |code: u16, message: &str| {
            format!(
                r#"{{"error_code":{code},"message":{}}}"#,
                serde_json::json!(message)
            )
        };
        let jetty = r#"{"url":"/x","status":"404","message":"Not Found"}"#.to_owned();
        let rows = [
            (200, String::new(), Verdict::Final),
            (204, String::new(), Verdict::Final),
            (
                400,
                error(400, "Connector configuration is invalid"),
                Verdict::Final,
            ),
            (
                401,
                "User cannot access the resource.".into(),
                Verdict::NotApplied,
            ),
            (
                403,
                error(403, "Topic tracking is disabled"),
                Verdict::Final,
            ),
            (404, error(404, "Connector x not found"), Verdict::Final),
            (404, error(404, "HTTP 404 Not Found"), Verdict::Final),
            (404, "<html>".into(), Verdict::NotServing),
            (404, String::new(), Verdict::NotServing),
            (404, jetty, Verdict::NotServing),
            (
                409,
                error(409, "Connector x already exists"),
                Verdict::Final,
            ),
            (
                409,
                error(
                    409,
                    "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)",
                ),
                Verdict::NotApplied,
            ),
            (
                409,
                error(
                    409,
                    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.",
                ),
                Verdict::NotApplied,
            ),
            (
                409,
                error(
                    409,
                    "Cannot complete request because of a conflicting operation (e.g. worker rebalance)",
                ),
                Verdict::NotApplied,
            ),
            (
                409,
                error(409, "Connector `due to stale configuration` already exists"),
                Verdict::Final,
            ),
            (
                500,
                error(
                    500,
                    "Request cannot be completed because a rebalance is expected",
                ),
                Verdict::NotApplied,
            ),
            (
                500,
                error(500, "Worker is shutting down"),
                Verdict::NotApplied,
            ),
            (
                500,
                error(
                    500,
                    "IO Error trying to forward REST request: java.net.ConnectException: Connection refused",
                ),
                Verdict::NotApplied,
            ),
            (
                500,
                error(
                    500,
                    "IO Error trying to forward REST request: java.io.EOFException",
                ),
                Verdict::Unknown,
            ),
            (
                500,
                error(
                    500,
                    "Request timed out. The worker is currently polling the group coordinator",
                ),
                Verdict::Final,
            ),
            (
                500,
                error(500, "java.lang.NullPointerException"),
                Verdict::Final,
            ),
            (500, String::new(), Verdict::Final),
            (503, error(503, "starting"), Verdict::NotApplied),
            (503, "<html>".into(), Verdict::NotServing),
            (502, error(502, "cannot read an answer"), Verdict::Unknown),
            (504, error(504, "cannot wait any longer"), Verdict::Unknown),
        ];
        for (status, body, expect) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                judge(&Method::POST, status, body.as_bytes()),
                expect,
                "{status} {body}"
            );
        }
        assert_eq!(
            judge(&Method::HEAD, StatusCode::NOT_FOUND, b""),
            Verdict::Final
        );
    }
}
