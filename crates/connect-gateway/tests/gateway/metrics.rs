//! The metrics port, and the log level under way.

use std::process::Stdio;

use connect_core::gateway::{LogLevel, Metrics};

use crate::support::{Ask, Authority, CLIENT, Gateway, Got, Script, Worker, send, until};

async fn page(gateway: &Gateway) -> String {
    let address = gateway.settings.metrics.as_ref().unwrap().listen[0];
    let Got {
        status,
        headers,
        body,
    } = send(address, Ask::new("GET", "/metrics")).await;
    assert_eq!(status, 200);
    let kind = headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    String::from_utf8(body.to_vec()).unwrap()
}

/// The value of one line; 0 if there is none.
fn value(page: &str, line: &str) -> f64 {
    let found = page.lines().find_map(|one| {
        let rest = one.strip_prefix("connect_gateway_")?.strip_prefix(line)?;
        rest.strip_prefix(' ')?.parse().ok()
    });
    found.unwrap_or(0.0)
}

fn free() -> std::net::SocketAddr {
    let listener = crate::support::listener([127, 0, 0, 1].into());
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).with_peer_door(&authority);
    let address = free();
    gateway.settings.metrics = Some(Metrics {
        listen: vec![address],
    });
    gateway.write_settings();
    let gateway = gateway.start().await;
    gateway
        .until("its port is open", |state| state.metrics)
        .await;

    let mut first = true;
    worker.behave(move |_| {
        if std::mem::take(&mut first) {
            crate::support::error(503, "starting")
        } else {
            Script::Serve
        }
    });
    assert_eq!(gateway.get("/connectors").await.status, 200);
    let secret = "a-secret-connector";
    let odd = Ask::new("BREW", &format!("/connectors/{secret}")).login(CLIENT);
    gateway.ask(odd).await;
    for login in ["relation-1:wrong", "a-secret-user:x"] {
        let ask = Ask::new("GET", "/").login(login);
        assert_eq!(gateway.ask(ask).await.status, 401);
    }
    let page = page(&gateway).await;
    let rows = [
        (
            r#"requests_total{door="client",method="GET",route="/connectors",status="200"}"#,
            1.0,
        ),
        (r#"request_duration_seconds_count{door="client"}"#, 4.0),
        ("retries_total", 1.0),
        (r#"refused_logins_total{door="client"}"#, 2.0),
        ("worker_up", 1.0),
        ("users", 2.0),
        (r#"users_generation{generation="one"}"#, 1.0),
        (r#"door_open{door="client"}"#, 1.0),
        (r#"door_open{door="peer"}"#, 1.0),
        ("fault", 0.0),
    ];
    for (line, expect) in rows {
        assert!((value(&page, line) - expect).abs() < 1e-9, "{line}: {page}");
    }
    let expiry = value(
        &page,
        r#"certificate_expiry_timestamp_seconds{door="peer"}"#,
    );
    let told = gateway.state().peer_certificate.unwrap().not_after;
    assert_eq!(format!("{expiry}"), told.to_string());
    assert!(value(&page, "waited_seconds_total") >= 0.2, "{page}");
    assert!(page.contains(r#"method="other""#) && page.ends_with("# EOF\n"));
    for text in [secret, "a-secret-user", "relation-1", "BREW"] {
        assert!(!page.contains(text), "{text}");
    }
    // It shows nothing else, and is no way to the worker.
    let seen = worker.seen().len();
    for path in ["/", "/connectors", "/metrics/"] {
        assert_eq!(send(address, Ask::new("GET", path)).await.status, 404);
    }
    let post = Ask::new("POST", "/metrics").login(CLIENT);
    assert_eq!(send(address, post).await.status, 405);
    assert_eq!(worker.seen().len(), seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_shown_and_the_port_comes_and_goes() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).start().await;
    assert!(!gateway.state().metrics);
    let address = free();
    gateway.settings.metrics = Some(Metrics {
        listen: vec![address],
    });
    gateway.write_settings();
    gateway.until("it opens", |state| state.metrics).await;
    worker.set_healthy(false);
    gateway.write_users("two", vec![]);
    gateway
        .until("both are seen", |state| {
            !state.worker_healthy && state.users_generation == "two"
        })
        .await;
    let page = page(&gateway).await;
    assert!(value(&page, "worker_up").abs() < 1e-9, "{page}");
    assert!(page.contains(r#"users_generation{generation="two"} 1"#));
    assert!(!page.contains(r#"generation="one""#), "{page}");
    gateway.settings.metrics = None;
    gateway.write_settings();
    gateway.until("it closes", |state| !state.metrics).await;
    until("nobody listens", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_level_changes_under_way_and_changes_are_always_told() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    gateway.client = free();
    gateway.settings.client_door.listen = vec![gateway.client];
    gateway.settings.log_level = LogLevel::Error;
    gateway.write_settings();
    let path = gateway.directory.path().join("log");
    let program = env!("CARGO_BIN_EXE_kafka-connect-gateway");
    let _program = tokio::process::Command::new(program)
        .args(["run", "--settings"])
        .arg(gateway.settings_path())
        .stderr(Stdio::from(std::fs::File::create(&path).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    gateway
        .until("it serves", |state| state.worker_healthy)
        .await;
    let count = |target: &str| {
        let log = std::fs::read_to_string(&path).unwrap();
        let wanted = format!(r#""target":"{target}""#);
        log.lines().filter(|line| line.contains(&wanted)).count()
    };
    let post = |name: &str| {
        let body = format!(r#"{{"name":"{name}","config":{{}}}}"#);
        Ask::new("POST", "/connectors").login(CLIENT).json(&body)
    };
    assert_eq!(gateway.get("/connectors").await.status, 200);
    assert_eq!(gateway.ask(post("a")).await.status, 201);
    until("the change is told", || count("audit") == 1).await;
    assert_eq!(count("access"), 0);
    gateway.settings.log_level = LogLevel::Info;
    let before = gateway.state().settings_generation;
    gateway.write_settings();
    gateway
        .until("it is told", |state| state.settings_generation != before)
        .await;
    until("reads are told", || {
        let answer = std::net::TcpStream::connect(gateway.client);
        let mut stream = answer.unwrap();
        let head = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ";
        let login = crate::support::basic(CLIENT);
        let text = format!("{head}{login}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
        std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap();
        count("access") > 0
    })
    .await;
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains(r#""client":"m:app:1""#), "{log}");
}
