//! Bytes that two servers might read in different ways.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::{CLIENT, Gateway, Worker, basic};

/// Sends bytes and returns all that comes back until the door closes the connection or is silent.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    // The door may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_smuggled_past_the_door() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let login = basic(CLIENT);
    let head = |line: &str, more: &str| {
        format!("{line}\r\nHost: gateway\r\nAuthorization: {login}\r\n{more}\r\n")
    };
    // The second request hides in the first one's body; it has no credentials of its own.
    let hidden = "DELETE /connectors/hidden HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let post = "POST /connectors/a/restart HTTP/1.1";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let rows = [
        (
            "both lengths",
            head(post, &format!("{length}Transfer-Encoding: chunked\r\n")) + "0\r\n\r\n" + hidden,
        ),
        (
            "both lengths, other order",
            head(post, &format!("Transfer-Encoding: chunked\r\n{length}")) + "0\r\n\r\n" + hidden,
        ),
        (
            "two lengths",
            head(post, &format!("Content-Length: 0\r\n{length}")) + hidden,
        ),
        (
            "a length in two parts",
            head(post, "Content-Length: 0, 5\r\n") + hidden,
        ),
        (
            "a signed length",
            head(post, "Content-Length: +5\r\n") + hidden,
        ),
        (
            "an unknown coding",
            head(post, "Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n" + hidden,
        ),
        (
            "chunked twice",
            head(
                post,
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            ) + "0\r\n\r\n"
                + hidden,
        ),
        (
            "a space before the colon",
            head(post, "Content-Length : 5\r\n") + hidden,
        ),
        (
            "a folded header",
            head(post, "X-A: b\r\n Content-Length: 5\r\n") + hidden,
        ),
        (
            "a bare line feed",
            head(post, "X-A: b\nContent-Length: 5\r\n") + hidden,
        ),
        (
            "HTTP/1.0 with chunks",
            head(
                "POST /connectors/a/restart HTTP/1.0",
                "Transfer-Encoding: chunked\r\n",
            ) + "0\r\n\r\n"
                + hidden,
        ),
    ];
    for (what, bytes) in rows {
        let answer = exchange(gateway.client, bytes.as_bytes());
        let hidden = worker.lines().iter().any(|line| line.contains("hidden"));
        assert!(!hidden, "{what}: reached the worker");
        // The hidden text is at most read as a request of its own, and then nobody it knows.
        let second = answer.matches("HTTP/1.").count() > 1;
        assert!(!second || answer.contains(" 401 "), "{what}: {answer}");
    }
    let lengths = |headers: &hyper::HeaderMap| {
        (
            headers.get_all("content-length").iter().count(),
            headers.get_all("transfer-encoding").iter().count(),
        )
    };
    for seen in worker.seen() {
        let (length, coding) = lengths(&seen.headers);
        assert!(length + coding <= 1, "the worker never sees two lengths");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_request_lines_and_heads_are_refused() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let login = basic(CLIENT);
    let auth = format!("Authorization: {login}\r\n");
    let rows = [
        (
            format!("GET http://other/connectors HTTP/1.1\r\nHost: other\r\n{auth}\r\n"),
            400,
        ),
        (format!("GET /connectors HTTP/1.1\r\n{auth}\r\n"), 400),
        (
            format!("GET /connectors HTTP/1.1\r\nHost: a\r\nHost: b\r\n{auth}\r\n"),
            400,
        ),
        (
            format!("GET /connectors HTTP/1.1\r\nHost: a b\r\n{auth}\r\n"),
            400,
        ),
        (
            format!("GET /connectors HTTP/1.1\r\nHost: x@a\r\n{auth}\r\n"),
            400,
        ),
        (
            format!("CONNECT worker:1 HTTP/1.1\r\nHost: a\r\n{auth}\r\n"),
            405,
        ),
        (format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{auth}\r\n"), 400),
        (
            format!("GET /connectors HTTP/1.1\r\nHost: a\r\n{auth}{auth}\r\n"),
            401,
        ),
        (
            format!("GET /conn ectors HTTP/1.1\r\nHost: a\r\n{auth}\r\n"),
            400,
        ),
        (
            format!("GET /connectors HTTP/3.7\r\nHost: a\r\n{auth}\r\n"),
            400,
        ),
        (
            format!(
                "GET /connectors HTTP/1.1\r\nHost: a\r\n{auth}X: {}\r\n\r\n",
                "x".repeat(40_000)
            ),
            431,
        ),
        (
            format!(
                "GET /connectors HTTP/1.1\r\nHost: a\r\n{auth}{}\r\n",
                "X: y\r\n".repeat(200)
            ),
            431,
        ),
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        (
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned(),
            400,
        ),
    ];
    for (bytes, status) in rows {
        let answer = exchange(gateway.client, bytes.as_bytes());
        let shown = &bytes[..bytes.len().min(60)];
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} "))
                || answer.starts_with(&format!("HTTP/1.0 {status} ")),
            "{shown:?}: {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{shown:?}");
    }
    assert_eq!(worker.lines(), Vec::<String>::new());
    assert_eq!(gateway.get("/").await.status, 200, "still serving");
}
