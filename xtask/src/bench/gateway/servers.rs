//! The stub that stands for a worker, and the two proxies in front of it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::super::measure::{cpu_ms, rss_mib};

/// One of the users, as a request carries it: `relation-500`, whose password is `bench`.
pub(super) const AUTHORIZATION: &str = "Basic cmVsYXRpb24tNTAwOmJlbmNo";
const USER: &str = "relation-500";
const PASSWORD: &str = "bench";
/// SHA-256 of the password.
const HASH: &str = "1b32c28cb38c05480eccc1bd60ff97029b57a05c96718b96dad7e9d84894f549";
/// Users that ours knows.
const USERS: u32 = 1000;
/// What stands in its place behind the proxy: `internal:internal`.
const INTERNAL: &str = "Basic aW50ZXJuYWw6aW50ZXJuYWw=";
/// Threads of either proxy.
const THREADS: u32 = 2;
/// How long a proxy has to let the first request through.
const START: Duration = Duration::from_secs(20);

/// As Kafka Connect tells of a connector.
const ANSWER: &str = r#"{"name":"orders","connector":{"state":"RUNNING","worker_id":"10.0.0.1:8083","version":"4.1.2"},"tasks":[{"id":0,"state":"RUNNING","worker_id":"10.0.0.1:8083","version":"4.1.2"}],"type":"sink"}"#;

/// A worker that answers everything alike and at once. Ends with the program.
pub(super) struct Stub {
    pub(super) address: SocketAddr,
}

impl Stub {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection that breaks is over, as with any server.
                thread::spawn(move || drop(serve(stream)));
            }
        });
        Ok(Self { address })
    }
}

/// Answers requests without a body until the connection ends.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let mut request = Vec::with_capacity(4096);
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..length]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(answer.as_bytes())?;
        }
    }
}

/// A running proxy; it ends when dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    process: Child,
}

impl Proxy {
    /// The gateway.
    pub(super) fn ours(program: &str, folder: &Path, stub: SocketAddr) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let address = free()?;
        let file = |name: &str| folder.join(name);
        let settings = json!({
            "client_door": {"listen": [address]},
            "worker": {
                "address": stub,
                "internal": {"username": "internal", "password": "internal"},
            },
            "peers": [],
            "retry_limit_ms": 1000,
            "users_file": file("users.json"),
            "state_file": file("state.json"),
        });
        let users: Vec<_> = (0..USERS)
            .map(|number| {
                json!({
                    "name": format!("relation-{number}"),
                    "passwords_sha256": [HASH],
                    "owner": format!("model:application-{number}:{number}"),
                })
            })
            .collect();
        let users = json!({"generation": "bench", "users": users});
        write(&file("users.json"), &users.to_string())?;
        write(&file("gateway.json"), &settings.to_string())?;
        let mut command = Command::new(program);
        command
            .args(["run", "--settings"])
            .arg(file("gateway.json"))
            .stdout(Stdio::null())
            .stderr(log(&file("gateway.log"))?);
        Self::start(command, address)
    }

    /// haproxy; none if it is not installed.
    pub(super) fn haproxy(folder: &Path, stub: SocketAddr) -> Result<Option<Self>> {
        let address = free()?;
        let config = folder.join("haproxy.cfg");
        let text = format!(
            "global\n  nbthread {THREADS}\n  log stdout format raw local0\n\
             defaults\n  mode http\n  log global\n  option httplog\n  http-reuse always\n  \
             timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             userlist users\n  user {USER} insecure-password {PASSWORD}\n\
             frontend door\n  bind {address}\n  http-request auth unless {{ http_auth(users) }}\n  \
             http-request set-header Authorization \"{INTERNAL}\"\n  default_backend worker\n\
             backend worker\n  server worker {stub}\n"
        );
        write(&config, &text)?;
        // As packages have it: also where `sbin` is not in the path.
        for program in ["haproxy", "/usr/sbin/haproxy"] {
            let mut command = Command::new(program);
            command
                .args(["-db", "-f"])
                .arg(&config)
                .stdout(log(&folder.join("haproxy.log"))?)
                .stderr(Stdio::null());
            match Self::start(command, address) {
                Ok(proxy) => return Ok(Some(proxy)),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let name = command.get_program().to_owned();
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {}", name.display()))?;
        let mut proxy = Self { address, process };
        let end = Instant::now() + START;
        while let Err(error) =
            super::load::Load::new(address).p99_ms(100, Duration::from_millis(80))
        {
            if let Some(status) = proxy.process.try_wait()? {
                bail!("{} ended with {status}", name.display());
            }
            if Instant::now() > end {
                return Err(error.context(format!("{} does not serve", name.display())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }

    /// Time on a processor so far, in milliseconds.
    pub(super) fn cpu_ms(&self) -> Result<f64> {
        cpu_ms(self.process.id()).context("the proxy ended")
    }

    /// Most memory at once so far, in MiB.
    pub(super) fn rss_mib(&self) -> Result<f64> {
        rss_mib(self.process.id()).context("the proxy ended")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Gone already is what is asked for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<std::io::Error>();
    source.is_some_and(|source| source.kind() == ErrorKind::NotFound)
}

/// An address that nobody listens on now.
fn free() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn log(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot create {}", path.display()))
}
