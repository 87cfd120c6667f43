//! The REST calls against a real HTTP server on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test may fail it where they stand"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use connect_client::{Access, Answer, Api, NoAnswer, install_tls_provider};
use serde_json::json;

/// A server that answers each request with the next reply and remembers what it was asked.
struct Server {
    address: String,
    asked: Receiver<String>,
}

fn serve(replies: Vec<&'static str>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for reply in replies {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            answer(stream, reply, &sender);
        }
    });
    Server { address, asked }
}

fn answer(mut stream: TcpStream, reply: &str, asked: &Sender<String>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        if text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.len() >= length)
            || read == 0
        {
            asked.send(text).unwrap();
            break;
        }
    }
    stream.write_all(reply.as_bytes()).unwrap();
}

fn api(endpoints: &[&str]) -> Api {
    install_tls_provider();
    let bag = BTreeMap::from([
        ("endpoints".to_owned(), endpoints.join(",")),
        ("username".to_owned(), "relation-7".to_owned()),
        ("password".to_owned(), "pw".to_owned()),
    ]);
    let Ok(Answer::Ready(access)) = Answer::read(&bag, &BTreeMap::new()) else {
        panic!("ready")
    };
    let access: Access = access;
    Api::new(access).unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn register_puts_the_configuration_under_an_encoded_name_as_the_user() {
    let server = serve(vec![
        "HTTP/1.1 201 Created\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"name\":\"a?\"}",
    ]);
    let reply = api(&[&server.address])
        .register("a b/?", &json!({"k": "v"}))
        .unwrap();
    assert!(reply.ok());
    assert_eq!(reply.body["name"], "a?");
    let asked = server.asked.recv().unwrap();
    assert!(
        asked.starts_with("PUT /connectors/a%20b%2F%3F/config HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("authorization: Basic cmVsYXRpb24tNzpwdw=="),
        "{asked}"
    );
    assert!(asked.ends_with("{\"k\":\"v\"}"), "{asked}");
}

#[test]
fn a_refusal_is_an_answer_with_kafka_connects_own_message() {
    let body = "{\"error_code\":404,\"message\":\"no such connector\"}";
    let reply: &'static str = Box::leak(
        format!(
            "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_boxed_str(),
    );
    let server = serve(vec![reply]);
    let reply = api(&[&server.address]).status("gone").unwrap();
    assert_eq!(
        (reply.status, reply.message()),
        (404, Some("no such connector"))
    );
}

#[test]
fn an_endpoint_that_refuses_connections_is_passed_over_for_writes_too() {
    let server = serve(vec!["HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"]);
    let reply = api(&[&nobody(), &server.address]).unregister("c").unwrap();
    assert_eq!(reply.status, 204);
    assert!(
        server
            .asked
            .recv()
            .unwrap()
            .starts_with("DELETE /connectors/c HTTP/1.1")
    );
}

#[test]
fn a_write_whose_answer_is_lost_is_not_repeated_elsewhere() {
    let broken = serve(vec![""]);
    let other = serve(vec!["HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"]);
    let error = api(&[&broken.address, &other.address])
        .unregister("c")
        .unwrap_err();
    assert!(matches!(error, NoAnswer::Lost { .. }), "{error}");
    assert!(
        other.asked.try_recv().is_err(),
        "the second endpoint must not be asked"
    );
}

#[test]
fn nobody_answering_says_how_many_were_tried() {
    let error = api(&[&nobody(), &nobody()]).list().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot reach Kafka Connect at any of 2 endpoints"
    );
}
