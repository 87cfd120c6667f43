//! Who comes in by the client door, and with what.

use crate::support::{
    Ask, CLIENT, Gateway, INTERNAL, OPERATOR, Script, Worker, basic, error, user,
};
use serde_json::json;

const TAG: &str = "juju.client";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_users_with_the_right_password_come_in() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let inside = [CLIENT, OPERATOR];
    for login in inside {
        let got = gateway.ask(Ask::new("GET", "/").login(login)).await;
        assert_eq!(
            (got.status.as_u16(), got.json()),
            (200, json!({"version": "4.1.2"})),
            "{login}"
        );
    }
    let sent = worker.seen().len();
    assert_eq!(sent, inside.len());
    for seen in worker.seen() {
        assert_eq!(
            seen.headers["authorization"],
            basic(INTERNAL),
            "the worker knows one user only"
        );
    }
    let outside = [
        None,
        Some(basic("relation-1:wrong")),
        Some(basic("relation-1:")),
        Some(basic("relation-10:client pass:word ü")),
        Some(basic("nobody:x")),
        Some(basic(INTERNAL)),
        Some("Basic %%%".to_owned()),
        Some("Bearer abc".to_owned()),
    ];
    for header in outside {
        let mut ask = Ask::new("GET", "/connectors");
        if let Some(header) = &header {
            ask = ask.header("authorization", header);
        }
        let got = gateway.ask(ask).await;
        assert_eq!(got.status, 401, "{header:?}");
        assert!(
            got.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic realm=\"")
        );
        assert_eq!(got.headers["content-type"], "application/json");
        assert!(!got.message().is_empty());
    }
    assert_eq!(
        worker.seen().len(),
        sent,
        "nothing of it reached the worker"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_between_units_is_refused() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let ask = |method, path| Ask::new(method, path).login(CLIENT);
    let rows = [
        (ask("POST", "/connectors/a/tasks").json("[]"), 403),
        (ask("POST", "/connectors/a/%74asks/").json("[]"), 403),
        (ask("PUT", "/connectors/a/fence"), 403),
        (
            ask("PUT", "/connectors/a/restart").header("X-Connect-Authorization", "x"),
            403,
        ),
        (ask("GET", "/connectors").header("X-Gateway-Hop", "1"), 403),
        (ask("GET", "/connectors?forward=true"), 400),
        (ask("DELETE", "/connectors/a?%66orward=false"), 400),
        (ask("POST", "/connectors/a/tasks;a=b").json("[]"), 400),
        (ask("GET", "//connectors"), 400),
        (ask("GET", "/connectors/../health"), 400),
        (ask("GET", "/connectors/a%2Fb"), 400),
        (ask("GET", "/connectors/a%00"), 400),
        (ask("TRACE", "/connectors"), 405),
        (ask("GET", "/unheard/of"), 404),
        (ask("GET", "/connectors").header("Expect", "a miracle"), 417),
    ];
    for (number, (ask, status)) in rows.into_iter().enumerate() {
        let got = gateway.ask(ask).await;
        assert_eq!(got.status.as_u16(), status, "row {number}");
        assert!(!got.message().is_empty(), "row {number}");
    }
    assert_eq!(worker.lines(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_reach_the_worker_without_what_belongs_to_the_connection() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let ask = Ask::new("POST", "/connectors/a%20b/restart/?includeTasks=true")
        .login(CLIENT)
        .header("Connection", "X-Private")
        .header("X-Private", "1")
        .header("TE", "trailers")
        .header("Accept-Encoding", "gzip")
        .header("X-Http-Method-Override", "DELETE")
        .header("Accept", "application/json");
    assert_eq!(gateway.ask(ask).await.status, 200);
    let seen = worker.seen().remove(0);
    assert_eq!(
        seen.line(),
        "POST /connectors/a%20b/restart?includeTasks=true"
    );
    assert_eq!(
        seen.headers["host"],
        gateway.client.to_string(),
        "for links in answers"
    );
    assert_eq!(seen.headers["accept"], "application/json");
    for name in [
        "connection",
        "x-private",
        "te",
        "accept-encoding",
        "x-http-method-override",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_carries_its_creator_and_keeps_it() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).open().await;
    let other = "relation-2:other";
    let users = vec![
        user(CLIENT, Some("m:app:1")),
        user(OPERATOR, None),
        user(other, Some("m:b:2")),
    ];
    gateway.write_users("two", users);
    gateway
        .until("both are there", |state| {
            state.users_generation == "two" && state.worker_healthy
        })
        .await;
    let tag = |connector| worker.config(connector).unwrap().get(TAG).cloned();
    let mine = Some(json!("m:app:1"));
    let put = |name, login, body: &str| {
        Ask::new("PUT", &format!("/connectors/{name}/config"))
            .login(login)
            .json(body)
    };

    let create = |login, body: &str| Ask::new("POST", "/connectors").login(login).json(body);
    let forged = r#"{"name":"post","config":{"a":"1","juju.client":"m:b:2"}}"#;
    assert_eq!(gateway.ask(create(CLIENT, forged)).await.status, 201);
    assert_eq!(tag("post"), mine);

    assert_eq!(
        gateway.ask(put("put", CLIENT, r#"{"a":"1"}"#)).await.status,
        201
    );
    assert_eq!(tag("put"), mine);
    let line = worker.lines().pop().unwrap();
    assert_eq!(
        line, "POST /connectors",
        "so that only one of two clients gets the name"
    );

    // Neither its own client, nor another one, nor an operator changes the owner.
    for login in [CLIENT, other, OPERATOR] {
        let body = r#"{"a":"2","juju.client":"m:b:2"}"#;
        assert_eq!(gateway.ask(put("put", login, body)).await.status, 200);
        assert_eq!(tag("put"), mine, "{login}");
        assert_eq!(worker.config("put").unwrap()["a"], "2");
    }

    let patch = |body: &str| {
        Ask::new("PATCH", "/connectors/put/config")
            .login(CLIENT)
            .json(body)
    };
    assert_eq!(gateway.ask(patch(r#"{"a":"3"}"#)).await.status, 200);
    assert_eq!(
        worker.config("put").unwrap(),
        json!({"a": "3", TAG: "m:app:1"})
    );
    for body in [
        r#"{"juju.client":"m:b:2"}"#,
        r#"{"juju.client":null}"#,
        r#"{"juju\u002eclient":null}"#,
    ] {
        let got = gateway.ask(patch(body)).await;
        assert_eq!(got.status, 400);
        assert!(got.message().contains(TAG));
    }
    assert_eq!(tag("put"), mine);

    // What an operator or another tool made has no owner, and gets none.
    assert_eq!(
        gateway
            .ask(create(OPERATOR, r#"{"name":"op","config":{}}"#))
            .await
            .status,
        201
    );
    worker.put("tool", json!({"a": "1"}));
    for name in ["op", "tool"] {
        assert_eq!(tag(name), None);
        assert_eq!(
            gateway.ask(put(name, CLIENT, r#"{"a":"9"}"#)).await.status,
            200
        );
        assert_eq!(tag(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_who_want_a_name_one_gets_it() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    // Between the look and the creation somebody else is quicker.
    let mut looks = 0;
    worker.behave(move |seen| {
        if seen.line() == "GET /connectors/x/config" {
            looks += 1;
            if looks == 1 {
                return error(404, "Connector x not found");
            }
        }
        Script::Serve
    });
    worker.put("x", json!({"a": "1", TAG: "m:b:2"}));
    let ask = Ask::new("PUT", "/connectors/x/config")
        .login(CLIENT)
        .json(r#"{"a":"2"}"#);
    assert_eq!(gateway.ask(ask).await.status, 200);
    assert_eq!(worker.config("x").unwrap(), json!({"a": "2", TAG: "m:b:2"}));
    let expect = [
        "GET /connectors/x/config",
        "POST /connectors",
        "GET /connectors/x/config",
        "PUT /connectors/x/config",
    ];
    assert_eq!(worker.lines(), expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_a_size_and_a_shape() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let large =
        |bytes: usize| format!(r#"{{"name":"x","config":{{"a":"{}"}}}}"#, "x".repeat(bytes));
    let post = |path: &str, body: &str| Ask::new("POST", path).login(CLIENT).json(body);
    assert_eq!(
        gateway
            .ask(post("/connectors", &large(900_000)))
            .await
            .status,
        201
    );
    let got = gateway.ask(post("/connectors", &large(1024 * 1024))).await;
    assert_eq!(got.status, 413);
    assert!(got.message().contains("1048576"));
    for body in ["", "[]", "{", r#"{"name":"x"}"#] {
        let got = gateway.ask(post("/connectors", body)).await;
        assert_eq!(got.status, 400, "{body}");
        assert!(!got.message().is_empty());
    }
    let packed = post("/connectors", "{}").header("Content-Encoding", "gzip");
    assert_eq!(gateway.ask(packed).await.status, 415);

    // Other bodies stream, up to a bound of their own.
    let sent = worker.seen().len();
    let offsets = |bytes| {
        Ask::new("PATCH", "/connectors/x/offsets")
            .login(CLIENT)
            .body(vec![b' '; bytes])
    };
    assert_eq!(gateway.ask(offsets(3_000_000)).await.status, 200);
    assert_eq!(worker.seen().pop().unwrap().body.len(), 3_000_000);
    assert_eq!(gateway.ask(offsets(17 * 1024 * 1024)).await.status, 413);
    assert_eq!(worker.seen().len(), sent + 1);
}
