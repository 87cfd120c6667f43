//! What our own worker says over its loopback listener.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use connect_core::gateway::OWNER_KEY;
use connect_core::layout::WORKER_SERVICE;
use connect_core::limits;
use connect_core::observation::{Connector, Host, Observation, OwnSecret, Reading, Task, Worker};
use connect_core::secret::Secret;
use connect_core::wire::{self, labels};
use serde::Deserialize;
use serde_json::Value;

use crate::host::loopback::{Connection, LoopbackError};
use crate::report;

/// Longest wait for one answer. Measured answers take milliseconds; one that is busy with a
/// rebalance is asked again in a later hook.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the worker listens.
#[must_use]
pub fn address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, limits::WORKER_PORT))
}

/// The secrets that hold the internal user and, while it is rotated, the next one.
#[must_use]
pub fn internal(seen: &Observation) -> Vec<&OwnSecret> {
    [labels::INTERNAL, labels::INTERNAL_NEXT]
        .iter()
        .filter_map(|label| seen.secrets.get(*label).and_then(Reading::known))
        .collect()
}

/// Connects as the internal user; nothing if there is no such user yet. While the user is rotated,
/// nobody but the worker knows which one it started with.
///
/// # Errors
///
/// The worker does not listen.
pub fn connect(
    internal: &[&OwnSecret],
    at: SocketAddr,
) -> Result<Option<Connection>, LoopbackError> {
    let credential = |secret: &&OwnSecret| {
        let text = |key: &str| secret.content.get(key).cloned();
        text(wire::USERNAME).zip(text(wire::PASSWORD))
    };
    let users: Vec<_> = internal.iter().filter_map(credential).collect();
    for (index, (username, password)) in users.iter().enumerate() {
        let mut connection = Connection::open(at, username.expose(), password, PATIENCE)?;
        let is_last = index + 1 == users.len();
        if is_last || connection.request("GET", "/health")?.status != 401 {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}

/// Asks the worker, if its service runs.
#[must_use]
pub fn observe(host: &Host, internal: &[&OwnSecret], at: SocketAddr) -> Reading<Worker> {
    let runs = host
        .services
        .get(WORKER_SERVICE)
        .is_some_and(|fact| fact.active == "active");
    if !runs {
        return Reading::Absent;
    }
    match connect(internal, at) {
        Ok(Some(mut connection)) => match ask(&mut connection) {
            Ok(worker) => Reading::Known(worker),
            Err(error) => Reading::Unreadable(report::chain(&error)),
        },
        Ok(None) => Reading::Absent,
        Err(error) => Reading::Unreadable(report::chain(&error)),
    }
}

fn ask(connection: &mut Connection) -> Result<Worker, LoopbackError> {
    let mut worker = Worker {
        healthy: connection.request("GET", "/health")?.status == 200,
        ..Worker::default()
    };
    if !worker.healthy {
        return Ok(worker);
    }
    worker.version = get(connection, "/")?.and_then(|root: Root| root.version);
    let plugins: Option<Vec<Plugin>> = get(connection, "/connector-plugins?connectorsOnly=false")?;
    worker.plugin_classes = plugins
        .into_iter()
        .flatten()
        .map(|plugin| plugin.class)
        .collect::<BTreeSet<_>>();
    // A worker in the middle of a rebalance may be healthy and not answer this.
    worker.connectors = get(connection, "/connectors?expand=info&expand=status")
        .ok()
        .flatten()
        .map(|listed: BTreeMap<String, Listed>| {
            listed
                .into_iter()
                .map(|(name, listed)| (name, listed.judge()))
                .collect()
        });
    Ok(worker)
}

/// A body of 200; nothing for other answers, or if it is not what it should be.
fn get<T: serde::de::DeserializeOwned>(
    connection: &mut Connection,
    path: &str,
) -> Result<Option<T>, LoopbackError> {
    let answer = connection.request("GET", path)?;
    Ok((answer.status == 200)
        .then(|| serde_json::from_slice(&answer.body).ok())
        .flatten())
}

#[derive(Deserialize)]
struct Root {
    version: Option<String>,
}

#[derive(Deserialize)]
struct Plugin {
    class: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    info: Info,
    #[serde(default)]
    status: State,
}

#[derive(Default, Deserialize)]
struct Info {
    // May hold passwords: wiped as soon as the tag was read.
    #[serde(default)]
    config: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    connector: Part,
    #[serde(default)]
    tasks: Vec<Part>,
}

#[derive(Default, Deserialize)]
struct Part {
    #[serde(default)]
    id: u32,
    #[serde(default)]
    state: String,
    #[serde(default)]
    worker_id: String,
    trace: Option<String>,
}

impl Listed {
    fn judge(self) -> Connector {
        let mut config = self.info.config;
        let owner = match config.remove(OWNER_KEY) {
            Some(Value::String(owner)) => Some(owner),
            _ => None,
        };
        for value in config.into_values() {
            if let Value::String(text) = value {
                drop(Secret::new(text));
            }
        }
        let status = self.status;
        let trace = std::iter::once(&status.connector)
            .chain(&status.tasks)
            .filter(|part| part.state == "FAILED")
            .find_map(|part| Some(part.trace.as_ref()?.lines().next()?.to_owned()));
        Connector {
            owner,
            state: status.connector.state,
            tasks: status
                .tasks
                .into_iter()
                .map(|part| {
                    let task = Task {
                        state: part.state,
                        worker: part.worker_id,
                    };
                    (part.id, task)
                })
                .collect(),
            trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_facts() {
        let text = r#"{"file":{"info":{"name":"file","config":{"juju.client":"m:a:7","password":"x"}},
            "status":{"name":"file","connector":{"state":"RUNNING","worker_id":"w"},
            "tasks":[{"id":0,"state":"RUNNING","worker_id":"10.0.0.1:8084"},{"id":1,"state":"FAILED","trace":"first\nsecond"}]}},
            "bare":{}}"#;
        let listed: BTreeMap<String, Listed> = serde_json::from_str(text).unwrap();
        let facts: BTreeMap<String, Connector> = listed
            .into_iter()
            .map(|(name, listed)| (name, listed.judge()))
            .collect();
        let file = &facts["file"];
        assert_eq!(file.owner.as_deref(), Some("m:a:7"));
        assert_eq!(file.state, "RUNNING");
        assert_eq!(file.tasks[&0].worker, "10.0.0.1:8084");
        assert_eq!(file.tasks[&1].state, "FAILED");
        assert_eq!(file.trace.as_deref(), Some("first"));
        assert_eq!(facts["bare"], Connector::default());
    }
}
