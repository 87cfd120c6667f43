//! Whatever bytes come in, nothing panics, and nothing gets past the rules.
//!
//! The targets start from good input and from known tricks. `make fuzz` runs them for longer; an input
//! it keeps belongs into the seeds here.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use connect_core::gateway::OWNER_KEY;
use connect_gateway::files::{FileError, fingerprint, parse_users};
use connect_gateway::login::Login;
use connect_gateway::rules::{Rule, rule};
use connect_gateway::tag;
use connect_gateway::target::Target;
use connect_gateway::users::Check;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use serde_json::Value;

use crate::support::{CLIENT, Gateway, INTERNAL, Seen, Worker, basic};

fn run(target: &str, seeds: &[&str], judge: impl FnMut(&[u8])) {
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    testkit::fuzz::run(target, &kept, &seeds, judge);
}

const TARGETS: &[&str] = &[
    "/",
    "/connectors/",
    "/connectors?expand=info&expand=status",
    "/connectors/a%20b/status",
    "/connectors/%C3%A4/tasks/0/restart?includeTasks=true;forward=false",
    "/connectors/./..//%2e%2e/%2F%5c;a=b/tasks",
    "/connectors/a/%74asks?%66orward=true&+forward+",
    "/connector-plugins/org.x.Sink/config/validate",
    "/admin/loggers/root?scope=cluster",
    "/connectors/th%2565irs%00%ff%zz/config",
    "//..;/connectors\\a",
];

/// What was accepted is read in the same way again, by us and by whoever reads it after us.
#[test]
fn request_target() {
    run("request-target", TARGETS, |bytes| {
        let Ok(asked) = PathAndQuery::try_from(bytes) else {
            return;
        };
        let Ok(target) = Target::parse(asked.path(), asked.query()) else {
            return;
        };
        let text = target.to_path_and_query();
        let sent = PathAndQuery::try_from(text.as_str()).expect("what is sent is a target");
        let again = Target::parse(sent.path(), sent.query()).expect("what is sent is accepted");
        assert_eq!(again, target);
        assert_eq!(again.to_path_and_query(), text);
        let path = sent.path();
        for trick in ["//", "/./", "/../", ";", "\\", "%2F", "%5C", "%00"] {
            assert!(!path.contains(trick), "{path}");
        }
        assert!(!path.ends_with("/.") && !path.ends_with("/.."), "{path}");
        if let Some(name) = target.connector() {
            let config = Target::config_of(name).to_path_and_query();
            let start = config.strip_suffix("/config").unwrap();
            assert!(
                path.starts_with(start),
                "the owner is looked up of what is used: {path}"
            );
        }
        if target.expand().is_some() {
            assert!(sent.query().is_some());
        }
    });
}

/// A login is exactly what was encoded, and only the right one comes in.
#[test]
fn authorization_header() {
    let right = basic(CLIENT);
    let seeds = [
        right.as_str(),
        "basic cmVsYXRpb24tMTo=",
        "Basic YTpiOmM=",
        "Basic  YTpi ",
        "Bearer YTpi",
        "Basic YTpi, Basic YTpi",
        "Basic /w==",
        "Basic Og==",
    ];
    let users = connect_gateway::users::UserTable::new(&connect_core::gateway::Users {
        generation: String::new(),
        users: vec![crate::support::user(CLIENT, None)],
    });
    let users = users.unwrap();
    run("authorization", &seeds, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else {
            return;
        };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        let Some(login) = Login::of(&headers) else {
            return;
        };
        let text = format!("{}:{}", login.username, login.password);
        assert!(!login.username.contains(':'));
        let again = HeaderValue::try_from(basic(&text)).unwrap();
        headers.insert(AUTHORIZATION, again);
        let again = Login::of(&headers).expect("what was a login is one");
        assert_eq!(
            (&again.username, &again.password),
            (&login.username, &login.password)
        );
        let enters = matches!(users.check(&login), Check::Right(_));
        assert_eq!(enters, text == CLIENT, "{text}");
    });
}

/// A users file is served whole or not at all, and no error quotes a hash.
#[test]
fn users_file() {
    let hash = fingerprint(b"password");
    let good = format!(
        r#"{{"generation":"g","users":[{{"name":"a","passwords_sha256":["{hash}"],"owner":"m:a:1","access":"own"}},
        {{"name":"b","passwords_argon2id":["$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"],"owner":null}}]}}"#
    );
    let seeds = [
        good.as_str(),
        r#"{"generation":"","users":[]}"#,
        r#"{"generation":"g","users":[{"name":"a","passwords_sha256":[],"owner":null,"access":"all"}]}"#,
        r#"{"generation":"g","users":[{"name":"","passwords_sha256":["e3b0"],"owner":""}],"more":[[[[]]]]}"#,
        "",
    ];
    let path = PathBuf::from("users.json");
    run("users-file", &seeds, |bytes| {
        let users = match parse_users(&path, bytes) {
            Ok(users) => users,
            Err(error) => {
                let text = connect_gateway::service::chain(&error);
                assert!(!text.contains(&hash[..16]), "{text}");
                assert!(!matches!(error, FileError::Setting { .. }));
                return;
            }
        };
        let parsed: Value = serde_json::from_slice(bytes).expect("what is served is JSON");
        let listed = parsed["users"].as_array().expect("users are a list");
        assert_eq!(users.len(), listed.len());
        assert_eq!(parsed["generation"], users.generation.as_str());
        for user in listed {
            let name = user["name"].as_str().expect("a name is text");
            let login = |password: &str| Login {
                username: name.to_owned(),
                password: password.to_owned(),
            };
            assert!(matches!(users.check(&login("")), Check::Wrong));
            if let Check::Right(caller) = users.check(&login("password")) {
                assert_eq!(user["owner"].as_str(), caller.owner.as_deref());
            }
        }
    });
}

/// A body that is sent on has the tag it must have, once, for whatever parser reads it.
#[test]
fn configuration_body() {
    let seeds = [
        r#"{"name":"x","config":{"a":"1","juju.client":"you"}}"#,
        r#"{"name":"x","config":{"juju\u002eclient":null,"juju.client":2},"config":{},"initial_state":"STOPPED"}"#,
        r#"{"a":null,"\u006auju.client":"me","b":[1.10,{"juju.client":3}]}"#,
        "{\"config\":{\"\u{e4}\":\"\\ud83d\\ude00\"}}",
        "[]",
    ];
    run("configuration", &seeds, |bytes| {
        // Read as far as the gateway does: a value may hold what only the client and the worker
        // understand, such as half of a surrogate pair.
        let object = |bytes: &[u8]| tag::read_config(bytes).expect("what is sent is an object");
        if let Ok((sent, name)) = tag::tag_creation(bytes, Some("me")) {
            let body = object(&sent);
            let config = object(body["config"].get().as_bytes());
            assert_eq!(tag::owner_of(&config).as_deref(), Some("me"));
            let sent_name = body
                .get("name")
                .map(|name| serde_json::from_str::<String>(name.get()));
            assert_eq!(sent_name.and_then(Result::ok), name);
        }
        if let Ok(sent) = tag::check_patch(bytes) {
            assert!(!object(&sent).contains_key(OWNER_KEY));
        }
        if let Ok(config) = tag::read_config(bytes) {
            let without = tag::write_config(config, None).unwrap();
            assert!(!object(&without).contains_key(OWNER_KEY));
            let with = tag::write_config(object(&without), Some("me")).unwrap();
            assert_eq!(tag::owner_of(&object(&with)).as_deref(), Some("me"));
        }
    });
}

/// Request lines and headers, on a real socket: the worker gets only what it may get, and only with the
/// right password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_head() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let login = basic(CLIENT);
    let seeds = heads(&login);
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let address = gateway.client;
    tokio::task::block_in_place(|| {
        run("request-head", &seeds, |bytes| {
            let answer = exchange(address, bytes);
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1."),
                "{answer}"
            );
            let seen = worker.take_seen();
            // The scheme is read in any case, the credential byte for byte.
            let credential = login.split_once(' ').unwrap().1.as_bytes();
            let known = bytes
                .windows(credential.len())
                .any(|part| part == credential);
            assert!(known || seen.is_empty(), "{seen:?}");
            assert!(known || !answer.contains("HTTP/1.1 2"), "{answer}");
            for seen in &seen {
                is_fit_for_a_worker(seen);
            }
        });
    });
    assert_eq!(gateway.get("/").await.status, 200, "it serves as before");
    assert!(!gateway.running.as_ref().unwrap().is_finished());
}

fn is_fit_for_a_worker(seen: &Seen) {
    let (path, query) = seen
        .path
        .split_once('?')
        .map_or((&*seen.path, None), |(p, q)| (p, Some(q)));
    let target = Target::parse(path, query).expect("a worker gets targets in normal form");
    assert_eq!(target.to_path_and_query(), seen.path);
    assert!(!target.forward(), "{seen:?}");
    let rule = rule(&seen.method.parse().unwrap(), target.route);
    assert!(!matches!(rule, Rule::Worker | Rule::Nobody), "{seen:?}");
    assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
    assert_eq!(seen.headers["authorization"], basic(INTERNAL));
    for name in [
        "x-connect-authorization",
        "x-gateway-hop",
        "expect",
        "upgrade",
        "te",
    ] {
        assert!(!seen.headers.contains_key(name), "{seen:?}");
    }
}

fn heads(login: &str) -> Vec<String> {
    let auth = format!("Authorization: {login}\r\n");
    let hidden = format!("DELETE /connectors/hidden HTTP/1.1\r\nHost: g\r\n{auth}\r\n");
    let mut heads = vec![
        format!("GET /connectors HTTP/1.1\r\nHost: g\r\n{auth}\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: g\r\n{auth}\r\nGET /health HTTP/1.1\r\nHost: g\r\n{auth}\r\n"
        ),
        "GET /connectors HTTP/1.1\r\nHost: g\r\n\r\n".to_owned(),
        format!("GET http://g/connectors HTTP/1.1\r\nHost: g\r\nHost: h\r\n{auth}\r\n"),
        format!(
            "PUT /connectors/a/fence HTTP/1.1\r\nHost: g\r\n{auth}X-Connect-Authorization: x\r\nX-Gateway-Hop: 1\r\n\r\n"
        ),
        format!(
            "GET /connectors?forward=true HTTP/1.0\r\nConnection: keep-alive, Authorization\r\n{auth}\r\n"
        ),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{auth}"),
    ];
    let body = r#"{"name":"a","config":{"a":"b"}}"#;
    let length = body.len();
    let json = "Content-Type: application/json\r\n";
    heads.push(format!(
        "POST /connectors HTTP/1.1\r\nHost: g\r\n{auth}{json}Content-Length: {length}\r\n\r\n{body}"
    ));
    heads.push(format!("POST /connectors HTTP/1.1\r\nHost: g\r\n{auth}{json}Transfer-Encoding: chunked\r\n\r\n{length:x};a=b\r\n{body}\r\n0\r\nX-T: a\r\n\r\n{hidden}"));
    heads.push(format!("POST /connectors/a/restart HTTP/1.1\r\nHost: g\r\n{auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n{hidden}"));
    for target in TARGETS {
        heads.push(format!("GET {target} HTTP/1.1\r\nHost: g\r\n{auth}\r\n"));
    }
    heads
}

/// Sends, waits a moment for the answer, closes, and returns all that came.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut answer = Vec::new();
    // The door may close before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut answer);
    let _ = stream.shutdown(Shutdown::Write);
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = stream.read_to_end(&mut answer);
    answer
}
