//! A worker that keeps connectors in memory and misbehaves on request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{INTERNAL, basic};

/// One request as it reached the worker.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the worker does with a request.
pub(crate) enum Script {
    /// Answers from memory.
    Serve,
    /// Answers this, as `application/json` if it looks like it.
    Reply(u16, String),
    /// Answers this as JSON, with one header more.
    Headed(u16, String, (&'static str, &'static str)),
    /// Applies the request from memory, then answers this.
    Botch(u16, String),
    /// Applies the request from memory, then closes without an answer.
    Cut,
    /// Closes without an answer and does nothing.
    Drop,
    /// Answers from memory after a while.
    Slow(Duration),
}

/// An error as Kafka Connect writes it.
pub(crate) fn error(status: u16, message: &str) -> Script {
    Script::Reply(
        status,
        json!({"error_code": status, "message": message}).to_string(),
    )
}

type Behaviour = Box<dyn FnMut(&Seen) -> Script + Send>;

struct Inner {
    seen: Vec<Seen>,
    connectors: BTreeMap<String, Value>,
    paused: BTreeSet<String>,
    behaviour: Behaviour,
    healthy: bool,
    health_delay: Duration,
    /// Logins that it accepts, `name:password`.
    known: Vec<String>,
}

/// The worker; it stops when dropped.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Worker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Inner {
            seen: Vec::new(),
            connectors: BTreeMap::new(),
            paused: BTreeSet::new(),
            behaviour: Box::new(|_| Script::Serve),
            healthy: true,
            health_delay: Duration::ZERO,
            known: vec![INTERNAL.into()],
        };
        let inner = Arc::new(Mutex::new(inner));
        let running = Some(tokio::spawn(serve(listener, Arc::clone(&inner))));
        Self {
            address,
            inner,
            running,
        }
    }

    /// From now on, does with each request but `/health` what the function says.
    pub(crate) fn behave(&self, behaviour: impl FnMut(&Seen) -> Script + Send + 'static) {
        self.inner.lock().unwrap().behaviour = Box::new(behaviour);
    }

    pub(crate) fn set_healthy(&self, healthy: bool) {
        self.inner.lock().unwrap().healthy = healthy;
    }

    /// How long `/health` takes from now on.
    pub(crate) fn set_health_delay(&self, delay: Duration) {
        self.inner.lock().unwrap().health_delay = delay;
    }

    /// From now on, accepts these logins, `name:password`.
    pub(crate) fn knows(&self, logins: &[&str]) {
        self.inner.lock().unwrap().known = logins.iter().map(|&login| login.into()).collect();
    }

    /// Every request so far but those for `/health`.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.lock().unwrap().seen.clone()
    }

    /// The same, and forgets them.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.inner.lock().unwrap().seen)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    pub(crate) fn config(&self, connector: &str) -> Option<Value> {
        self.inner
            .lock()
            .unwrap()
            .connectors
            .get(connector)
            .cloned()
    }

    pub(crate) fn put(&self, connector: &str, config: Value) {
        self.inner
            .lock()
            .unwrap()
            .connectors
            .insert(connector.into(), config);
    }

    pub(crate) fn remove(&self, connector: &str) {
        self.inner.lock().unwrap().connectors.remove(connector);
    }

    /// Closes the port and every connection.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Opens the port again.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the port is still ours");
        self.running = Some(tokio::spawn(serve(listener, Arc::clone(&self.inner))));
    }
}

async fn serve(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    // Aborting this task drops the set, which closes the connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let inner = Arc::clone(&inner);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&inner), request));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    inner: Arc<Mutex<Inner>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    let is_health = seen.path == "/health" && !seen.headers.contains_key("x-by-client");
    if is_health {
        let delay = inner.lock().unwrap().health_delay;
        tokio::time::sleep(delay).await;
    }
    let script = {
        let mut inner = inner.lock().unwrap();
        if is_health {
            let status = match (inner.knows(&seen), inner.healthy) {
                (false, _) => 401,
                (true, true) => 200,
                (true, false) => 503,
            };
            Script::Reply(status, json!({"status": "x"}).to_string())
        } else {
            inner.seen.push(seen.clone());
            (inner.behaviour)(&seen)
        }
    };
    let apply = || inner.lock().unwrap().apply(&seen);
    let mut header = None;
    let (status, text) = match script {
        Script::Reply(status, text) => (status, text),
        Script::Headed(status, text, more) => {
            header = Some(more);
            (status, text)
        }
        Script::Serve => apply(),
        Script::Botch(status, text) => {
            apply();
            (status, text)
        }
        Script::Cut => {
            apply();
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        Script::Drop => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Script::Slow(time) => {
            tokio::time::sleep(time).await;
            apply()
        }
    };
    let mut response = Response::new(Full::new(text.clone().into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if text.starts_with(['{', '[']) {
        response
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
    }
    if let Some((name, value)) = header {
        let headers = response.headers_mut();
        headers.insert(name, value.parse().unwrap());
    }
    Ok(response)
}

impl Inner {
    fn knows(&self, seen: &Seen) -> bool {
        let login = seen.headers.get("authorization");
        login.is_some_and(|login| self.known.iter().any(|known| *login == basic(known)))
    }

    fn apply(&mut self, seen: &Seen) -> (u16, String) {
        let signed = seen.headers.contains_key("x-connect-authorization");
        if !signed && !self.knows(seen) {
            return (401, "User cannot access the resource.".into());
        }
        let error = |status: u16, message: String| {
            (
                status,
                json!({"error_code": status, "message": message}).to_string(),
            )
        };
        let body = || serde_json::from_slice::<Value>(&seen.body);
        let path = seen.path.split('?').next().unwrap_or_default();
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        match (seen.method.as_str(), parts.as_slice()) {
            (_, [""]) => (200, json!({"version": "4.1.2"}).to_string()),
            ("GET", ["connectors"]) => (
                200,
                json!(self.connectors.keys().collect::<Vec<_>>()).to_string(),
            ),
            ("POST", ["connectors"]) => {
                let body = body().unwrap();
                let name = body["name"].as_str().unwrap_or_default().to_owned();
                if self.connectors.contains_key(&name) {
                    return error(409, format!("Connector {name} already exists"));
                }
                self.connectors.insert(name, body["config"].clone());
                (201, body.to_string())
            }
            ("GET", ["connectors", name]) => match self.connectors.get(*name) {
                Some(config) => (200, json!({"name": name, "config": config}).to_string()),
                None => error(404, format!("Connector {name} not found")),
            },
            ("GET", ["connectors", name, "status"]) => {
                let state = if self.paused.contains(*name) {
                    "PAUSED"
                } else {
                    "RUNNING"
                };
                (200, json!({"connector": {"state": state}}).to_string())
            }
            ("PUT", ["connectors", name, "pause"]) => {
                self.paused.insert((*name).into());
                (202, String::new())
            }
            ("GET", ["connectors", name, "config"]) => match self.connectors.get(*name) {
                Some(config) => (200, config.to_string()),
                None => error(404, format!("Connector {name} not found")),
            },
            ("PUT", ["connectors", name, "config"]) => {
                let created = self
                    .connectors
                    .insert((*name).into(), body().unwrap())
                    .is_none();
                (
                    if created { 201 } else { 200 },
                    json!({"name": name}).to_string(),
                )
            }
            ("PATCH", ["connectors", name, "config"]) => match self.connectors.get_mut(*name) {
                Some(config) => {
                    for (key, value) in body().unwrap().as_object().unwrap() {
                        config[key] = value.clone();
                    }
                    (200, json!({"name": name}).to_string())
                }
                None => error(404, format!("Connector {name} not found")),
            },
            ("DELETE", ["connectors", name]) => match self.connectors.remove(*name) {
                Some(_) => (204, String::new()),
                None => error(404, format!("Connector {name} not found")),
            },
            _ => (200, json!({"served": seen.line()}).to_string()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}
