//! Whether an answer proves that its request was not applied, and so may be sent again.
//!
//! **Contract:** Kafka Connect's error body `{"error_code", "message"}` and the messages of its
//! distributed herder (3.9 to 4.3). Messages are matched at their start, so that text chosen by a
//! client, such as a connector's name, cannot make an answer look like one of these.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::reply;

/// What an answer means for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer stands.
    Final,
    /// The request was not applied.
    NotApplied,
    /// The request was not applied, because the worker is starting or stopping.
    NotServing,
    /// The peer's gateway did not even take it, for a reason that is no client's business.
    NotTaken,
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
    // Of another unit's peer door, passed on by our worker.
    (403, reply::STRANGER),
    (429, reply::BUSY),
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
    // Its transaction was aborted.
    (
        500,
        "Failed to write to config topic; this may be due to a transient error and the request can be safely retried",
    ),
    // Before it connects: the trust store cannot be read.
    (500, "Failed to start RestClient: "),
];

/// Starts of messages of answers to requests that a worker may have applied, this one or another.
const UNKNOWN: &[(u16, &str)] = &[
    (500, FORWARDING),
    (500, "Error trying to forward REST request: "),
    (
        500,
        "Unexpected status code when handling forwarded request: ",
    ),
    // Written, perhaps, but not read back in time or before it stopped.
    (500, "Error writing connector configuration to Kafka"),
    (500, "Error removing connector configuration from Kafka"),
    (500, "Request interrupted"),
];

/// Start of the message of a worker that lost the request it forwarded, or its answer.
const FORWARDING: &str = "IO Error trying to forward REST request: ";

/// How the rest of that message starts if the request was not sent: no connection, or none that the
/// two agreed on.
const NOT_SENT: &[&str] = &[
    "java.net.ConnectException",
    "java.net.NoRouteToHostException",
    "java.net.UnknownHostException",
    "java.net.SocketTimeoutException: Connect Timeout",
    "javax.net.ssl.SSLHandshakeException",
];

/// Statuses whose body has to be read before the answer can be judged.
#[must_use]
pub fn needs_body(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        401 | 403 | 404 | 409 | 429 | 500 | 502 | 503 | 504
    )
}

/// Whether the body is an error as Kafka Connect writes it.
#[must_use]
pub fn is_connect_error(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody>(body).is_ok()
}

/// Judges an answer to a request that carried the internal credential.
#[must_use]
pub fn judge(method: &Method, status: StatusCode, body: &[u8]) -> Verdict {
    if !needs_body(status) {
        return Verdict::Final;
    }
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
        // Made by the HTTP server under the application's feet: the worker itself gives reasons.
        (500, None) if method != Method::HEAD => Verdict::Unknown,
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
            if is_one_of(NOT_APPLIED) || (status == 500 && was_not_sent(&message)) {
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

/// Whether a worker says that it could not send a request to another one.
fn was_not_sent(message: &str) -> bool {
    let Some(cause) = message.strip_prefix(FORWARDING) else {
        return false;
    };
    let wrapper = "java.util.concurrent.ExecutionException: ";
    let cause = cause.strip_prefix(wrapper).unwrap_or(cause);
    NOT_SENT.iter().any(|start| cause.starts_with(start))
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
        let forwarding = |cause: &str, unknown: bool| {
            let message = format!("IO Error trying to forward REST request: {cause}");
            let verdict = if unknown {
                Verdict::Unknown
            } else {
                Verdict::NotApplied
            };
            (500, error(500, &message), verdict)
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
            forwarding("java.net.ConnectException: Connection refused", false),
            forwarding(
                "java.util.concurrent.ExecutionException: java.net.ConnectException: Connection refused",
                false,
            ),
            forwarding("java.net.NoRouteToHostException: No route to host", false),
            forwarding("java.net.UnknownHostException: kafka-connect-2", false),
            forwarding("java.net.SocketTimeoutException: Connect Timeout", false),
            forwarding(
                "javax.net.ssl.SSLHandshakeException: PKIX path building failed",
                false,
            ),
            forwarding("java.net.SocketTimeoutException: Read timed out", true),
            forwarding("java.io.EOFException", true),
            forwarding("java.net.SocketException: Connection reset", true),
            forwarding(
                "java.util.concurrent.TimeoutException: Idle timeout 30000 ms",
                true,
            ),
            forwarding("Unexpected end-of-input", true),
            forwarding("a java.net.ConnectException", true),
            (
                500,
                error(500, "Failed to start RestClient: null"),
                Verdict::NotApplied,
            ),
            (
                500,
                error(500, "Error trying to forward REST request: null"),
                Verdict::Unknown,
            ),
            (
                500,
                error(
                    500,
                    "Unexpected status code when handling forwarded request: 302",
                ),
                Verdict::Unknown,
            ),
            (
                500,
                error(500, "Error removing connector configuration from Kafka"),
                Verdict::Unknown,
            ),
            (
                500,
                error(500, "Error writing connector configuration to Kafka"),
                Verdict::Unknown,
            ),
            (500, error(500, "Request interrupted"), Verdict::Unknown),
            (
                500,
                error(
                    500,
                    "Failed to write to config topic; this may be due to a transient error and the request can be safely retried",
                ),
                Verdict::NotApplied,
            ),
            (
                403,
                error(403, "cannot let this address in"),
                Verdict::NotApplied,
            ),
            (403, "<html>".into(), Verdict::Final),
            (
                429,
                error(
                    429,
                    "cannot let the request in: too many logins failed or are being checked",
                ),
                Verdict::NotApplied,
            ),
            (429, error(429, "Slow down"), Verdict::Final),
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
            (500, String::new(), Verdict::Unknown),
            (500, "<html>".into(), Verdict::Unknown),
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
        for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
            assert_eq!(judge(&Method::HEAD, status, b""), Verdict::Final);
        }
    }
}
