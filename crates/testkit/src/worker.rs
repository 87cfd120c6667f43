//! A stand-in for the worker's JVM: started as `java` with the worker's own command line, it answers
//! on the listener of `worker.properties` what a healthy worker without connectors answers, to the
//! internal user only.
//!
//! It joins no group and logs nothing, so it shows nothing about Kafka Connect: it is there to have
//! many workers on one machine.

use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Where the worker is told who may ask, as in `-Djava.security.auth.login.config=FILE`.
const LOGIN: &str = "-Djava.security.auth.login.config=";
/// The version it says it has.
const VERSION: &str = "4.1.2";

/// What a worker is told at its start.
#[derive(Debug)]
pub struct StubWorker {
    listener: TcpListener,
    /// Value of `Authorization` that is let in.
    user: String,
}

impl StubWorker {
    /// Reads the files that a worker's command line names, and listens.
    ///
    /// # Errors
    ///
    /// A file is not named or cannot be read, says no listener or no user, or the port is taken.
    pub fn start(arguments: &[String]) -> io::Result<Self> {
        let properties = arguments
            .last()
            .filter(|last| last.ends_with(".properties"));
        let properties = properties.ok_or_else(|| missing("worker.properties"))?;
        let text = fs::read_to_string(properties)?;
        let address = after(&text, "listeners=http://").ok_or_else(|| missing("listener"))?;
        let login = arguments.iter().find_map(|word| word.strip_prefix(LOGIN));
        let login = fs::read_to_string(login.ok_or_else(|| missing(LOGIN))?)?;
        let users = login.split('"').nth(1).map(PathBuf::from);
        let users = fs::read_to_string(users.ok_or_else(|| missing("file of users"))?)?;
        let user = users.lines().find_map(|line| line.split_once('='));
        let (name, password) = user.ok_or_else(|| missing("user"))?;
        let token = BASE64_STANDARD.encode(format!("{name}:{password}"));
        Ok(Self {
            listener: TcpListener::bind(address)?,
            user: format!("Basic {token}"),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The socket does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the process ends.
    pub fn serve(&self) {
        std::thread::scope(|scope| {
            for stream in self.listener.incoming().flatten() {
                // Whoever asked may go away in the middle of an answer.
                scope.spawn(move || self.converse(&stream));
            }
        });
    }

    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some((target, user, length)) = request(&mut reader)? {
            io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
            let (status, body) = if user.as_deref() == Some(&self.user) {
                answer(&target)
            } else {
                ("401 Unauthorized", String::new())
            };
            let length = body.len();
            write!(
                &*stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )?;
        }
        Ok(())
    }
}

/// Path, user and length of the body of the next request; nothing once the other side is done.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, Option<String>, u64)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let (mut user, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some((path, user, length)));
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => user = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().unwrap_or_default(),
            _ => {}
        }
    }
}

fn answer(path: &str) -> (&'static str, String) {
    let body = match path {
        "/" => format!(r#"{{"version":"{VERSION}","commit":"stub","kafka_cluster_id":"stub"}}"#),
        "/health" => r#"{"status":"healthy","message":"Worker has completed startup and is ready to handle requests."}"#.to_owned(),
        "/connectors" => "{}".to_owned(),
        "/connector-plugins" => "[]".to_owned(),
        _ => {
            return (
                "404 Not Found",
                r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned(),
            );
        }
    };
    ("200 OK", body)
}

/// The rest of the line that begins so.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start))
}

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("there is no {what}"))
}
