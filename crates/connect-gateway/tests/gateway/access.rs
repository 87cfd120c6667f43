//! Who may do what: every route of Kafka Connect's REST API, for every kind of user and connector.

use std::collections::BTreeSet;

use connect_gateway::target::{Route, Target};
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Ask, CLIENT, Gateway, Got, OPERATOR, Script, Seen, Worker, own, user};

const TAG: &str = "juju.client";
const ADMIN: &str = "relation-3:admin";

/// The connectors: of the client that asks, of another one, of nobody.
const CONNECTORS: [(&str, Option<&str>); 3] = [
    ("mine", Some("m:app:1")),
    ("theirs", Some("m:b:2")),
    ("tools", None),
];

/// Statuses for the client's own connector, for another's, for nobody's; and whatever the
/// connector for whoever sees all.
type Row = (&'static str, &'static str, &'static str, [u16; 4]);

const EVERYBODY: [u16; 4] = [200, 200, 200, 200];
const OWNER: [u16; 4] = [200, 403, 403, 200];
const ALL: [u16; 4] = [403, 403, 403, 200];
const WORKER: [u16; 4] = [403, 403, 403, 403];

/// Method, path, body. The resources of Kafka Connect 3.9, 4.1 and 4.3; `tasks-config` ended with 3.9.
#[rustfmt::skip]
const ROUTES: &[Row] = &[
    ("GET", "/", "", EVERYBODY),
    ("GET", "/health", "", EVERYBODY),
    ("GET", "/connectors", "", EVERYBODY),
    ("GET", "/connectors?expand=info", "", EVERYBODY),
    ("GET", "/connectors?expand=status", "", EVERYBODY),
    ("GET", "/connectors?expand=info&expand=status", "", EVERYBODY),
    ("GET", "/connectors?expand=other", "", EVERYBODY),
    ("POST", "/connectors", r#"{"name":"{c}","config":{"a":"b"}}"#, [409, 409, 409, 409]),
    ("POST", "/connectors", r#"{"name":"free","config":{"a":"b"}}"#, [201, 201, 201, 201]),
    ("GET", "/connectors/{c}", "", OWNER),
    ("DELETE", "/connectors/{c}", "", [204, 403, 403, 204]),
    ("GET", "/connectors/{c}/config", "", OWNER),
    ("PUT", "/connectors/{c}/config", r#"{"a":"c"}"#, OWNER),
    ("PUT", "/connectors/free/config", r#"{"a":"b"}"#, [201, 201, 201, 201]),
    ("PATCH", "/connectors/{c}/config", r#"{"a":"c"}"#, OWNER),
    ("GET", "/connectors/{c}/status", "", OWNER),
    ("POST", "/connectors/{c}/restart", "", OWNER),
    ("POST", "/connectors/{c}/restart?includeTasks=true&onlyFailed=false", "", OWNER),
    ("PUT", "/connectors/{c}/pause", "", OWNER),
    ("PUT", "/connectors/{c}/resume", "", OWNER),
    ("PUT", "/connectors/{c}/stop", "", OWNER),
    ("GET", "/connectors/{c}/tasks", "", OWNER),
    ("POST", "/connectors/{c}/tasks", "[]", WORKER),
    ("GET", "/connectors/{c}/tasks-config", "", OWNER),
    ("GET", "/connectors/{c}/tasks/0/status", "", OWNER),
    ("POST", "/connectors/{c}/tasks/0/restart", "", OWNER),
    ("GET", "/connectors/{c}/topics", "", OWNER),
    ("PUT", "/connectors/{c}/topics/reset", "", OWNER),
    ("GET", "/connectors/{c}/offsets", "", OWNER),
    ("PATCH", "/connectors/{c}/offsets", r#"{"offsets":[]}"#, OWNER),
    ("DELETE", "/connectors/{c}/offsets", "", OWNER),
    ("PUT", "/connectors/{c}/fence", "", WORKER),
    ("GET", "/connector-plugins", "", EVERYBODY),
    ("GET", "/connector-plugins?connectorsOnly=false", "", EVERYBODY),
    ("GET", "/connector-plugins/P/config", "", EVERYBODY),
    ("PUT", "/connector-plugins/P/config/validate", r#"{"name":"{c}"}"#, EVERYBODY),
    ("GET", "/admin/loggers", "", ALL),
    ("GET", "/admin/loggers/root", "", ALL),
    ("PUT", "/admin/loggers/root", r#"{"level":"INFO"}"#, ALL),
    ("PUT", "/admin/loggers/root?scope=cluster", r#"{"level":"INFO"}"#, ALL),
    // What no release serves.
    ("GET", "/admin", "", [404, 404, 404, 404]),
    ("GET", "/connectors/{c}/secrets", "", [404, 404, 404, 404]),
    ("GET", "/extension/{c}", "", [404, 404, 404, 404]),
    ("DELETE", "/connectors", "", ALL),
    ("POST", "/connectors/{c}", "", OWNER),
    ("ODD", "/connectors/{c}/status", "", OWNER),
    ("POST", "/connector-plugins", "", ALL),
    // What comes with every route.
    ("HEAD", "/connectors", "", EVERYBODY),
    ("HEAD", "/connectors/{c}/config", "", OWNER),
    ("OPTIONS", "/connectors", "", EVERYBODY),
    ("OPTIONS", "/connectors/{c}", "", OWNER),
    ("HEAD", "/admin/loggers", "", ALL),
];

fn config(name: &str, owner: Option<&str>) -> Value {
    match owner {
        Some(owner) => json!({"password": format!("secret of {name}"), TAG: owner}),
        None => json!({"password": format!("secret of {name}")}),
    }
}

/// Answers as a worker does that knows a secret of each connector and tells it on every route.
fn telling(seen: &Seen) -> Script {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (seen.method.as_str(), parts.as_slice()) {
        ("GET" | "HEAD", ["connectors"]) if query.contains("expand=") => {
            let mut all = json!({});
            for (name, owner) in CONNECTORS {
                let mut shown = json!({});
                if query.contains("expand=info") {
                    shown["info"] = json!({"name": name, "config": config(name, owner)});
                }
                if query.contains("expand=status") {
                    shown["status"] = json!({"name": name, "trace": format!("secret of {name}")});
                }
                all[name] = shown;
            }
            Script::Reply(200, all.to_string())
        }
        ("GET" | "PUT" | "PATCH", ["connectors", _, "config"])
        | ("GET" | "HEAD" | "POST", ["connectors"])
        | ("DELETE", ["connectors", _]) => Script::Serve,
        (_, ["connectors", name, ..]) => Script::Reply(
            200,
            json!({"told": format!("secret of {name}")}).to_string(),
        ),
        _ => Script::Reply(200, json!({"served": seen.line()}).to_string()),
    }
}

/// The worker as it is before every request.
fn reset(worker: &Worker) {
    worker.remove("free");
    for (name, owner) in CONNECTORS {
        worker.put(name, config(name, owner));
    }
}

async fn start() -> (Worker, Gateway) {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address);
    let users = vec![
        own(CLIENT, "m:app:1"),
        own("relation-2:two", "m:b:2"),
        user(ADMIN, Some("m:ui:3")),
        user(OPERATOR, None),
    ];
    gateway.write_users("own", users);
    let gateway = gateway.start().await;
    worker.behave(telling);
    reset(&worker);
    (worker, gateway)
}

fn ask(login: &str, method: &str, path: &str, body: &str) -> Ask {
    let ask = Ask::new(method, path).login(login);
    if body.is_empty() { ask } else { ask.json(body) }
}

/// Nothing of another's, whether its content or that it is there.
fn tells_nothing_of_others(got: &Got, asked: &str, what: &str) {
    let text = String::from_utf8_lossy(&got.body);
    let headers = format!("{:?}", got.headers);
    for (name, _) in &CONNECTORS[1..] {
        for text in [&*text, &headers] {
            assert!(
                !text.contains(&format!("secret of {name}")),
                "{what}: {text}"
            );
            assert!(asked == *name || !text.contains(name), "{what}: {text}");
        }
    }
}

/// What reached the worker about a connector, besides the look at whose it is.
fn touched(seen: &[Seen], name: &str) -> Vec<String> {
    let look = format!("GET /connectors/{name}/config");
    let lines = seen.iter().map(Seen::line);
    lines
        .filter(|line| line.contains(&format!("/connectors/{name}")) && *line != look)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_is_for_whom_it_should_be() {
    let (worker, gateway) = start().await;
    let users = [(CLIENT, true), (ADMIN, false), (OPERATOR, false)];
    for (method, path, body, expected) in ROUTES {
        for (login, sees_own) in users {
            for (column, (connector, _)) in CONNECTORS.into_iter().enumerate() {
                reset(&worker);
                let before = worker.seen().len();
                let [path, body] = [path, body].map(|text| text.replace("{c}", connector));
                let what = format!("{login}: {method} {path}");
                let got = gateway.ask(ask(login, method, &path, &body)).await;
                let expect = if sees_own {
                    expected[column]
                } else {
                    expected[3]
                };
                assert_eq!(got.status.as_u16(), expect, "{what}: {got:?}");
                if expect == 403 && *method != "HEAD" {
                    assert!(got.message().starts_with("cannot "), "{what}");
                }
                if !sees_own {
                    continue;
                }
                tells_nothing_of_others(&got, connector, &what);
                if expect == 403 {
                    let seen = &worker.seen()[before..];
                    assert_eq!(touched(seen, connector), Vec::<String>::new(), "{what}");
                    let config = config(connector, CONNECTORS[column].1);
                    assert_eq!(worker.config(connector).unwrap(), config, "{what}");
                }
                if expect == 201 {
                    assert_eq!(worker.config("free").unwrap()[TAG], "m:app:1", "{what}");
                }
            }
        }
    }
}

#[test]
fn the_table_has_every_route() {
    let parse = |path: &str| {
        Target::parse(path.split('?').next().unwrap(), None)
            .unwrap()
            .route
    };
    let found: BTreeSet<&str> = ROUTES
        .iter()
        .map(|(_, path, ..)| parse(&path.replace("{c}", "c")).template())
        .collect();
    for route in Route::ALL {
        assert!(found.contains(route.template()), "{route:?}");
        assert_ne!(route, Route::Unknown);
    }
    assert!(
        ROUTES
            .iter()
            .all(|(method, ..)| method.parse::<Method>().is_ok())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_shows_the_readers_part_in_the_form_asked_for() {
    let (_worker, gateway) = start().await;
    let get = |login, path| gateway.ask(ask(login, "GET", path, ""));
    let config = config("mine", Some("m:app:1"));
    let info = json!({"name": "mine", "config": config});
    let status = json!({"name": "mine", "trace": "secret of mine"});
    let rows = [
        ("/connectors", json!(["mine"])),
        ("/connectors/?a=b", json!(["mine"])),
        ("/connectors?expand=info", json!({"mine": {"info": info}})),
        (
            "/connectors?expand=status",
            json!({"mine": {"status": status}}),
        ),
        (
            "/connectors?%65xpand=status&expand=in%66o",
            json!({"mine": {"info": info, "status": status}}),
        ),
        ("/connectors?expand", json!({"mine": {}})),
    ];
    for (path, expect) in rows {
        let got = get(CLIENT, path).await;
        assert_eq!(got.json(), expect, "{path}");
        assert_eq!(got.headers["content-type"], "application/json");
    }
    let all = get(OPERATOR, "/connectors").await.json();
    assert_eq!(all, json!(["mine", "theirs", "tools"]));
    // The length of the whole list would tell how much there is.
    let got = gateway.ask(ask(CLIENT, "HEAD", "/connectors", "")).await;
    assert_eq!(got.headers["content-length"], "8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_reaches_another_ones_connector() {
    let (worker, gateway) = start().await;
    let paths = [
        "/connectors/theirs/",
        "/connectors/theirs//",
        "//connectors/theirs",
        "/connectors//theirs",
        "/connectors/./theirs",
        "/connectors/mine/../theirs",
        "/connectors/mine/%2e%2e/theirs",
        "/connectors/mine/..;/theirs",
        "/connectors;a=b/theirs",
        "/connectors/theirs;a=b",
        "/connectors/mine;/theirs",
        "/connectors/th%65irs",
        "/connectors/%74%68%65%69%72%73",
        "/%63onnectors/theirs",
        "/CONNECTORS/theirs",
        "/connectors/theirs%2Fconfig",
        "/connectors/mine%2F..%2Ftheirs",
        "/connectors/mine%5c..%5ctheirs",
        "/connectors/mine%252F..%252Ftheirs",
        "/connectors/th%2565irs",
        "/connectors/%20theirs",
        "/connectors/theirs%20",
        "/connectors/theirs%09",
        "/connectors/theirs%00",
        "/connectors/theirs%3F",
        "/connectors/theirs?expand=info",
        "/connectors/mine?connector=theirs",
        "/connectors/theirs/config/",
        "/connectors/theirs/STATUS",
        "/connectors/theirs/%73tatus",
        "/connectors/theirs/status/",
        "/connectors/theirs/tasks/0/status/",
        "/connectors/theirs/offsets?forward=false",
        "/connectors/mine/../../admin/loggers",
        "/%61dmin/loggers",
        "/admin/%6coggers/",
        "/admin;/loggers",
        "/Admin/loggers",
        "/admin/loggers/a/b",
        "/./admin/loggers",
    ];
    // A connector with a name that the leader would read as another one.
    worker.put("th%65irs", config("mine", Some("m:app:1")));
    for path in paths {
        for method in ["GET", "HEAD", "DELETE", "PUT", "POST", "PATCH", "OPTIONS"] {
            let body = if matches!(method, "PUT" | "POST" | "PATCH") {
                "{}"
            } else {
                ""
            };
            let before = worker.seen().len();
            let got = gateway.ask(ask(CLIENT, method, path, body)).await;
            let what = format!("{method} {path}: {got:?}");
            if path.starts_with("/connectors/mine?") {
                assert!(got.status != 403, "{what}");
            } else {
                assert!(got.status.is_client_error(), "{what}");
            }
            tells_nothing_of_others(&got, "theirs", &what);
            let seen = &worker.seen()[before..];
            assert_eq!(touched(seen, "theirs"), Vec::<String>::new(), "{what}");
            assert_eq!(touched(seen, "th%2565irs"), Vec::<String>::new(), "{what}");
            assert!(
                !seen.iter().any(|seen| seen.path.contains("admin")),
                "{what}"
            );
        }
        reset(&worker);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_free_or_refused_and_a_race_for_it_has_one_winner() {
    let (worker, gateway) = start().await;
    let post = |name: &str| {
        let body = json!({"name": name, "config": {"a": "b"}}).to_string();
        ask(CLIENT, "POST", "/connectors", &body)
    };
    for name in ["th%65irs", "a/b", " theirs", "theirs ", "..", ""] {
        let got = gateway.ask(post(name)).await;
        assert_eq!(got.status, 400, "{name}");
        assert!(got.message().contains("name"), "{name}");
    }
    assert_eq!(gateway.ask(post("theirs")).await.status, 409);
    assert_eq!(gateway.ask(post("free ä")).await.status, 201);

    // Two clients put at once; the loser is told that it is not his.
    let put = |login| ask(login, "PUT", "/connectors/race/config", r#"{"a":"b"}"#);
    let [one, two] = [CLIENT, "relation-2:two"].map(put);
    let (one, two) = tokio::join!(gateway.ask(one), gateway.ask(two));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403]);
    let winner = if one.status == 201 {
        "m:app:1"
    } else {
        "m:b:2"
    };
    assert_eq!(worker.config("race").unwrap()[TAG], winner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_client_waits_for_is_not_told() {
    let (worker, gateway) = start().await;
    let busy =
        "Request timed out. The worker is currently stopping connector theirs, which began at x";
    worker.behave(move |seen| {
        if seen.line().ends_with("/config") && seen.method == "GET" {
            Script::Serve
        } else {
            crate::support::error(500, busy)
        }
    });
    let delete = |login| gateway.ask(ask(login, "DELETE", "/connectors/mine", ""));
    assert_eq!(delete(CLIENT).await.message(), "Request timed out.");
    assert_eq!(delete(OPERATOR).await.message(), busy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_changes_on_an_open_connection() {
    let (_worker, gateway) = start().await;
    let mut connection = crate::support::Connection::plain(gateway.client)
        .await
        .unwrap();
    let read = ask(CLIENT, "GET", "/connectors/theirs/config", "");
    assert_eq!(connection.send(&read).await.unwrap().status, 403);
    for (generation, users, status) in [
        ("shared", vec![user(CLIENT, Some("m:app:1"))], 200),
        ("own again", vec![own(CLIENT, "m:app:1")], 403),
    ] {
        gateway.write_users(generation, users);
        gateway
            .until("it is served", |state| state.users_generation == generation)
            .await;
        assert_eq!(connection.send(&read).await.unwrap().status, status);
    }
}
