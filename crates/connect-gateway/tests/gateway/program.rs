//! The program: its commands, its log, its end.

use std::process::{Output, Stdio};
use std::time::Duration;

use connect_gateway::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{Ask, Authority, CLIENT, Gateway, INTERNAL, Worker, basic, send, until};

fn command(gateway: &Gateway, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-connect-gateway"));
    command
        .arg(name)
        .arg("--settings")
        .arg(gateway.settings_path())
        .kill_on_drop(true);
    command
}

async fn output(gateway: &Gateway, name: &str) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(gateway, name).output().await.unwrap();
    let text = [stdout, stderr].concat();
    (status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_good_files_from_bad_ones() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    let (fine, text) = output(&gateway, "check").await;
    assert!(fine, "{text}");
    std::fs::write(gateway.users_path(), "{\"users\": \"a secret\"}").unwrap();
    let (fine, text) = output(&gateway, "check").await;
    assert!(!fine && text.contains("users.json"), "{text}");
    assert!(!text.contains("a secret"), "{text}");
    gateway.settings.worker.address = "10.0.0.1:8083".parse().unwrap();
    gateway.write_settings();
    let (fine, text) = output(&gateway, "check").await;
    assert!(!fine && text.contains("worker.address"), "{text}");
    let (fine, text) = output(&gateway, "run").await;
    assert!(!fine && text.contains("worker.address"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_logs_and_ends_when_told() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    // The listeners of the test stay closed to the program, so it gets ports of its own.
    let free = crate::support::listener([127, 0, 0, 1].into())
        .local_addr()
        .unwrap();
    gateway.settings.client_door.listen = vec![free];
    gateway.client = free;
    gateway.write_settings();
    let mut program = command(&gateway, "run")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it serves", || gateway.state().worker_healthy).await;
    let (fine, text) = output(&gateway, "status").await;
    assert!(fine && text.contains("one"), "{text}");

    let body = r#"{"name":"my-connector","config":{"password":"of the body"}}"#;
    let post = Ask::new("POST", "/connectors").login(CLIENT).json(body);
    assert_eq!(send(free, post).await.status, 201);
    assert_eq!(
        gateway
            .get("/connectors/my-connector/config?q=of-the-query")
            .await
            .status,
        200
    );
    assert_eq!(
        send(free, Ask::new("GET", "/").login("relation-1:wrong"))
            .await
            .status,
        401
    );

    let pid = program.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let output = async {
        let mut stderr = program.stderr.take().unwrap();
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut text)
            .await
            .unwrap();
        (program.wait().await.unwrap(), text)
    };
    let (status, log) = tokio::time::timeout(Duration::from_secs(5), output)
        .await
        .unwrap();
    assert!(status.success());
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("the log is JSON"))
        .collect();
    let audit = lines
        .iter()
        .find(|line| line["target"] == "audit")
        .expect("changes are logged");
    assert_eq!(audit["user"], "relation-1");
    assert_eq!(audit["method"], "POST");
    assert_eq!(audit["route"], "/connectors");
    assert_eq!(audit["connector"], "my-connector");
    assert_eq!(audit["status"], 201);
    assert!(audit["duration_ms"].is_u64());
    let access = lines
        .iter()
        .find(|line| line["target"] == "access")
        .expect("reads are logged");
    assert_eq!(access["route"], "/connectors/{connector}/config");
    let (_, internal) = INTERNAL.split_once(':').unwrap();
    for secret in [
        "pass:word",
        "of the body",
        "of-the-query",
        "wrong",
        internal,
        "Basic",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_holds_its_writes_from_hold_to_release() {
    let authority = Authority::new();
    let workers = (Worker::start().await, Worker::start().await);
    let [nobody, gone] = [0, 1].map(|_| {
        let listener = crate::support::listener([127, 0, 0, 1].into());
        listener.local_addr().unwrap()
    });
    let other = Gateway::prepare(workers.1.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let ours = Gateway::prepare(workers.0.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", other.peer)
        .with_peer("connect/2", nobody)
        .start()
        .await;
    let put = |gateway: &Gateway, number: u32| {
        let body = format!(r#"{{"a":"{number}"}}"#);
        let put = Ask::new("PUT", "/connectors/x/config").login(CLIENT);
        send(gateway.client, put.json(&body))
    };
    assert_eq!(put(&other, 1).await.status, 201);

    let started = Instant::now();
    let (fine, text) = output(&ours, "hold").await;
    assert!(fine, "{text}");
    for expect in [
        "this unit: done",
        "connect/1: done",
        "connect/2: cannot connect to ",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    assert!(started.elapsed() >= limits::QUIET, "after a write just now");

    let writes =
        || [&workers.0, &workers.1].map(|worker| worker.config("x").map(|it| it["a"].clone()));
    let before = writes();
    let held = tokio::spawn(put(&ours, 2));
    let held_there = tokio::spawn(put(&other, 2));
    for gateway in [&ours, &other] {
        assert_eq!(gateway.get("/connectors").await.status, 200, "reads go on");
        let validate = Ask::new("PUT", "/connector-plugins/x/config/validate").login(CLIENT);
        let validated = send(gateway.client, validate.json("{}")).await;
        assert_eq!(validated.waited_ms(), 0, "what changes nothing is not held");
        let client = Ask::new("POST", "/gateway/writes/release").login(CLIENT);
        assert_eq!(
            send(gateway.client, client).await.status,
            404,
            "no client's business"
        );
    }
    assert!(!held.is_finished() && !held_there.is_finished());
    assert_eq!(writes(), before);

    let (fine, text) = output(&ours, "release").await;
    assert!(fine && text.contains("connect/1: done"), "{text}");
    for held in [held, held_there] {
        let got = held.await.unwrap();
        assert!(got.status.is_success() && got.waited_ms() > 0, "{got:?}");
    }

    // Nobody to ask is no failure: whoever stops the worker goes on.
    let mut alone = Gateway::prepare(workers.0.address).with_peer_door(&authority);
    alone.settings.peer_door.as_mut().unwrap().listen = vec![gone];
    alone.write_settings();
    for name in ["hold", "release"] {
        let (fine, text) = output(&alone, name).await;
        assert!(fine && text.contains("this unit: cannot connect"), "{text}");
    }
    let (fine, text) = output(&Gateway::prepare(workers.0.address), "hold").await;
    assert!(fine && text.is_empty(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_stops_still_hears_that_writes_may_go_on() {
    let authority = Authority::new();
    let workers = (Worker::start().await, Worker::start().await);
    let mut stops = Gateway::prepare(workers.1.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let ours = Gateway::prepare(workers.0.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", stops.peer)
        .start()
        .await;
    let (fine, text) = output(&ours, "hold").await;
    assert!(fine && text.contains("connect/1: done"), "{text}");

    // Asked to go on with its body, so that it is there before the door closes.
    let mut stream = TcpStream::connect(stops.client).await.unwrap();
    let login = basic(CLIENT);
    let head = format!(
        "PUT /connectors/x/config HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"HTTP/1.1 100 Continue\r\n\r\n");
    stops.ask_to_stop();
    stream.write_all(br#"{"a":"1"}"#).await.unwrap();
    stops
        .until("its client door is closed", |state| {
            state.client_protocol.is_none()
        })
        .await;
    assert_eq!(workers.1.config("x"), None, "it is held");

    let released = Instant::now();
    let (fine, text) = output(&ours, "release").await;
    assert!(fine && text.contains("connect/1: done"), "{text}");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(released.elapsed() < limits::HOLD / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_leaves_serves_its_clients_until_they_go() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let alone = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let started = Instant::now();
    let (fine, text) = output(&alone, "leave").await;
    assert!(fine && text.is_empty(), "nobody to go to: {text}");
    assert!(started.elapsed() < limits::LEAVE_IDLE);
    let leaves = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", alone.peer)
        .start()
        .await;
    let client = Ask::new("POST", "/gateway/leave").login(CLIENT);
    assert_eq!(send(leaves.client, client).await.status, 404);
    let asked = async {
        tokio::time::sleep(limits::LEAVE_IDLE / 4).await;
        let now = Instant::now();
        assert_eq!(leaves.get("/connectors").await.status, 200);
        now
    };
    let ((fine, text), last) = tokio::join!(output(&leaves, "leave"), asked);
    assert!(fine, "{text}");
    assert!(last.elapsed() >= limits::LEAVE_IDLE);

    let nobody = crate::support::listener([127, 0, 0, 1].into());
    let nobody = nobody.local_addr().unwrap();
    let mut down = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", alone.peer);
    down.settings.peer_door.as_mut().unwrap().listen = vec![nobody];
    down.write_settings();
    let (fine, text) = output(&down, "leave").await;
    assert!(!fine && text.contains("cannot connect to"), "{text}");
}
