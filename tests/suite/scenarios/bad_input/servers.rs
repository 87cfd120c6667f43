//! Plugin servers that serve no plugin, and what they serve instead. All of them get well in the
//! same moment, and nobody tells the charm.

use std::time::Instant;

use serde_json::{Value, json};

use super::{SECRETS, SOON, Stage, UNIT, archives, asks, unit};
use crate::scenarios::servers::Servers;

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
            place.authority(port(name))
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

/// The server of each client.
fn port(client: &str) -> u16 {
    if client == ABSENT { 8001 } else { 8000 }
}

fn path(client: &str) -> String {
    format!("/{client}.tar")
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
    let paths: Vec<String> = rows.iter().map(|row| path(row.name)).collect();
    let told = paths
        .iter()
        .zip(&rows)
        .filter(|(_, row)| row.name != ABSENT);
    servers.answer(told.map(|(path, row)| (path.as_str(), row.behaviour.clone())));
    servers.start(model, port("any other"));

    // The unit shows the client with the lowest relation first: the last to ask comes first.
    for row in rows.iter().rev() {
        model.deploy_client(row.name, Some("{}"));
        model.sim(&["integrate", row.name, "kafka-connect"]);
    }
    for row in &rows {
        model.wait_status(&unit(row.name), "active", "no credentials", SOON);
    }
    model.wait_idle();

    let began = Instant::now();
    for row in &rows {
        let authority = servers.authority(port(row.name));
        let url = format!("http://{authority}{}", path(row.name));
        let written = model.rewrite(row.name, &asks(&url, SECRETS));
        stage.is_named(row.name, written, &row.fault);
    }
    for row in &rows {
        stage.has_nothing(row.name);
    }

    let well = json!({"do": "ok", "body": {"file": "good.tar"}});
    servers.answer(paths.iter().map(|path| (path.as_str(), well.clone())));
    servers.start(model, port(ABSENT));
    // A server is left alone for half as long as it has failed.
    let limit = SOON + began.elapsed() / 2;
    for row in &rows {
        model.wait_until(&format!("{} is served", row.name), limit, || {
            model.given(&unit(row.name), "secret-user").is_some()
        });
        stage.is_served(row.name);
    }
    model.wait_active(UNIT);
    stage.is_unharmed("servers and archives");
}
