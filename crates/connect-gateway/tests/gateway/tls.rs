//! The client door over TLS: versions, renewal under way, switching to it and back, bad files.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connect_core::gateway::{Protocol, TlsVersion};
use rustls::version::{TLS12, TLS13};
use tokio::time::Instant;

use crate::support::{Ask, Authority, CLIENT, Connection, Gateway, Worker, send};

fn ask() -> Ask {
    Ask::new("GET", "/").login(CLIENT)
}

async fn secure(
    address: SocketAddr,
    config: &Arc<rustls::ClientConfig>,
) -> std::io::Result<Connection> {
    Connection::secure(address, Arc::clone(config)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_are_spoken_down_to_the_minimum() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    // A client that trusts the root only has to be sent the chain.
    for (minimum, old_works) in [(TlsVersion::V12, true), (TlsVersion::V13, false)] {
        let mut gateway = Gateway::prepare(worker.address).with_https(&authority);
        let tls = gateway.settings.client_door.tls.as_mut().unwrap();
        tls.minimum_version = minimum;
        gateway.write_settings();
        let gateway = gateway.start().await;
        for (version, works) in [(&TLS13, true), (&TLS12, old_works)] {
            let config = authority.client_with(&[version]);
            let connection = secure(gateway.client, &config).await;
            assert_eq!(connection.is_ok(), works, "{minimum:?} {version:?}");
            if let Ok(mut connection) = connection {
                assert_eq!(connection.send(&ask()).await.unwrap().status, 200);
            }
        }
        let plain = Connection::plain(gateway.client).await;
        let plain = plain.unwrap().send(&ask()).await;
        assert!(plain.is_err(), "no request is served in clear");
        let state = gateway.state();
        assert_eq!(state.client_protocol, Some(Protocol::Https));
        assert_eq!(state.client_certificate.unwrap().sha256.len(), 64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_presented_within_a_second_and_nobody_notices() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_https(&authority)
        .start()
        .await;
    let config = authority.client();
    let mut kept = secure(gateway.client, &config).await.unwrap();
    for renewal in 0..3 {
        let serial = authority.issue(gateway.client.ip(), gateway.directory.path(), "client");
        let began = Instant::now();
        loop {
            assert_eq!(kept.send(&ask()).await.unwrap().status, 200);
            let mut fresh = secure(gateway.client, &config).await.unwrap();
            assert_eq!(fresh.send(&ask()).await.unwrap().status, 200);
            if fresh.serial() == Some(serial.as_str()) {
                break;
            }
            let late = began.elapsed() > Duration::from_secs(2);
            assert!(!late, "renewal {renewal} is presented in time");
        }
        gateway
            .until("the state says so", |state| {
                let certificate = state.client_certificate.as_ref();
                certificate.is_some_and(|certificate| certificate.serial == serial)
            })
            .await;
        assert_eq!(gateway.state().fault, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_cannot_be_used_leaves_the_last_good_one() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_https(&authority)
        .start()
        .await;
    let config = authority.client();
    let good = gateway.state().client_certificate;
    let other = tempfile::TempDir::new().unwrap();
    authority.issue(gateway.client.ip(), other.path(), "client");
    let key = std::fs::read(other.path().join("client.key")).unwrap();
    let rows: [(&str, Option<&[u8]>); 5] = [
        ("client.key", Some(&key)),
        ("client.key", Some(b"")),
        ("client.pem", Some(b"no certificate")),
        (
            "client.pem",
            Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        ("client.pem", None),
    ];
    for (number, (name, bytes)) in rows.into_iter().enumerate() {
        let path = gateway.directory.path().join(name);
        let before = std::fs::read(&path).unwrap();
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        gateway
            .until("it says so", |state| state.fault.is_some())
            .await;
        let state = gateway.state();
        assert_eq!(state.client_certificate, good, "row {number}");
        let fault = state.fault.unwrap();
        assert!(
            fault.contains("client.") && !fault.contains("BEGIN"),
            "{fault}"
        );
        let mut connection = secure(gateway.client, &config).await.unwrap();
        assert_eq!(connection.send(&ask()).await.unwrap().status, 200);
        connect_gateway::files::replace(&path, &before).unwrap();
        gateway
            .until("it heals", |state| state.fault.is_none())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_must_be_secret_stays_closed_without_a_certificate() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).with_https(&authority);
    let path = gateway.directory.path().join("client.pem");
    let certificate = std::fs::read(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    let gateway = gateway.run();
    gateway
        .until("it says so", |state| {
            state.fault.is_some() && !state.client_door
        })
        .await;
    assert_eq!(gateway.state().client_protocol, None);
    std::fs::write(&path, certificate).unwrap();
    gateway.until("it opens", |state| state.client_door).await;
    let mut connection = secure(gateway.client, &authority.client()).await.unwrap();
    assert_eq!(connection.send(&ask()).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_goes_over_to_tls_and_back_under_its_clients() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).start().await;
    let config = authority.client();
    let mut plain = Connection::plain(gateway.client).await.unwrap();
    // A client that connected before and speaks only later.
    let early = tokio::net::TcpStream::connect(gateway.client)
        .await
        .unwrap();
    assert_eq!(plain.send(&ask()).await.unwrap().status, 200);
    gateway.settings.client_door.tls = Some(gateway.client_tls(&authority));
    let steps = [
        (Protocol::Both, true, true),
        (Protocol::Https, false, true),
        (Protocol::Both, true, true),
        (Protocol::Http, true, false),
    ];
    let mut encrypted = None;
    for (protocol, in_clear, in_secret) in steps {
        gateway.settings.client_door.protocol = protocol;
        gateway.write_settings();
        gateway
            .until("it speaks so", |state| {
                state.client_protocol == Some(protocol)
            })
            .await;
        assert_eq!(gateway.state().client_certificate.is_some(), in_secret);
        let fresh = Connection::plain(gateway.client)
            .await
            .unwrap()
            .send(&ask())
            .await;
        assert_eq!(fresh.is_ok(), in_clear, "{protocol:?}");
        let fresh = secure(gateway.client, &config).await;
        assert_eq!(fresh.is_ok(), in_secret, "{protocol:?}");
        if let Ok(mut fresh) = fresh {
            assert_eq!(fresh.send(&ask()).await.unwrap().status, 200);
            encrypted = encrypted.or(Some(fresh));
        }
        // Who is connected goes on, whatever new connections are spoken to in.
        assert_eq!(plain.send(&ask()).await.unwrap().status, 200);
        if let Some(encrypted) = &mut encrypted {
            assert_eq!(encrypted.send(&ask()).await.unwrap().status, 200);
        }
    }
    let mut early = Connection::over(gateway.client, early).await.unwrap();
    assert_eq!(early.send(&ask()).await.unwrap().status, 200);
    // A certificate that is not there does not take the door away from anybody.
    std::fs::remove_file(gateway.directory.path().join("client.pem")).unwrap();
    gateway.settings.client_door.protocol = Protocol::Https;
    gateway.settings.client_door.tls.as_mut().unwrap().key_file += ".none";
    gateway.write_settings();
    gateway
        .until("it says so", |state| state.fault.is_some())
        .await;
    assert_eq!(plain.send(&ask()).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_may_hold_chain_and_key() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).with_https(&authority);
    let directory = gateway.directory.path().to_owned();
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let all = directory.join("all.pem");
    std::fs::write(&all, read("client.pem") + &read("client.key")).unwrap();
    let tls = gateway.settings.client_door.tls.as_mut().unwrap();
    tls.certificate_file = all.to_str().unwrap().to_owned();
    tls.key_file.clone_from(&tls.certificate_file);
    gateway.write_settings();
    let gateway = gateway.start().await;
    let mut connection = secure(gateway.client, &authority.client()).await.unwrap();
    assert_eq!(connection.send(&ask()).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_is_served_beside_ipv4() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let Ok(six) = std::net::TcpListener::bind((IpAddr::from(std::net::Ipv6Addr::LOCALHOST), 0))
    else {
        return; // This machine has no IPv6.
    };
    let six = {
        let address = six.local_addr().unwrap();
        drop(six);
        address
    };
    let mut gateway = Gateway::prepare(worker.address).with_https(&authority);
    authority.issue(six.ip(), gateway.directory.path(), "client");
    gateway.settings.client_door.listen.push(six);
    gateway.settings.client_door.protocol = Protocol::Both;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let mut connection = secure(six, &authority.client()).await.unwrap();
    assert_eq!(connection.send(&ask()).await.unwrap().status, 200);
    assert_eq!(send(six, ask()).await.status, 200);
    assert_eq!(send(gateway.client, ask()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_let_go() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).with_https(&authority);
    gateway.settings.client_door.protocol = Protocol::Both;
    gateway.write_settings();
    let mut gateway = gateway.start().await;
    let _silent = tokio::net::TcpStream::connect(gateway.client)
        .await
        .unwrap();
    let half = tokio::net::TcpStream::connect(gateway.client)
        .await
        .unwrap();
    half.writable().await.unwrap();
    half.try_write(&[0x16, 3, 1]).unwrap();
    assert_eq!(send(gateway.client, ask()).await.status, 200);
    gateway.ask_to_stop();
    let running = gateway.running.take().unwrap();
    tokio::time::timeout(Duration::from_secs(3), running)
        .await
        .expect("neither of them holds it")
        .unwrap();
}
