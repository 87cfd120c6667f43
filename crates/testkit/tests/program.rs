//! The server as a program: told by a script that may change while it runs, or by a folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of it is tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Program {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Program {
    fn start(place: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_testkit-server"))
            .arg(place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        out.read_line(&mut url).unwrap();
        let address = url
            .trim()
            .strip_prefix("http://")
            .and_then(|it| it.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("{url}")).to_owned();
        Self {
            child,
            out,
            address,
        }
    }

    fn get(&mut self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut logged = String::new();
        self.out.read_line(&mut logged).unwrap();
        assert_eq!(logged.trim(), format!("GET {path}"));
        answer
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is(answer: &str, code: &str, end: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    assert!(answer.ends_with(end), "{answer}");
}

#[test]
fn a_script_is_followed_and_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.json");
    std::fs::write(folder.path().join("p.tar"), "bytes").unwrap();
    std::fs::write(
        &script,
        r#"{"/p": {"do": "sequence", "steps": [
                {"do": "status", "code": 404},
                {"do": "redirect", "to": "/elsewhere"},
                {"do": "ok", "body": {"file": "p.tar"}}]},
            "/t": {"do": "ok", "body": {"text": "hello"}, "headers": [["ETag", "x"]]}}"#,
    )
    .unwrap();
    let mut program = Program::start(&script);
    is(&program.get("/p"), "404", "");
    is(&program.get("/p"), "307", "");
    is(&program.get("/p"), "200", "bytes");
    is(&program.get("/p?again"), "200", "bytes");
    assert!(program.get("/t").contains("ETag: x\r\n"));
    is(&program.get("/none"), "404", "");
    std::fs::write(
        &script,
        r#"{"/none": {"do": "ok", "body": {"text": "now"}}}"#,
    )
    .unwrap();
    is(&program.get("/none"), "200", "now");
    std::fs::write(&script, "{").unwrap();
    is(&program.get("/none"), "500", "");
}

#[test]
fn a_folder_is_served_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/p.tar"), "bytes").unwrap();
    let mut program = Program::start(folder.path());
    is(&program.get("/a/p.tar"), "200", "bytes");
    is(&program.get("/a/../a/p.tar"), "404", "");
    is(&program.get("/a"), "404", "");
}
