//! Fetches bundles by hand, for tests and benchmarks: `fetch-plugin FOLDER [KEY=VALUE…] URL…`.
//!
//! Puts what the URLs serve into `FOLDER/plugins`, all at once, and prints a JSON line for each and
//! one with the most memory that was used. Keys: the limits by their names, `stall-ms`,
//! `first-byte-ms`, `total-ms`, `slowest-bytes`, `slowest-ms`, and `ca`, a PEM file to trust.

use std::error::Error;
use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use connect_plugins::{
    Admitted, FetchOptions, Limits, SafeUrl, confine, fetch, install_tls_provider, unpack_if_asked,
};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

fn main() -> ExitCode {
    if let Some(code) = unpack_if_asked() {
        return code;
    }
    // What a process that unpacks could do if somebody took it over; see tests/fetch/confined.rs.
    if std::env::args().nth(1).as_deref() == Some("probe") {
        println!("{}", probe());
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: fetch-plugin FOLDER [KEY=VALUE…] URL…")?,
    );
    let mut template = FetchOptions::new(
        SafeUrl::parse("http://nowhere.invalid/")?,
        folder.join("plugins"),
        folder.join("staging"),
    );
    let mut all = Vec::new();
    for argument in arguments {
        if argument.starts_with("http") {
            let mut options = template.clone();
            options.url = SafeUrl::parse(&argument)?;
            all.push(options);
        } else {
            let (key, value) = argument.split_once('=').ok_or("an option has no value")?;
            set(&mut template, key, value)?;
        }
    }
    install_tls_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcomes = runtime.block_on(async {
        let tasks: Vec<_> = all
            .into_iter()
            .map(|options| tokio::task::spawn(fetch(options)))
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await);
        }
        outcomes
    });
    for outcome in outcomes {
        println!("{}", shown(outcome?));
    }
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    println!(
        "{}",
        json!({"peak-kib": peak_kib()?, "peak-unpacking-kib": children.max_rss()})
    );
    Ok(())
}

fn set(options: &mut FetchOptions, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
    let Limits {
        compressed,
        unpacked,
        entries,
        ratio,
        ratio_grace,
        path,
        depth,
        file,
        decoder_memory,
    } = &mut options.limits;
    let times = &mut options.timeouts;
    let number = || value.parse::<u64>();
    match key {
        "compressed" => *compressed = number()?,
        "unpacked" => *unpacked = number()?,
        "entries" => *entries = number()?,
        "ratio" => *ratio = number()?,
        "ratio-grace" => *ratio_grace = number()?,
        "path" => *path = value.parse()?,
        "depth" => *depth = value.parse()?,
        "file" => *file = number()?,
        "decoder-memory" => *decoder_memory = number()?,
        "stall-ms" => times.stall = Duration::from_millis(number()?),
        "first-byte-ms" => times.first_byte = Duration::from_millis(number()?),
        "total-ms" => times.total = Duration::from_millis(number()?),
        "slowest-bytes" => times.slowest.bytes = number()?,
        "slowest-ms" => times.slowest.within = Duration::from_millis(number()?),
        "user" => {
            let number = value.parse()?;
            options.unpacker.user = Some((number, number));
        }
        "ca" => options.extra_ca_pem.push(fs::read(value)?),
        _ => return Err(format!("there is no option `{key}`").into()),
    }
    Ok(())
}

fn shown(outcome: Result<Admitted, connect_plugins::BundleError>) -> Value {
    match outcome {
        Ok(Admitted::Empty) => json!({"verdict": "empty"}),
        Ok(Admitted::Unchanged(stored)) => {
            json!({"verdict": "unchanged", "digest": stored.digest})
        }
        Ok(Admitted::Stored(stored)) => json!({
            "verdict": "stored",
            "digest": stored.digest,
            "contract": stored.contract,
            "confinement": stored.confinement,
        }),
        Err(error) => {
            let mut sources = Vec::new();
            let mut source = error.source();
            while let Some(cause) = source {
                sources.push(cause.to_string());
                source = cause.source();
            }
            json!({
                "verdict": "refused",
                "message": error.to_string(),
                "fault": format!("{:?}", error.fault()),
                "sources": sources,
            })
        }
    }
}

/// Tries what a confined process must not manage, after confining itself, and says what came of it.
fn probe() -> Value {
    fn told<T, E: ToString>(result: Result<T, E>) -> Value {
        result.map_or_else(|error| json!(error.to_string()), |_| json!("done"))
    }
    let outside = std::env::args().nth(2).unwrap_or_default();
    let parent = rustix::process::getppid();
    let confinement = confine(1 << 20);
    json!({
        "confinement": confinement,
        "write inside": told(fs::write("inside", "x")),
        "read inside": told(fs::read("inside")),
        "read outside": told(fs::read(&outside)),
        "read passwd": told(fs::read("/etc/passwd")),
        "write outside": told(fs::write(&outside, "x")),
        "write above": told(fs::write("../above", "x")),
        "link outside": told(fs::hard_link(&outside, "link")),
        "symbolic link": told(std::os::unix::fs::symlink("/", "link")),
        "connect": told(TcpStream::connect("127.0.0.1:1")),
        "listen": told(TcpListener::bind("127.0.0.1:0")),
        "datagram": told(UdpSocket::bind("127.0.0.1:0")),
        "local socket": told(UnixStream::connect("/run/systemd/notify")),
        "start a program": told(Command::new("/bin/true").status()),
        "start a thread": told(std::thread::Builder::new().spawn(|| {})),
        "signal the parent": told(parent.map_or(Ok(()), |parent| {
            rustix::process::kill_process(parent, rustix::process::Signal::CONT)
        })),
        "change the user": told(Command::new("/bin/true").uid(0).status()),
    })
}

/// The most memory this process ever had, in KiB.
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the kernel does not say VmHWM")?.parse()?)
}
