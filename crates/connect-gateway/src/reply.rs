//! Answers the gateway makes itself: always JSON as Kafka Connect writes its errors, so that
//! clients read them and forwarding workers pass them on with their status.

use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use crate::body::{Body, whole};

/// Milliseconds that a request was held and retried; on every answer that had to wait.
pub const WAITED: HeaderName = HeaderName::from_static("x-gateway-waited-ms");

/// Marks a request that one gateway sends to another.
pub const HOP: HeaderName = HeaderName::from_static("x-gateway-hop");

/// Marks an answer of a peer door that did not take the request: it reached no worker, and what the
/// answer says is between the two gateways. Only gateways speak it; it goes no further.
pub const NOT_TAKEN: HeaderName = HeaderName::from_static("x-gateway-not-taken");

/// The signature of worker-to-worker requests.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-connect-authorization");

const SIGNATURE_ALGORITHM: HeaderName =
    HeaderName::from_static("x-connect-request-signature-algorithm");
const REALM: HeaderValue =
    HeaderValue::from_static("Basic realm=\"kafka-connect\", charset=\"UTF-8\"");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error as Kafka Connect writes it; a 401 has its challenge, a 429 and a 503 when to come back.
#[must_use]
pub fn error(status: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "error_code": status.as_u16(), "message": message });
    let mut response = Response::new(whole(text.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, REALM);
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// What the peer door says to an address that is not a peer's.
pub const STRANGER: &str = "cannot let this address in";

/// What a door says where too many logins failed.
pub const BUSY: &str = "cannot let the request in: too many logins failed or are being checked";

/// The 401 of both doors.
#[must_use]
pub fn unauthorized() -> Response<Body> {
    error(
        StatusCode::UNAUTHORIZED,
        "cannot let the request in: user name or password is missing or wrong",
    )
}

/// Removes what belongs to one connection only (RFC 9110 section 7.6.1).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(hyper::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

/// Removes from a request what the gateway decides itself. The body's length is written anew.
pub fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in [
        "authorization",
        "content-length",
        "expect",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        // An answer has to be readable to be judged.
        "accept-encoding",
    ] {
        headers.remove(name);
    }
    for name in [HOP, SIGNATURE, SIGNATURE_ALGORITHM] {
        headers.remove(name);
    }
}

/// Keeps the two headers of a signed request, which [`strip_request`] removes.
#[must_use]
pub fn signature_of(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    [SIGNATURE, SIGNATURE_ALGORITHM]
        .into_iter()
        .filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_go_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "X-Mine, close"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("authorization", "Basic x"),
            ("x-gateway-hop", "1"),
            ("x-connect-authorization", "x"),
            ("accept", "application/json"),
            ("host", "a:1"),
            ("content-length", "4"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip_request(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
    }
}
