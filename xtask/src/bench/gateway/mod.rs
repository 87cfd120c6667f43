//! The gateway beside haproxy: what a proxy in front of a worker adds to a request, and what it costs.
//!
//! Both check a password (HTTP basic), put the worker's own credential in its place, keep their
//! connections to the worker and write a line for each request into a file, with the same number of
//! threads, in turns, before the same stub that answers at once. Ours knows a thousand users by their
//! hashes; haproxy one, in clear (`insecure-password`), which is its fastest.

mod load;
mod servers;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use self::load::Load;
use self::servers::{Proxy, Stub};
use super::median;
use super::parts::Parts;
use super::report::Row;

/// Rounds of each; the median counts.
const ROUNDS: usize = 5;
/// Requests a second for latency, from a clock: a late answer makes no request later.
const RATE: u32 = 500;
/// How long one measurement takes.
const LATENCY_TIME: Duration = Duration::from_secs(2);
const THROUGHPUT_TIME: Duration = Duration::from_millis(1500);
/// Latency that ours may add at the 99th percentile, in milliseconds.
const ADDED_GOAL_MS: f64 = 1.0;
/// Throughput of ours, of the other's.
const THROUGHPUT_RATIO: f64 = 0.8;
/// Memory with a thousand users after all of it, in MiB.
const RSS_GOAL_MIB: f64 = 32.0;

/// What one proxy made of it.
#[derive(Default)]
struct Figures {
    p99_ms: Vec<f64>,
    added_ms: Vec<f64>,
    throughput: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Figures {
    fn told(&self, name: &str) {
        println!(
            "{name}: p99 {:.2} ms, {:.0} requests/s, {:.0} us of processor time each.",
            median(&self.p99_ms),
            median(&self.throughput),
            median(&self.cpu_us)
        );
    }
}

/// Measures all of it.
pub(super) fn proxies(target: &Path) -> Result<Vec<Row>> {
    let parts = Parts::new(target);
    let folder = parts.path("bench/gateway")?;
    let stub = Stub::start()?;
    let ours = Proxy::ours(
        &parts.get("release/kafka-connect-gateway")?,
        &folder,
        stub.address,
    )?;
    let other = Proxy::haproxy(&folder, stub.address)?;
    println!(
        "One stub on loopback, {RATE} requests/s for latency, then as many as go through; {ROUNDS} rounds. \
         other: haproxy with a userlist in clear, logging as ours does."
    );
    let direct = Load::new(stub.address);
    let mut straight = Vec::new();
    let (mut ours_figures, mut other_figures) = (Figures::default(), Figures::default());
    // The first of each warms caches and is not counted.
    for round in 0..=ROUNDS {
        let base = direct.p99_ms(RATE, LATENCY_TIME)?;
        let both = [
            (Some(&ours), &mut ours_figures),
            (other.as_ref(), &mut other_figures),
        ];
        for (proxy, figures) in both {
            let Some(proxy) = proxy else { continue };
            let load = Load::new(proxy.address);
            let p99 = load.p99_ms(RATE, LATENCY_TIME)?;
            let before = proxy.cpu_ms()?;
            let (requests, seconds) = load.saturate(THROUGHPUT_TIME)?;
            let cpu = proxy.cpu_ms()? - before;
            if round > 0 {
                figures.p99_ms.push(p99);
                figures.added_ms.push((p99 - base).max(0.0));
                figures.throughput.push(requests / seconds);
                figures.cpu_us.push(cpu * 1000.0 / requests);
            }
        }
        if round > 0 {
            straight.push(base);
        }
    }
    println!("straight to the stub: p99 {:.2} ms.", median(&straight));
    ours_figures.told("ours");
    let names = ["gateway-latency-p99-ms", "gateway-throughput"];
    let (latency, throughput) = if other.is_some() {
        other_figures.told("haproxy");
        let pair =
            |of: fn(&Figures) -> &Vec<f64>| (median(of(&ours_figures)), median(of(&other_figures)));
        (
            Row::new(
                names[0],
                pair(|one| &one.added_ms),
                "ms",
                Some(ADDED_GOAL_MS),
            ),
            Row::at_least(
                names[1],
                pair(|one| &one.throughput),
                "req/s",
                THROUGHPUT_RATIO,
            ),
        )
    } else {
        println!("no haproxy: not measured. Install it to compare.");
        let added = median(&ours_figures.added_ms);
        let throughput = median(&ours_figures.throughput);
        (
            Row::alone(names[0], added, "ms", Some(ADDED_GOAL_MS)),
            Row::alone(names[1], throughput, "req/s", None),
        )
    };
    let memory = ours.rss_mib()?;
    let memory = match &other {
        Some(other) => Row::new(
            "gateway-rss-mib",
            (memory, other.rss_mib()?),
            "MiB",
            Some(RSS_GOAL_MIB),
        ),
        None => Row::alone("gateway-rss-mib", memory, "MiB", Some(RSS_GOAL_MIB)),
    };
    Ok(vec![latency, throughput, memory])
}
