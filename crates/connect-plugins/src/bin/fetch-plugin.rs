//! Fetches bundles by hand, for tests and benchmarks: `fetch-plugin FOLDER [KEY=VALUE…] URL…`.
//!
//! Puts what the URLs serve into `FOLDER/plugins`, all at once, and prints a JSON line for each and
//! one with the most memory that was used. Keys: the limits by their names, `stall-ms`,
//! `first-byte-ms`, `total-ms`, `slowest-bytes`, `slowest-ms`, and `ca`, a PEM file to trust.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use connect_plugins::{Admitted, FetchOptions, Limits, SafeUrl, fetch, install_tls_provider};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
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
    println!("{}", json!({"peak-kib": peak_kib()?}));
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
        "ca" => options.extra_ca_pem.push(fs::read(value)?),
        _ => return Err(format!("there is no option `{key}`").into()),
    }
    Ok(())
}

fn shown(outcome: Result<Admitted, connect_plugins::BundleError>) -> Value {
    match outcome {
        Ok(Admitted::Empty) => json!({"verdict": "empty"}),
        Ok(Admitted::Stored(stored)) => json!({
            "verdict": "stored",
            "digest": stored.digest,
            "contract": stored.contract,
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

/// The most memory this process ever had, in KiB.
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("the kernel does not say VmHWM")?.parse()?)
}
