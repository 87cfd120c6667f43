//! The program as systemd runs it: sockets handed over, notices, an upgrade, a crash, the limits of
//! patience at the end. The listener of the test stands for the one that systemd holds.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::{Ask, CLIENT, Connection, Gateway, OPERATOR, Script, Worker, send, until};

/// Starts the program with the socket as systemd hands it over.
fn start(gateway: &Gateway, socket: &TcpListener, notify: Option<&str>) -> Child {
    let program = env!("CARGO_BIN_EXE_kafka-connect-gateway");
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {program} run --settings \"$1\""
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(gateway.settings_path())
        .stdin(OwnedFd::from(socket.try_clone().unwrap()))
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(notify) = notify {
        command.env("NOTIFY_SOCKET", notify);
    }
    command.spawn().unwrap()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().await;
    assert!(sent.unwrap().success());
}

/// Files whose client door is a socket of the test's own.
fn prepare(worker: SocketAddr) -> (Gateway, TcpListener) {
    let mut gateway = Gateway::prepare(worker);
    let socket = crate::support::listener([127, 0, 0, 1].into());
    gateway.client = socket.local_addr().unwrap();
    gateway.settings.client_door.listen = vec![gateway.client];
    gateway.write_settings();
    (gateway, socket)
}

/// Clients that ask again and again: one that keeps its connection and opens another only when told
/// to, and one that opens a connection each time.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU32>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let client = |keeps: bool| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            tokio::spawn(async move {
                let ask = Ask::new("GET", "/connectors").login(CLIENT);
                let mut connection = Connection::plain(address).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let got = connection.send(&ask).await.expect("no request is cut off");
                    assert_eq!(got.status, 200, "{:?}", got.body);
                    answers.fetch_add(1, Ordering::Relaxed);
                    let told = got.headers.get("connection");
                    if !keeps || told.is_some_and(|value| value == "close") {
                        connection = Connection::plain(address)
                            .await
                            .expect("no connection is refused");
                    }
                    sleep(Duration::from_millis(5)).await;
                }
            })
        };
        let tasks = vec![client(true), client(false), client(true), client(false)];
        Self {
            stop,
            answers,
            tasks,
        }
    }

    async fn go_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        until("the clients are served", || {
            self.tasks.iter().any(JoinHandle::is_finished)
                || self.answers.load(Ordering::Relaxed) > before + 50
        })
        .await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_refuses_no_connection_and_cuts_no_request() {
    let worker = Worker::start().await;
    let (gateway, socket) = prepare(worker.address);
    let mut program = start(&gateway, &socket, None);
    gateway
        .until("it serves", |state| state.worker_healthy)
        .await;
    let clients = Clients::start(gateway.client);
    for _ in 0..3 {
        clients.go_on().await;
        // As `systemctl restart` does: the next one starts when the last one has ended.
        signal(&program, "-TERM").await;
        assert!(program.wait().await.unwrap().success());
        program = start(&gateway, &socket, None);
    }
    clients.go_on().await;
    clients.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_connections_wait_for_the_next_one() {
    let worker = Worker::start().await;
    let (gateway, socket) = prepare(worker.address);
    let mut program = start(&gateway, &socket, None);
    gateway
        .until("it serves", |state| state.worker_healthy)
        .await;
    signal(&program, "-KILL").await;
    program.wait().await.unwrap();
    let ask = |login| Ask::new("GET", "/connectors").login(login);
    let waiting = tokio::spawn(send(gateway.client, ask(CLIENT)));
    let stranger = tokio::spawn(send(gateway.client, ask("relation-1:wrong")));
    sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    let _program = start(&gateway, &socket, None);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(stranger.await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told() {
    let worker = Worker::start().await;
    let (gateway, socket) = prepare(worker.address);
    let path = gateway.directory.path().join("notify");
    let notices = UnixDatagram::bind(&path).unwrap();
    notices
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let next = |wanted: &str| {
        let mut seen = Vec::new();
        loop {
            let mut buffer = [0; 1024];
            let length = notices
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("{wanted} after {seen:?}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
            seen.push(text);
        }
    };
    let mut program = start(&gateway, &socket, path.to_str());
    next("READY=1");
    assert!(gateway.state().client_door, "ready means that it was tried");
    next("STATUS=client door open for http, peer door closed, worker ready, 2 users");
    std::fs::write(gateway.users_path(), "{").unwrap();
    next("users.json");
    gateway.write_users("two", vec![]);
    signal(&program, "-HUP").await;
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    assert_eq!(
        gateway.state().users_generation,
        "two",
        "done when it says so"
    );
    signal(&program, "-TERM").await;
    next("STOPPING=1");
    assert!(program.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_does_not_wait_for_ever() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 60_000;
    gateway.write_settings();
    let mut gateway = gateway.start().await;
    worker.behave(|_| Script::Slow(Duration::from_secs(60)));
    let ask = Ask::new("GET", "/connectors").login(OPERATOR);
    let endless = tokio::spawn(send(gateway.client, ask));
    until("it arrived", || !worker.seen().is_empty()).await;
    let began = Instant::now();
    gateway.ask_to_stop();
    let running = gateway.running.take().unwrap();
    running.await.unwrap();
    let limit = connect_gateway::limits::DRAIN;
    assert!(began.elapsed() >= limit, "it was given its time");
    assert!(began.elapsed() < limit + Duration::from_secs(3));
    endless.abort();
}
