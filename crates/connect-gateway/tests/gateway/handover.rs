//! A unit whose worker is away hands requests over, and others may refuse them: no client's business.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect_core::gateway::{Credential, TlsVersion};
use connect_gateway::limits;
use connect_gateway::tls::Pair;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::{Ask, Authority, CLIENT, Gateway, Got, Script, Worker, until};

/// What another unit's gateway answers: status and whether it says that it did not take the request.
type Answer = (u16, bool);

/// Another unit's peer door that answers everything alike.
struct Scripted {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<u32>>,
    running: JoinHandle<()>,
}

impl Scripted {
    async fn start(authority: &Authority) -> Self {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        authority.issue(address.ip(), directory.path(), "peer");
        let path = |name: &str| directory.path().join(name);
        let pair = Pair::load(&path("peer.pem"), &path("peer.key"), TlsVersion::V12).unwrap();
        let acceptor = TlsAcceptor::from(pair.server);
        let answer = Arc::new(Mutex::new((200, false)));
        let asked = Arc::new(Mutex::new(0));
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        let running = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let service = service_fn(move |_: Request<Incoming>| {
                        *count.lock().unwrap() += 1;
                        let response = response(*answers.lock().unwrap());
                        async move { Ok::<_, std::convert::Infallible>(response) }
                    });
                    let connection = http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            answer,
            asked,
            running,
        }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
        *self.asked.lock().unwrap() = 0;
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn response((status, marked): Answer) -> Response<Full<Bytes>> {
    let body = json!({"error_code": status, "message": "between us"}).to_string();
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if marked {
        response = response.header("x-gateway-not-taken", "1");
    }
    response.body(Full::new(body.into())).unwrap()
}

/// A unit whose worker is away, with these peers in this order.
async fn away(authority: &Authority, peers: &[SocketAddr]) -> (Worker, Gateway) {
    away_with(3000, authority, peers).await
}

/// The same with this retry limit.
async fn away_with(
    milliseconds: u64,
    authority: &Authority,
    peers: &[SocketAddr],
) -> (Worker, Gateway) {
    let worker = Worker::start().await;
    worker.set_healthy(false);
    let mut gateway = Gateway::prepare(worker.address).with_peer_door(authority);
    gateway.settings.retry_limit_ms = milliseconds;
    for (number, peer) in peers.iter().enumerate() {
        gateway = gateway.with_peer(&format!("connect/{}", number + 1), *peer);
    }
    (worker, gateway.open().await)
}

fn post(name: &str) -> Ask {
    let ask = Ask::new("POST", "/connectors").login(CLIENT);
    ask.json(&json!({"name": name, "config": {}}).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_unit_did_not_take_goes_to_another_one() {
    let authority = Authority::new();
    let refuses = Scripted::start(&authority).await;
    let worker = Worker::start().await;
    let serves = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let (_away, ours) = away(&authority, &[refuses.address, serves.peer]).await;
    for status in [400, 401, 403, 404, 408, 413, 429, 503] {
        refuses.answers((status, true));
        let got = ours.ask(post(&format!("c{status}"))).await;
        assert_eq!(got.status, 201, "{status}: {:?}", got.body);
        assert!(refuses.asked() > 0, "{status}: it was asked first");
        // It is left alone for as long.
        tokio::time::sleep(limits::PEER_NOT_READY).await;
    }
    // The same answers without the mark are about the request itself, whoever made them.
    for status in [400, 403, 404, 413] {
        refuses.answers((status, false));
        let got = ours.ask(post("other")).await;
        assert_eq!((got.status.as_u16(), refuses.asked()), (status, 1));
        assert_eq!(got.message(), "between us");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_takes_it_the_patience_ends_with_an_answer_of_our_own() {
    let authority = Authority::new();
    let refuses = Scripted::start(&authority).await;
    let (_away, ours) = away(&authority, &[refuses.address]).await;
    let check = |got: &Got, status: u16| {
        assert_eq!(got.status, 503, "{status}: {:?}", got.body);
        assert!(got.message().starts_with("cannot deliver the request"));
        assert!(!got.message().contains("between us"));
        assert!(!got.headers.contains_key("x-gateway-not-taken"));
        assert!(got.waited_ms() >= 2500, "{}", got.waited_ms());
    };
    for status in [403, 429] {
        refuses.answers((status, true));
        check(&ours.get("/connectors").await, status);
        assert!(refuses.asked() > 1, "{status}: it was asked again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_doubts_our_user_says_that_it_did_not_take_the_request() {
    let authority = Authority::new();
    let workers = [Worker::start().await, Worker::start().await];
    // It was told of another internal user a moment before us.
    let mut ahead = Gateway::prepare(workers[0].address).with_peer_door(&authority);
    ahead.settings.worker.internal = Credential {
        username: "internal".into(),
        password: "the next secret".into(),
    };
    ahead.write_settings();
    let ahead = ahead.open().await;
    let level = Gateway::prepare(workers[1].address)
        .with_peer_door(&authority)
        .start()
        .await;
    // Refusals of wrong passwords come late.
    let (_away, ours) = away_with(20_000, &authority, &[ahead.peer, level.peer]).await;
    // So many at once that it does not even look at the passwords of some.
    let asked: Vec<_> = (0..40)
        .map(|_| Ask::new("GET", "/connectors").login(CLIENT))
        .map(|ask| tokio::spawn(crate::support::send(ours.client, ask)))
        .collect();
    for got in asked {
        let got = got.await.unwrap();
        assert_eq!(got.status, 200, "{:?}", got.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_leaving_goes_on_handing_over() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut stays = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let (_away, leaves) = away(&authority, &[stays.peer]).await;
    assert_eq!(leaves.get("/connectors").await.status, 200);
    let before = stays.state().settings_generation;
    let door = stays.settings.peer_door.as_mut().unwrap();
    door.allowed = vec![IpAddr::from([127, 0, 0, 9])];
    stays.write_settings();
    stays
        .until("it is told", |state| state.settings_generation != before)
        .await;
    // On the connection it has, and on new ones: changes never share one.
    for (ask, status) in [
        (Ask::new("GET", "/connectors").login(CLIENT), 200),
        (post("x"), 201),
    ] {
        let got = leaves.ask(ask).await;
        let waited = got.waited_ms();
        assert_eq!((got.status.as_u16(), waited), (status, 0), "{:?}", got.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_cannot_speak_for_a_gateway() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let other = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let (_away, ours) = away(&authority, &[other.peer]).await;
    worker.behave(|_| {
        let body = json!({"error_code": 403, "message": "Topic tracking is disabled"});
        Script::Headed(403, body.to_string(), ("x-gateway-not-taken", "1"))
    });
    for gateway in [&ours, &other] {
        let before = worker.seen().len();
        let got = gateway.get("/connectors/a/topics").await;
        assert_eq!(got.status, 403, "{:?}", got.body);
        assert_eq!(got.message(), "Topic tracking is disabled");
        assert!(!got.headers.contains_key("x-gateway-not-taken"));
        assert_eq!(worker.seen().len(), before + 1);
    }
}

/// A read that is under way.
fn list(gateway: &Gateway) -> JoinHandle<Got> {
    let ask = Ask::new("GET", "/connectors").login(CLIENT);
    tokio::spawn(crate::support::send(gateway.client, ask))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_hangs_on_a_worker_that_stops_is_answered_by_another_unit() {
    let authority = Authority::new();
    let stopping = Worker::start().await;
    let mut worker = Worker::start().await;
    let serves = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let ours = Gateway::prepare(stopping.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", serves.peer)
        .start()
        .await;
    let hangs = |_: &_| Script::Slow(Duration::from_mins(1));
    stopping.behave(hangs);
    let asked = list(&ours);
    until("our worker has it", || stopping.lines().len() == 1).await;
    stopping.set_healthy(false);
    let got = asked.await.unwrap();
    assert_eq!(got.status, 200, "{:?}", got.body);
    assert_eq!(stopping.lines().len(), 1);

    // The same one unit further: it takes back what it took, and ours looks elsewhere.
    stopping.set_healthy(true);
    ours.until("it counts again", |state| state.worker_healthy)
        .await;
    stopping.behave(|_| Script::Serve);
    let (_away, third) = away_with(20_000, &authority, &[serves.peer, ours.peer]).await;
    worker.behave(hangs);
    let before = worker.lines().len();
    let asked = list(&third);
    until("the worker there has it", || worker.lines().len() > before).await;
    worker.set_healthy(false);
    let got = asked.await.unwrap();
    assert_eq!(got.status, 200, "{:?}", got.body);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_waits_for_a_worker_that_stops_counting_where_there_is_no_other() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    worker.behave(|_| Script::Slow(Duration::from_secs(2)));
    let asked = list(&gateway);
    until("the worker has it", || worker.lines().len() == 1).await;
    worker.set_healthy(false);
    let got = asked.await.unwrap();
    assert_eq!(got.status, 200, "{:?}", got.body);
    assert_eq!(worker.lines().len(), 1, "it is asked once");
}
