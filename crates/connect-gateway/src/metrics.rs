//! What the gateway counts, and the port that shows it.
//!
//! **Contract:** `OpenMetrics` text, as Prometheus reads it; the table in `docs/reference/gateway.md`.
//! No label has a value that a client chooses: users and connectors are not in it, methods and
//! routes are the known ones.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use connect_core::gateway::State;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::access::{Door, Entry};
use crate::body::{Body, whole};
use crate::reply;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Upper ends of the latency buckets in seconds: from a read on loopback to a try that is given up.
const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    door: &'static str,
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DoorLabel {
    door: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Generation {
    generation: String,
}

/// The counters and their text.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DoorLabel, Histogram>,
    waited: Counter<f64, AtomicU64>,
    retries: Counter,
    read_backs: Counter,
    refused_logins: Family<DoorLabel, Counter>,
    worker_up: Gauge,
    door_open: Family<DoorLabel, Gauge>,
    certificate_expiry: Family<DoorLabel, Gauge>,
    users: Gauge,
    users_generation: Family<Generation, Gauge>,
    fault: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let new_histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("connect_gateway"),
            requests: Family::default(),
            durations: Family::new_with_constructor(new_histogram),
            waited: Counter::default(),
            retries: Counter::default(),
            read_backs: Counter::default(),
            refused_logins: Family::default(),
            worker_up: Gauge::default(),
            door_open: Family::default(),
            certificate_expiry: Family::default(),
            users: Gauge::default(),
            users_generation: Family::default(),
            fault: Gauge::default(),
        };
        macro_rules! register {
            ($($field:ident $name:literal $help:literal)*) => {
                $(metrics.registry.register($name, $help, metrics.$field.clone());)*
            };
        }
        register! {
            requests "requests" "Requests answered"
            durations "request_duration_seconds" "Time until the head of the answer"
            waited "waited_seconds" "Time that requests were held and retried"
            retries "retries" "Requests sent to a worker beyond the first of each"
            read_backs "read_backs" "Writes whose answer got lost"
            refused_logins "refused_logins" "Requests without valid credentials"
            worker_up "worker_up" "Whether the worker's /health answers 200"
            door_open "door_open" "Whether the door accepts connections"
            certificate_expiry "certificate_expiry_timestamp_seconds" "When the certificate ends"
            users "users" "Users that may come in"
            users_generation "users_generation" "The users that are served, as a label"
            fault "fault" "Whether the newest files are not served as written"
        }
        metrics
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn answered(
        &self,
        door: Door,
        method: &Method,
        entry: &Entry,
        status: StatusCode,
        took: Duration,
    ) {
        let labels = RequestLabels {
            door: door.name(),
            method: known(method),
            route: entry
                .target
                .as_ref()
                .map_or("-", |target| target.route.template()),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        let door = DoorLabel { door: door.name() };
        self.durations
            .get_or_create(&door)
            .observe(took.as_secs_f64());
        if matches!(status.as_u16(), 401 | 429) && entry.user.is_empty() {
            self.refused_logins.get_or_create(&door).inc();
        }
        self.retries
            .inc_by(u64::from(entry.tries.saturating_sub(1)));
        self.waited
            .inc_by(Duration::from_millis(entry.waited_ms).as_secs_f64());
    }

    /// Counts a write whose answer got lost.
    pub fn read_back(&self) {
        self.read_backs.inc();
    }

    /// Takes over what the state file says.
    pub fn state(&self, state: &State, users: usize) {
        self.worker_up.set(i64::from(state.worker_healthy));
        self.users.set(i64::try_from(users).unwrap_or(i64::MAX));
        self.fault.set(i64::from(state.fault.is_some()));
        let generation = state.users_generation.clone();
        self.users_generation.clear();
        self.users_generation
            .get_or_create(&Generation { generation })
            .set(1);
        for (door, open, certificate) in [
            ("client", state.client_door, &state.client_certificate),
            ("peer", state.peer_door, &state.peer_certificate),
        ] {
            let label = DoorLabel { door };
            self.door_open.get_or_create(&label).set(i64::from(open));
            match certificate {
                Some(certificate) => {
                    let expiry = self.certificate_expiry.get_or_create(&label);
                    expiry.set(certificate.not_after);
                }
                None => drop(self.certificate_expiry.remove(&label)),
            }
        }
    }

    /// Answers a request to the metrics port.
    #[must_use]
    pub fn answer<T>(&self, request: &Request<T>) -> Response<Body> {
        if request.uri().path() != "/metrics" {
            return reply::error(StatusCode::NOT_FOUND, "cannot find anything but `/metrics`");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return reply::error(StatusCode::METHOD_NOT_ALLOWED, "cannot serve this method");
        }
        let mut page = String::new();
        if text::encode(&mut page, &self.registry).is_err() {
            let what = "cannot write the metrics";
            return reply::error(StatusCode::INTERNAL_SERVER_ERROR, what);
        }
        let mut response = Response::new(whole(page));
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
        response
    }
}

/// The method, if it is one that Kafka Connect knows.
fn known(method: &Method) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}
