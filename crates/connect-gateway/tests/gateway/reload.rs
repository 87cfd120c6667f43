//! The files change, the gateway follows, nobody is cut off.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::{
    Ask, CLIENT, Connection, Gateway, OPERATOR, Script, Worker, send, until, user,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_change_within_a_second_on_a_connection_that_stays() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    assert_eq!(gateway.state().users_generation, "one");
    let mut connection = Connection::plain(gateway.client).await.unwrap();
    let old = Ask::new("GET", "/").login(CLIENT);
    let new = Ask::new("GET", "/").login("relation-1:new");
    assert_eq!(connection.send(&old).await.unwrap().status, 200);
    assert_eq!(connection.send(&new).await.unwrap().status, 401);

    gateway.write_users("two", vec![user("relation-1:new", Some("m:app:1"))]);
    let began = Instant::now();
    while connection.send(&new).await.unwrap().status != 200 {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "the new password works within a second"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connection.send(&old).await.unwrap().status, 401);
    gateway
        .until("it says so", |state| state.users_generation == "two")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_used_changes_nothing() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let good = std::fs::read(gateway.users_path()).unwrap();
    let half = String::from_utf8_lossy(&good[..good.len() / 2]).into_owned();
    let bad = [
        "",
        "{}",
        "null",
        half.as_str(),
        r#"{"generation":"x","users":[{"name":"a","passwords_sha256":["zz"],"owner":null}]}"#,
        r#"{"generation":"x","users":[],"more":1}"#,
    ];
    for text in bad {
        std::fs::write(gateway.users_path(), text).unwrap();
        gateway
            .until("it says what is wrong", |state| state.fault.is_some())
            .await;
        assert_eq!(gateway.state().users_generation, "one", "{text}");
        assert_eq!(gateway.get("/").await.status, 200, "{text}");
        std::fs::write(gateway.users_path(), &good).unwrap();
        gateway
            .until("it heals", |state| state.fault.is_none())
            .await;
    }
    std::fs::remove_file(gateway.users_path()).unwrap();
    gateway
        .until("a missing file is told", |state| state.fault.is_some())
        .await;
    assert_eq!(gateway.get("/").await.status, 200);

    let settings = std::fs::read(gateway.settings_path()).unwrap();
    let generation = gateway.state().settings_generation;
    std::fs::write(gateway.users_path(), &good).unwrap();
    gateway
        .until("users are fine", |state| state.fault.is_none())
        .await;
    std::fs::write(gateway.settings_path(), "{").unwrap();
    gateway
        .until("it says what is wrong", |state| state.fault.is_some())
        .await;
    assert_eq!(gateway.state().settings_generation, generation);
    assert_eq!(gateway.get("/").await.status, 200);
    std::fs::write(gateway.settings_path(), settings).unwrap();
    gateway
        .until("it heals", |state| state.fault.is_none())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_users_nobody_comes_in() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address);
    for text in [None, Some(""), Some(r#"{"generation":"","users":[{}]}"#)] {
        let gateway = Gateway::prepare(worker.address);
        match text {
            None => std::fs::remove_file(gateway.users_path()).unwrap(),
            Some(text) => std::fs::write(gateway.users_path(), text).unwrap(),
        }
        let gateway = gateway.start().await;
        assert_eq!(gateway.get("/connectors").await.status, 401, "{text:?}");
        let state = gateway.state();
        assert!(
            state.fault.is_some() && state.users_generation.is_empty(),
            "{state:?}"
        );
        gateway.write_users("two", vec![user(CLIENT, None)]);
        gateway
            .until("users come", |state| state.users_generation == "two")
            .await;
        assert_eq!(gateway.get("/connectors").await.status, 200);
    }
    // No users at all is a good file: the last client is gone.
    gateway.write_users("none", vec![]);
    let gateway = gateway.start().await;
    assert_eq!(gateway.state().fault, None);
    assert_eq!(gateway.get("/connectors").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_move_the_worker_and_the_door() {
    let mut one = Worker::start().await;
    let two = Worker::start().await;
    let mut gateway = Gateway::prepare(one.address).start().await;
    assert_eq!(gateway.get("/").await.status, 200);
    let before = gateway.state().settings_generation;

    gateway.settings.worker.address = two.address;
    gateway.write_settings();
    gateway
        .until("other settings", |state| {
            state.settings_generation != before
        })
        .await;
    one.stop().await;
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(two.seen().len(), 1);

    // A slow request on the old door is finished although the door moves meanwhile.
    two.behave(|seen| {
        if seen.path == "/connectors" {
            Script::Slow(Duration::from_millis(1200))
        } else {
            Script::Serve
        }
    });
    let old = gateway.client;
    let slow = tokio::spawn(send(old, Ask::new("GET", "/connectors").login(OPERATOR)));
    until("the slow one arrived", || two.seen().len() == 2).await;
    let new = crate::support::listener(IpAddr::from([127, 0, 0, 1]))
        .local_addr()
        .unwrap();
    gateway.settings.client_door.listen = vec![new];
    gateway.client = new;
    gateway.write_settings();
    until("the new door is open", || {
        std::net::TcpStream::connect(new).is_ok()
    })
    .await;
    until("the old door is closed", || {
        std::net::TcpStream::connect(old).is_err()
    })
    .await;
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(slow.await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_cannot_be_opened_leaves_the_old_one() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).start().await;
    let taken = crate::support::listener(IpAddr::from([127, 0, 0, 1]));
    gateway.settings.client_door.listen = vec![taken.local_addr().unwrap()];
    gateway.write_settings();
    gateway
        .until("it says so", |state| {
            state.fault.is_some() && !state.client_door
        })
        .await;
    assert_eq!(gateway.get("/").await.status, 200, "by the old door");
    let new = taken.local_addr().unwrap();
    drop(taken);
    gateway
        .until("it opens once it can", |state| {
            state.fault.is_none() && state.client_door
        })
        .await;
    gateway.client = new;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_is_under_way() {
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).start().await;
    worker.behave(|_| Script::Slow(Duration::from_millis(700)));
    let slow = tokio::spawn(send(
        gateway.client,
        Ask::new("GET", "/connectors").login(OPERATOR),
    ));
    until("it arrived", || !worker.seen().is_empty()).await;
    let _idle = Connection::plain(gateway.client).await.unwrap();
    gateway.ask_to_stop();
    until("the door is closed", || {
        std::net::TcpStream::connect(gateway.client).is_err()
    })
    .await;
    assert_eq!(slow.await.unwrap().status, 200);
    let running = gateway.running.take().unwrap();
    tokio::time::timeout(Duration::from_secs(3), running)
        .await
        .expect("an idle client does not hold it")
        .unwrap();
    assert!(!gateway.state().client_door);
}
