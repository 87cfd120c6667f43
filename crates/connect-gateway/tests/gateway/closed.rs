//! At no instant of start, reload, crash and stop does anybody come in without a credential: the real
//! program, real sockets, and callers that try all the time.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::{
    Ask, Authority, CLIENT, Connection, Gateway, INTERNAL, OPERATOR, Worker, until, user,
};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// One place with the logins that must not be let in there.
struct Place {
    name: &'static str,
    address: SocketAddr,
    tls: Option<Arc<rustls::ClientConfig>>,
    logins: Vec<Option<&'static str>>,
}

/// Callers that never have the right credential, one for each place and login.
struct Callers {
    stop: Arc<AtomicBool>,
    let_in: Arc<Mutex<Vec<String>>>,
    answers: Vec<(String, Arc<AtomicU32>)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Callers {
    fn start(places: Vec<Place>) -> Self {
        let mut callers = Self {
            stop: Arc::default(),
            let_in: Arc::default(),
            answers: Vec::new(),
            tasks: Vec::new(),
        };
        for place in places {
            for login in place.logins {
                let who = format!("{} as {login:?}", place.name);
                let answers = Arc::new(AtomicU32::new(0));
                callers.answers.push((who.clone(), Arc::clone(&answers)));
                let (stop, let_in) = (Arc::clone(&callers.stop), Arc::clone(&callers.let_in));
                let (address, tls) = (place.address, place.tls.clone());
                callers.tasks.push(tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        for (method, path, body) in REQUESTS {
                            let mut ask = Ask::new(method, path).json(body);
                            if let Some(login) = login {
                                ask = ask.login(login);
                            }
                            let Some(status) = status(address, tls.clone(), &ask).await else {
                                continue;
                            };
                            answers.fetch_add(1, Ordering::Relaxed);
                            if status < 400 {
                                let what = format!("{who}: {method} {path}: {status}");
                                let_in.lock().unwrap().push(what);
                            }
                        }
                        sleep(Duration::from_millis(2)).await;
                    }
                }));
            }
        }
        callers
    }

    /// Waits until each of them was answered again, where somebody listens.
    async fn all_answered(&self, what: &str) {
        let now = || {
            self.answers
                .iter()
                .map(|(_, count)| count.load(Ordering::Relaxed))
        };
        let before: Vec<u32> = now().collect();
        until(what, || {
            now().zip(&before).all(|(now, before)| now > *before)
        })
        .await;
        self.nobody_came_in();
    }

    fn nobody_came_in(&self) {
        let let_in = self.let_in.lock().unwrap();
        assert!(let_in.is_empty(), "{let_in:?}");
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let let_in = self.let_in.lock().unwrap();
        assert!(let_in.is_empty(), "{let_in:?}");
    }
}

const REQUESTS: [(&str, &str, &str); 5] = [
    ("GET", "/connectors", ""),
    ("GET", "/connectors/a/config", ""),
    ("DELETE", "/connectors/a", ""),
    (
        "PUT",
        "/connectors/a/config?forward=true",
        r#"{"a":"changed"}"#,
    ),
    ("POST", "/connectors", r#"{"name":"b","config":{"a":"b"}}"#),
];

/// The answer's status; none if nobody answers.
async fn status(
    address: SocketAddr,
    tls: Option<Arc<rustls::ClientConfig>>,
    ask: &Ask,
) -> Option<u16> {
    let connection = match tls {
        Some(tls) => Connection::tls(address, LOOPBACK, tls).await,
        None => Connection::plain(address).await,
    };
    let got = connection.ok()?.send(ask).await.ok()?;
    Some(got.status.as_u16())
}

fn program(gateway: &Gateway) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kafka-connect-gateway"))
        .arg("run")
        .arg("--settings")
        .arg(gateway.settings_path())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(child: &mut Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().await;
    assert!(sent.unwrap().success());
    tokio::time::timeout(Duration::from_secs(10), child.wait())
        .await
        .expect("it ends")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_no_instant_does_anybody_come_in_without_a_credential() {
    let mut worker = Worker::start().await;
    let before = json!({"a": "as it was"});
    worker.put("a", before.clone());
    let authority = Authority::new();
    let mut gateway = Gateway::prepare(worker.address);
    // The program binds ports of its own.
    let free = || crate::support::listener(LOOPBACK).local_addr().unwrap();
    (gateway.client, gateway.peer) = (free(), free());
    gateway.settings.client_door.listen = vec![gateway.client];
    let gateway = gateway.with_peer_door(&authority);
    std::fs::remove_file(gateway.users_path()).unwrap();
    let wrong = "relation-1:wrong";
    let callers = Callers::start(vec![
        Place {
            name: "client door",
            address: gateway.client,
            tls: None,
            logins: vec![
                None,
                Some(wrong),
                Some(INTERNAL),
                Some("relation-1:"),
                Some(":"),
            ],
        },
        Place {
            name: "peer door",
            address: gateway.peer,
            tls: Some(authority.client()),
            logins: vec![None, Some(wrong), Some(CLIENT), Some("internal:")],
        },
        Place {
            name: "worker",
            address: worker.address,
            tls: None,
            logins: vec![None, Some(wrong), Some(CLIENT)],
        },
    ]);
    let works = async |login: &str, what: &str| {
        let ask = Ask::new("GET", "/connectors/a/config").login(login);
        for _ in 0..200 {
            if status(gateway.client, None, &ask).await == Some(200) {
                return callers.all_answered(what).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
        unreachable!("{what}: {login} does not come in");
    };

    let mut running = program(&gateway);
    callers.all_answered("started without users").await;
    gateway.write_users("one", vec![user(CLIENT, None), user(OPERATOR, None)]);
    works(CLIENT, "users came").await;
    for text in ["", "{}", r#"{"generation":"x","users":[{"name":"a"}]}"#] {
        std::fs::write(gateway.users_path(), text).unwrap();
        gateway
            .until("it is told", |state| state.fault.is_some())
            .await;
        works(CLIENT, "a bad file").await;
    }
    signal(&mut running, "-KILL").await;
    running = program(&gateway);
    callers
        .all_answered("started after a crash, with the bad file")
        .await;
    gateway.write_users("two", vec![user(OPERATOR, None)]);
    works(OPERATOR, "a client less").await;
    for number in 0..3 {
        gateway.write_users("three", vec![user(OPERATOR, None), user(CLIENT, None)]);
        std::fs::write(gateway.settings_path(), "{").unwrap();
        gateway.write_settings();
        signal(
            &mut running,
            if number % 2 == 0 { "-TERM" } else { "-KILL" },
        )
        .await;
        callers.nobody_came_in();
        running = program(&gateway);
        works(CLIENT, "started again").await;
    }
    worker.stop().await;
    sleep(Duration::from_millis(300)).await;
    worker.start_again().await;
    works(OPERATOR, "the worker is back").await;
    signal(&mut running, "-TERM").await;
    callers.stop().await;

    assert_eq!(worker.config("a").unwrap(), before, "nothing was changed");
    assert_eq!(worker.config("b"), None, "nothing was created");
}
