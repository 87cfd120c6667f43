//! What clients notice of a worker that starts, stops, is busy or breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Ask, Authority, CLIENT, Connection, Gateway, Script, Worker, error, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polling_client_does_not_notice_a_restart() {
    let mut worker = Worker::start().await;
    worker.put("a", json!({"k": "v"}));
    let gateway = Gateway::prepare(worker.address).start().await;
    let address = gateway.client;
    let polls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&polls);
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let poller = tokio::spawn(async move {
        let mut connection = Connection::plain(address).await.unwrap();
        let ask = Ask::new("GET", "/connectors/a/config").login(CLIENT);
        while stopped.try_recv().is_err() {
            let got = connection.send(&ask).await.unwrap();
            assert_eq!((got.status.as_u16(), got.json()), (200, json!({"k": "v"})));
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let more = |than: u32| {
        let polls = Arc::clone(&polls);
        move || polls.load(Ordering::Relaxed) > than
    };
    until("it polls", more(20)).await;
    worker.stop().await;
    gateway
        .until("it is seen", |state| !state.worker_healthy)
        .await;
    // A worker that has just started tells untruths until its health is fine.
    worker.set_healthy(false);
    worker.behave(|_| Script::Reply(200, "[]".into()));
    worker.start_again().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    worker.behave(|_| Script::Serve);
    worker.set_healthy(true);
    let so_far = polls.load(Ordering::Relaxed);
    until("it polls again", more(so_far + 20)).await;
    stop.send(()).unwrap();
    poller.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_applied_is_tried_again() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let post = || {
        Ask::new("POST", "/connectors")
            .login(CLIENT)
            .json(r#"{"name":"x","config":{"a":"1"}}"#)
    };
    let rows: Vec<Box<dyn Fn() -> Script + Send>> = vec![
        Box::new(|| error(503, "starting")),
        Box::new(|| {
            error(
                409,
                "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)",
            )
        }),
        Box::new(|| {
            error(
                500,
                "Request cannot be completed because a rebalance is expected",
            )
        }),
        Box::new(|| Script::Reply(404, "<html>starting</html>".into())),
        Box::new(|| Script::Reply(401, "User cannot access the resource.".into())),
        Box::new(|| {
            error(
                500,
                "IO Error trying to forward REST request: java.net.ConnectException: Connection refused",
            )
        }),
    ];
    let tries = rows.len();
    for (number, row) in rows.into_iter().enumerate() {
        let before = worker.seen().len();
        let mut first = true;
        worker.behave(move |_| {
            if std::mem::take(&mut first) {
                row()
            } else {
                Script::Serve
            }
        });
        let got = gateway.ask(post()).await;
        let expect = if number == 0 { 201 } else { 409 };
        assert_eq!(
            got.status, expect,
            "row {number} of {tries}: {:?}",
            got.body
        );
        assert!(got.waited_ms() >= 50, "row {number}");
        assert_eq!(worker.seen().len(), before + 2, "row {number}");
    }
}

/// Writes that change something, with the status of their answer.
fn writes() -> Vec<(Ask, u16)> {
    let ask = |method: &str, path: &str| Ask::new(method, path).login(CLIENT);
    vec![
        (
            ask("POST", "/connectors").json(r#"{"name":"y","config":{"a":1}}"#),
            201,
        ),
        (ask("PUT", "/connectors/z/config").json(r#"{"a":"1"}"#), 201),
        (ask("PUT", "/connectors/x/config").json(r#"{"a":"2"}"#), 200),
        (
            ask("PATCH", "/connectors/x/config").json(r#"{"a":"3"}"#),
            200,
        ),
        (ask("PUT", "/connectors/x/pause"), 202),
        (ask("DELETE", "/connectors/x"), 204),
    ]
}

fn changes(worker: &Worker) -> usize {
    let seen = worker.seen();
    seen.iter().filter(|seen| seen.method != "GET").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_applied_before_the_connection_broke_is_told_as_done() {
    let worker = Worker::start().await;
    worker.put("x", json!({"a": "1"}));
    let gateway = Gateway::prepare(worker.address).start().await;
    worker.behave(|seen| {
        if seen.method == "GET" {
            Script::Serve
        } else {
            Script::Cut
        }
    });
    for (number, (row, expect)) in writes().into_iter().enumerate() {
        let before = changes(&worker);
        let got = gateway.ask(row).await;
        assert_eq!(got.status, expect, "row {number}: {:?}", got.body);
        assert_eq!(changes(&worker), before + 1, "row {number}: sent once");
        if [200, 201].contains(&expect) {
            assert!(got.json()["config"]["a"].is_string() || number == 0);
        }
    }
    // What cannot be read back is not told as done.
    let restart = Ask::new("POST", "/connectors/y/restart").login(CLIENT);
    let got = gateway.ask(restart).await;
    assert_eq!(got.status, 502);
    assert!(got.message().contains("may have been applied"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_cannot_tell_is_looked_at() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let error = |message: &str| json!({"error_code": 500, "message": message}).to_string();
    let answers = [
        // Of a server whose application is being taken away, and of a worker whose leader is.
        String::new(),
        "<html>Server Error</html>".to_owned(),
        error(
            "IO Error trying to forward REST request: java.net.SocketException: Connection reset",
        ),
        error("Error trying to forward REST request: null"),
        error("Error removing connector configuration from Kafka"),
    ];
    for answer in answers {
        worker.put("x", json!({"a": "1"}));
        let text = answer.clone();
        worker.behave(move |seen| {
            if seen.method == "DELETE" {
                Script::Botch(500, text.clone())
            } else {
                Script::Serve
            }
        });
        let before = changes(&worker);
        let ask = Ask::new("DELETE", "/connectors/x").login(CLIENT);
        let got = gateway.ask(ask).await;
        assert_eq!(got.status, 204, "{answer}: {:?}", got.body);
        assert_eq!(changes(&worker), before + 1, "{answer}: sent once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_with_the_connection_is_sent_again_only_where_it_is_safe() {
    let worker = Worker::start().await;
    worker.put("x", json!({"a": "1"}));
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 10_000;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let again = [true, true, true, false, false, false];
    for (number, ((row, expect), again)) in writes().into_iter().zip(again).enumerate() {
        let before = changes(&worker);
        let mut first = true;
        worker.behave(move |seen| {
            if seen.method != "GET" && std::mem::take(&mut first) {
                Script::Drop
            } else {
                Script::Serve
            }
        });
        let got = gateway.ask(row).await;
        let expect = if again { expect } else { 502 };
        assert_eq!(got.status, expect, "row {number}: {:?}", got.body);
        assert_eq!(
            changes(&worker),
            before + 1 + usize::from(again),
            "row {number}"
        );
        assert!(got.waited_ms() >= 1900, "row {number}: {}", got.waited_ms());
        if !again {
            assert!(got.message().contains("not as it asks"), "row {number}");
        }
    }
    // Somebody else changed it meanwhile: theirs stays.
    let mut first = true;
    let shared = Arc::new(worker);
    let theirs = Arc::clone(&shared);
    shared.behave(move |seen| {
        if seen.method == "PUT" && std::mem::take(&mut first) {
            Script::Drop
        } else {
            Script::Serve
        }
    });
    let ask = Ask::new("PUT", "/connectors/x/config").login(CLIENT);
    let asked = tokio::spawn(crate::support::send(
        gateway.client,
        ask.json(r#"{"a":"4"}"#),
    ));
    let before = changes(&shared);
    until("it was sent", || changes(&theirs) > before).await;
    theirs.put("x", json!({"a": "theirs"}));
    let got = asked.await.unwrap();
    assert_eq!(got.status, 502, "{:?}", got.body);
    assert_eq!(shared.config("x").unwrap()["a"], "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_by_way_of_another_unit() {
    let authority = Authority::new();
    let (mut near, far) = (Worker::start().await, Worker::start().await);
    let other = Gateway::prepare(far.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let ours = Gateway::prepare(near.address)
        .with_peer_door(&authority)
        .with_peer("connect/1", other.peer)
        .start()
        .await;
    // What the one applied, the other knows; then the one is gone for good.
    far.put("x", json!({"a": "1", "juju.client": "m:app:1"}));
    near.behave(|_| Script::Slow(Duration::from_secs(5)));
    let ask = Ask::new("POST", "/connectors").login(CLIENT);
    let ask = ask.json(r#"{"name":"x","config":{"a":"1"}}"#);
    let asked = tokio::spawn(crate::support::send(ours.client, ask));
    until("it was sent", || changes(&near) > 0).await;
    near.stop().await;
    let got = asked.await.unwrap();
    assert_eq!(got.status, 201, "{:?}", got.body);
    assert_eq!(got.json()["name"], "x");
    assert_eq!(changes(&far), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_try_ends_with_the_patience() {
    let worker = Worker::start().await;
    worker.put("x", json!({"a": "1"}));
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 700;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let slow = |method: &'static str| {
        worker.behave(move |seen| {
            if seen.method == method {
                Script::Slow(Duration::from_secs(30))
            } else {
                Script::Serve
            }
        });
    };
    slow("GET");
    let began = Instant::now();
    let got = gateway.get("/connectors").await;
    assert_eq!(got.status, 504);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(
        (650..1500).contains(&got.waited_ms()),
        "{}",
        got.waited_ms()
    );
    // A write is looked at before it is given up, and never sent again: it may still come.
    slow("PUT");
    let before = changes(&worker);
    let put = Ask::new("PUT", "/connectors/x/config").login(CLIENT);
    let got = gateway.ask(put.json(r#"{"a":"2"}"#)).await;
    assert_eq!(got.status, 504);
    assert!(got.message().contains("may have been applied"));
    assert_eq!(changes(&worker), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_rebalances_is_looked_at_for_longer_than_the_patience() {
    let worker = Worker::start().await;
    worker.put("x", json!({"a": "1"}));
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 700;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let mut lost: Option<Instant> = None;
    worker.behave(move |seen| {
        let Some(lost) = lost else {
            if seen.method == "PUT" {
                lost = Some(Instant::now());
                return Script::Cut;
            }
            return Script::Serve;
        };
        // As long as it takes a group to notice that a worker left.
        if lost.elapsed() < Duration::from_secs(4) {
            error(
                500,
                "Request cannot be completed because a rebalance is expected",
            )
        } else {
            Script::Serve
        }
    });
    let put = Ask::new("PUT", "/connectors/x/config").login(CLIENT);
    let got = gateway.ask(put.json(r#"{"a":"2"}"#)).await;
    assert_eq!(got.status, 200, "{:?}", got.body);
    assert_eq!(worker.config("x").unwrap()["a"], "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_health_hangs_does_not_count() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    worker.set_health_delay(Duration::from_secs(8));
    gateway
        .until("it is seen", |state| !state.worker_healthy)
        .await;
    worker.set_health_delay(Duration::ZERO);
    gateway
        .until("it counts again", |state| state.worker_healthy)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_simply_repeated_and_final_errors_stand() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let ask = |method: &str, path: &str| Ask::new(method, path).login(CLIENT);
    // A request that changes nothing is simply repeated.
    let mut cuts = 0;
    worker.behave(move |_| {
        cuts += 1;
        if cuts <= 2 {
            Script::Cut
        } else {
            Script::Serve
        }
    });
    assert_eq!(gateway.get("/connectors").await.status, 200);
    // An error that says nothing about what became of the request stands.
    worker.behave(|_| error(500, "Request timed out. The worker is busy"));
    let got = gateway.ask(ask("PUT", "/connectors/y/stop")).await;
    assert_eq!((got.status.as_u16(), got.waited_ms()), (500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patience_ends_and_says_how_long_it_was() {
    let worker = Worker::start().await;
    worker.set_healthy(false);
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 600;
    gateway.write_settings();
    let gateway = gateway.open().await;
    let began = Instant::now();
    let got = gateway.get("/connectors").await;
    assert_eq!(got.status, 503);
    assert!(got.message().contains("waited 0.6 s"), "{}", got.message());
    assert!(
        (550..1500).contains(&got.waited_ms()),
        "{}",
        got.waited_ms()
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(
        worker.lines(),
        Vec::<String>::new(),
        "an unhealthy worker is not asked"
    );

    // What the worker itself said last is told, if a client can read it.
    worker.set_healthy(true);
    gateway.until("ready", |state| state.worker_healthy).await;
    let text = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";
    worker.behave(move |_| error(409, text));
    let got = gateway
        .ask(Ask::new("DELETE", "/connectors/x").login(CLIENT))
        .await;
    assert_eq!((got.status.as_u16(), got.message()), (409, text.to_owned()));
    assert!(got.waited_ms() >= 550);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_request_goes_on_as_soon_as_the_worker_is_ready() {
    let worker = Worker::start().await;
    worker.set_healthy(false);
    let gateway = Gateway::prepare(worker.address).open().await;
    let waiting = tokio::spawn(crate::support::send(
        gateway.client,
        Ask::new("POST", "/connectors")
            .login(CLIENT)
            .json(r#"{"name":"x","config":{}}"#),
    ));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    worker.set_healthy(true);
    let got = waiting.await.unwrap();
    assert_eq!(got.status, 201);
    assert!(
        (250..1500).contains(&got.waited_ms()),
        "{}",
        got.waited_ms()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_waited_for_and_holds_nobody_else() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    worker.behave(|seen| {
        if seen.path == "/connectors" {
            Script::Slow(Duration::from_millis(900))
        } else {
            Script::Serve
        }
    });
    let slow = tokio::spawn(crate::support::send(
        gateway.client,
        Ask::new("GET", "/connectors").login(CLIENT),
    ));
    until("it arrived", || !worker.seen().is_empty()).await;
    let began = Instant::now();
    assert_eq!(gateway.get("/").await.status, 200);
    assert!(began.elapsed() < Duration::from_millis(600));
    let got = slow.await.unwrap();
    assert_eq!((got.status.as_u16(), got.waited_ms()), (200, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_never_sees_that_the_worker_refused_us() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 300;
    gateway.write_settings();
    let gateway = gateway.start().await;
    worker.behave(|_| Script::Reply(401, "User cannot access the resource.".into()));
    let got = gateway.get("/connectors").await;
    assert_eq!(got.status, 503, "its own password was right");
    assert!(got.message().contains("waited"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_the_worker_never_comes_to_is_asked_again() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address);
    gateway.settings.retry_limit_ms = 25_000;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let mut lost = true;
    worker.behave(move |_| {
        if std::mem::take(&mut lost) {
            Script::Slow(Duration::from_mins(1))
        } else {
            Script::Serve
        }
    });
    let got = gateway.get("/connectors").await;
    assert_eq!(got.status, 200, "{:?}", got.body);
    assert_eq!(worker.lines().len(), 2);
}
