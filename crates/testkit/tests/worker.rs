//! The stand-in for a worker, told by the files that the charm writes for a real one.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use testkit::StubWorker;

fn command(folder: &Path, properties: &str) -> Vec<String> {
    let write = |name: &str, text: &str| -> String {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let users = write("users.properties", "internal=secret\n");
    let login = write(
        "jaas.conf",
        &format!("KafkaConnect {{\n  x required\n    file=\"{users}\";\n}};\n"),
    );
    let properties = write("worker.properties", properties);
    let option = format!("-Djava.security.auth.login.config={login}");
    ["-Xmx256m", &option, "-cp", "libs/*", "Main", &properties]
        .map(str::to_owned)
        .to_vec()
}

fn get(at: SocketAddr, path: &str, user: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nauthorization: Basic {user}\r\nContent-Length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_the_internal_user_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let command = command(folder.path(), "group.id=g\nlisteners=http://127.0.0.1:0\n");
    let worker = StubWorker::start(&command).unwrap();
    let at = worker.address().unwrap();
    std::thread::spawn(move || worker.serve());
    // internal:secret
    let known = "aW50ZXJuYWw6c2VjcmV0";
    for (path, user, status, part) in [
        ("/health", known, 200, "healthy"),
        ("/", known, 200, r#""version":"4.1.2""#),
        ("/connectors?expand=info&expand=status", known, 200, "{}"),
        ("/connector-plugins?connectorsOnly=false", known, 200, "[]"),
        ("/connectors/x", known, 404, "404"),
        ("/health", "aW50ZXJuYWw6b3RoZXI=", 401, ""),
    ] {
        let answer = get(at, path, user);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(answer.contains(part), "{path}: {answer}");
    }
}

#[test]
fn without_a_listener_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let error = StubWorker::start(&command(folder.path(), "group.id=g\n")).unwrap_err();
    assert_eq!(error.to_string(), "there is no listener");
}
