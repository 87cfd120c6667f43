//! Plugin servers that serve no plugin, and what they serve instead. All of them get well in the
//! same moment, and nobody tells the charm.

use std::path::PathBuf;
use std::process::Child;

use serde_json::{Value, json};

use super::{SECRETS, SOON, Stage, UNIT, archives, asks, unit};
use crate::scenarios::model::{Model, built};

/// One client with a server, or a path of one, of its own.
pub(super) struct Row {
    /// Of the client, and of the path that it names.
    pub(super) name: &'static str,
    pub(super) behaviour: Value,
    pub(super) fault: String,
}

fn rows(place: &Servers) -> Vec<Row> {
    let row = |name, behaviour, fault: &str| Row {
        name,
        behaviour,
        fault: format!(
            "plugin-url: cannot download: {fault} ({})",
            place.authority(name)
        ),
    };
    let content = |name, behaviour, fault: &str| Row {
        name,
        behaviour,
        fault: format!("plugin-url: cannot use the plugin: {fault}"),
    };
    let page = "<!DOCTYPE html><html><body>Not here</body></html>";
    let body = json!({"file": "good.tar"});
    let mut rows = vec![
        row(
            "missing",
            json!({"do": "status", "code": 404}),
            "it answered 404 Not Found",
        ),
        row(
            "failing",
            json!({"do": "status", "code": 500}),
            "it answered 500 Internal Server Error",
        ),
        row(
            "private",
            json!({"do": "basic", "credentials": "", "body": body}),
            "it answered 401 Unauthorized",
        ),
        row(
            "closing",
            json!({"do": "close-before-head"}),
            "it closed the connection early",
        ),
        row(
            "cutting",
            json!({"do": "close-mid-body", "body": body, "after": 700}),
            "it closed the connection early",
        ),
        row(
            "circling",
            json!({"do": "redirect-loop"}),
            "it redirects more than 5 times",
        ),
        row(
            "elsewhere",
            json!({"do": "redirect", "to": "file:///etc/passwd"}),
            "it redirects to something that is not an http URL",
        ),
        row(
            "babbling",
            json!({"do": "garbage"}),
            "its answer is not usable HTTP",
        ),
        row(ABSENT, Value::Null, "connection refused"),
        content(
            "page",
            json!({"do": "ok", "body": {"text": page}}),
            "the server sent an HTML page, not an archive",
        ),
        content(
            "empty",
            json!({"do": "empty"}),
            "the server sent an empty body",
        ),
    ];
    rows.extend(archives::rows(&place.folder));
    // Last: while they are slow, so is the hook that asks them.
    rows.extend([
        row(
            "stalling",
            json!({"do": "stall-mid-body", "body": body, "after": 700}),
            "it sent nothing for 5 s",
        ),
        row(
            "trickling",
            json!({"do": "trickle", "body": body, "bytes": 1, "every-ms": 200}),
            "it sends less than 128 KiB in 8 s",
        ),
        row(
            "silent",
            json!({"do": "stall-before-head"}),
            "no answer within 10 s",
        ),
    ]);
    rows
}

/// The client whose server does not run.
const ABSENT: &str = "absent";

/// The plugin servers, in the network of the model.
struct Servers {
    folder: PathBuf,
    address: String,
    running: Vec<Child>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.running {
            // It may have ended with an error of its own.
            drop(server.kill());
            drop(server.wait());
        }
    }
}

impl Servers {
    fn new(model: &Model) -> Self {
        let shown = model.sim(&["network", "--", "ip", "-o", "-4", "addr", "show", "br0"]);
        let address = shown.split_whitespace().nth(3).unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        Self {
            folder: model.folder(),
            address,
            running: Vec::new(),
        }
    }

    fn authority(&self, client: &str) -> String {
        let port = if client == ABSENT { 8001 } else { 8000 };
        format!("{}:{port}", self.address)
    }

    fn start(&mut self, model: &Model, client: &str) {
        let script = self.folder.join("script.json");
        let authority = self.authority(client);
        let server = built("tools/testkit-server");
        let words = [server.as_str(), script.to_str().unwrap(), &authority];
        self.running.push(model.start_in_network(&words));
    }

    /// What the servers do with each client's path, from now on.
    fn answer<'a>(&self, behaviours: impl Iterator<Item = (&'a str, Value)>) {
        let script: serde_json::Map<String, Value> = behaviours
            .map(|(client, behaviour)| (format!("/{client}.tar"), behaviour))
            .collect();
        let new = self.folder.join("script.new");
        std::fs::write(&new, Value::Object(script).to_string()).unwrap();
        std::fs::rename(new, self.folder.join("script.json")).unwrap();
    }
}

pub(super) fn run(stage: &Stage) {
    let model = &stage.model;
    let mut servers = Servers::new(model);
    std::fs::write(
        servers.folder.join("good.tar"),
        testkit::archive::plugin::no_plugin(),
    )
    .unwrap();
    let rows = rows(&servers);
    let told = rows.iter().filter(|row| row.name != ABSENT);
    servers.answer(told.map(|row| (row.name, row.behaviour.clone())));
    servers.start(model, "any other");

    // The unit shows the client with the lowest relation first: the last to ask comes first.
    for row in rows.iter().rev() {
        model.deploy_client(row.name, Some("{}"));
        model.sim(&["integrate", row.name, "kafka-connect"]);
    }
    for row in &rows {
        model.wait_status(&unit(row.name), "active", "no credentials", SOON);
    }
    model.sim(&["wait-for", "--idle"]);

    for row in &rows {
        let url = format!("http://{}/{}.tar", servers.authority(row.name), row.name);
        let written = model.rewrite(row.name, &asks(&url, SECRETS));
        stage.is_named(row.name, written, &row.fault);
    }
    for row in &rows {
        stage.has_nothing(row.name);
    }

    let well = json!({"do": "ok", "body": {"file": "good.tar"}});
    servers.answer(rows.iter().map(|row| (row.name, well.clone())));
    servers.start(model, ABSENT);
    for row in &rows {
        stage.is_served(row.name);
    }
    model.wait_active(UNIT);
    stage.is_unharmed("servers and archives");
}
