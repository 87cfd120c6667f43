//! A request on its way to a worker, and the answer on its way back.

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::body::{Body, BodyError, collect, stream, whole};
use crate::target::Target;
use crate::upstream::{SendError, Upstream};
use crate::{limits, reply, verdict};

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
    /// Read whole, because it is small or had to be judged.
    Whole(Bytes),
    /// Passing through.
    Passing(Incoming),
}

impl Outbound {
    /// A reading of the gateway's own.
    #[must_use]
    pub fn reading(target: Target) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            method: Method::GET,
            target,
            headers,
            payload: Payload::Held(Bytes::new()),
        }
    }
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(());
        *response.status_mut() = status;
        Self::own(response, Bytes::new())
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`BodyError`] if it is too large, stalls or breaks.
    pub async fn whole(self) -> Result<Bytes, BodyError> {
        match self.body {
            AnswerBody::Whole(bytes) => Ok(bytes),
            AnswerBody::Passing(incoming) => collect(incoming, limits::JUDGED_ANSWER_BYTES).await,
        }
    }

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

/// The request as it is sent; `Err` with the answer if it cannot be made.
pub(crate) fn request(
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

/// Takes an answer in, reading the body of those that are small or have to be judged.
pub(crate) async fn read(
    response: Response<Incoming>,
    upstream: &Upstream,
) -> Result<Answer, SendError> {
    let (mut head, body) = response.into_parts();
    let length = head.headers.get(CONTENT_LENGTH).cloned();
    reply::strip_hop_by_hop(&mut head.headers);
    head.headers.remove(reply::NOT_TAKEN);
    let body = if verdict::needs_body(head.status) {
        let address = upstream.address();
        head.headers.remove(CONTENT_LENGTH);
        let bytes = collect(body, limits::JUDGED_ANSWER_BYTES).await;
        AnswerBody::Whole(bytes.map_err(|source| SendError::Truncated { address, source })?)
    } else {
        if let Some(length) = length {
            head.headers.insert(CONTENT_LENGTH, length);
        }
        let small = |length| length <= limits::HELD_ANSWER_BYTES;
        if body.size_hint().exact().is_some_and(small) {
            let address = upstream.address();
            let bytes = collect(body, limits::JUDGED_ANSWER_BYTES).await;
            AnswerBody::Whole(bytes.map_err(|source| SendError::Truncated { address, source })?)
        } else {
            AnswerBody::Passing(body)
        }
    };
    Ok(Answer { head, body })
}
