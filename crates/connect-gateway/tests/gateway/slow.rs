//! Clients that take their time on purpose: each loses its connection, nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use connect_core::gateway::Protocol;
use connect_gateway::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Ask, Authority, CLIENT, Connection, Gateway, Worker, basic, send};

/// Sends the text, then a byte a second for as long as it is let; how long that was and the answer.
async fn trickle(address: SocketAddr, start: String, byte: Option<u8>) -> (Duration, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&buffer[..length]),
            Ok(_) => break,
            Err(_) => {
                assert!(began.elapsed() < Duration::from_secs(90), "{start:?}");
                if let Some(byte) = byte
                    && stream.write_all(&[byte]).await.is_err()
                {
                    break;
                }
            }
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (began.elapsed(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_bodies_and_handshakes_end() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let mut gateway = Gateway::prepare(worker.address).with_https(&authority);
    gateway.settings.client_door.protocol = Protocol::Both;
    gateway.write_settings();
    let gateway = gateway.start().await;
    let address = gateway.client;
    let head = |line: &str| {
        let login = basic(CLIENT);
        format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n")
    };
    let body = head("POST /connectors") + "Content-Length: 5000\r\n\r\n{";
    let rows = [
        // A head that never ends, however steadily it comes.
        (
            head("GET /connectors") + "X-A: ",
            Some(b'a'),
            limits::HEADER_TIMEOUT,
            "",
        ),
        // A body that stops coming.
        (body, None, limits::BODY_IDLE_TIMEOUT, " 408 "),
        // A connection without a word.
        (String::new(), None, limits::HEADER_TIMEOUT, ""),
        // A handshake that never ends.
        (
            "\u{16}\u{3}\u{1}".to_owned(),
            None,
            limits::HANDSHAKE_TIMEOUT,
            "",
        ),
    ];
    let mut running = Vec::new();
    for (start, byte, limit, expect) in rows {
        let slow = tokio::spawn(trickle(address, start.clone(), byte));
        running.push((start, limit, expect, slow));
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.get("/connectors").await.status, 200);
    for (start, limit, expect, slow) in running {
        let (took, answer) = slow.await.unwrap();
        // The clock of the trickle starts after the gateway's.
        let took = took + Duration::from_millis(1500);
        let late = limit + Duration::from_secs(10);
        assert!((limit..late).contains(&took), "{start:?}: {took:?}");
        assert!(answer.contains(expect), "{start:?}: {answer}");
        assert!(!answer.contains(" 200 "), "{start:?}: {answer}");
    }
    let lines = worker.lines();
    assert!(
        lines.iter().all(|line| line == "GET /connectors"),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_every_place() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    // All that one address may have, and more; none of them says anything.
    let from = |last: u8| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket
    };
    let mut silent = Vec::new();
    for _ in 0..limits::CONNECTIONS_PER_ADDRESS + 20 {
        silent.push(from(9).connect(gateway.client).await.unwrap());
    }
    // The last ones were let go of at once.
    let last = silent.last_mut().unwrap();
    let ended = timeout(Duration::from_secs(5), last.read(&mut [0])).await;
    assert!(!matches!(ended, Err(_) | Ok(Ok(1..))), "{ended:?}");
    assert_eq!(gateway.get("/connectors").await.status, 200);
    // With places free again it is served as anybody.
    drop(silent);
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let stream = from(9).connect(gateway.client).await.unwrap();
        let mut connection = Connection::over(gateway.client, stream).await.unwrap();
        let ask = Ask::new("GET", "/").login(CLIENT);
        if connection
            .send(&ask)
            .await
            .is_ok_and(|got| got.status == 200)
        {
            break;
        }
        assert!(Instant::now() < end, "places come free");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_whatever_it_says_of_itself() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let large = vec![b' '; limits::CONFIG_BODY_BYTES + 1];
    let post = Ask::new("POST", "/connectors").login(CLIENT);
    let got = send(gateway.client, post.json("").body(large)).await;
    assert_eq!(got.status, 413);
    // In chunks, so that no length says so in advance.
    let mut stream = TcpStream::connect(gateway.client).await.unwrap();
    let login = basic(CLIENT);
    let head = format!(
        "PUT /connectors/a/config HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..=limits::CONFIG_BODY_BYTES / 0x10000 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(worker.lines(), Vec::<String>::new());
}
