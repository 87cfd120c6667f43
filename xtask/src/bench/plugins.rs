//! The plugin pipeline beside what a shell script would do: download, hash, unpack.
//!
//! Ours does more (it judges every entry, syncs to disk, reads what the jars offer) and in a confined
//! process; the other is `curl | tee >(sha256sum) | tar xz`. Both take a bundle of 200 MB, of text and
//! of what is compressed already, from the same server on loopback, in turns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::archive::large::{self, Filling};
use testkit::{Behaviour, Body, MisbehavingServer};

use super::median;
use super::parts::Parts;
use super::report::Row;

/// Rounds of each; the median counts.
const ROUNDS: usize = 5;
/// Size of a bundle, unpacked, in MiB.
const LARGE_MIB: usize = 200;
/// Size of each bundle that is fetched at the same time as others, and its server's pace.
const SMALL_MIB: usize = 16;
const PIECE: usize = 64 << 10;
const EVERY_MS: u64 = 5;
/// How many are fetched at the same time.
const TOGETHER: usize = 4;
/// Ours is to be so many times as fast as the other.
const TEXT_RATIO: f64 = 1.3;
const JAR_RATIO: f64 = 1.0;
const TOGETHER_RATIO: f64 = 1.6;
/// Memory of both our processes together, in MiB.
const RSS_GOAL_MIB: f64 = 32.0;

/// Measures all of it.
pub(super) fn pipelines(target: &Path) -> Result<Vec<Row>> {
    let bench = Bench::new(target)?;
    println!(
        "A tar.gz of {LARGE_MIB} MiB, {ROUNDS} rounds; other: curl | tee >(sha256sum) | tar xz."
    );
    let mut rows = Vec::new();
    let (mut ours_mib, mut other_mib) = (0_f64, 0_f64);
    for (name, filling, ratio) in [
        ("plugin-pipeline-text", Filling::Text, TEXT_RATIO),
        ("plugin-pipeline-jar", Filling::Jars, JAR_RATIO),
    ] {
        let url = bench.serve(filling, LARGE_MIB, 1, None)?;
        let (mut ours, mut other) = (Vec::new(), Vec::new());
        // The first of each warms caches and is not counted.
        for round in 0..=ROUNDS {
            let (a, b) = (bench.ours(&[&url])?, bench.other(&url)?);
            if round > 0 {
                ours.push(a.seconds);
                other.push(b.seconds);
            }
            ours_mib = ours_mib.max(a.mib);
            other_mib = other_mib.max(b.mib);
        }
        let (ours, other) = (median(&ours), median(&other));
        rows.push(Row::new(name, (ours, other), "s", Some(goal(other, ratio))));
    }
    let name = "plugin-pipeline-rss-mib";
    rows.push(Row::new(
        name,
        (ours_mib, other_mib),
        "MiB",
        Some(RSS_GOAL_MIB),
    ));
    rows.push(bench.together()?);
    Ok(rows)
}

struct Bench {
    /// The release build: what it does is in the charm.
    program: PathBuf,
    folder: PathBuf,
    server: MisbehavingServer,
}

/// What one run took.
struct Run {
    seconds: f64,
    mib: f64,
}

impl Bench {
    fn new(target: &Path) -> Result<Self> {
        let parts = Parts::new(target);
        let folder = parts.path("bench/plugins")?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            program: parts.get("release/fetch-plugin")?.into(),
            folder,
            server: MisbehavingServer::start().context("cannot start a server")?,
        })
    }

    /// The URL of a bundle, which is made unless it is there from an earlier run.
    fn serve(
        &self,
        filling: Filling,
        mib: usize,
        seed: u64,
        every_ms: Option<u64>,
    ) -> Result<String> {
        let name = format!("{filling:?}-{mib}-{seed}.tar.gz").to_lowercase();
        let file = self.folder.join(&name);
        if !file.exists() {
            large::write(&file, filling, mib, seed)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let body = Body::File(file);
        let behaviour = match every_ms {
            None => Behaviour::Ok {
                body,
                headers: Vec::new(),
            },
            Some(every_ms) => Behaviour::Trickle {
                body,
                bytes: PIECE,
                every_ms,
            },
        };
        let path = format!("/{name}");
        self.server.on(&path, behaviour);
        Ok(self.server.url(&path))
    }

    /// An empty place for what a run makes.
    fn place(&self) -> Result<PathBuf> {
        let place = self.folder.join("place");
        if place.exists() {
            fs::remove_dir_all(&place).context("cannot clear the place of a run")?;
        }
        fs::create_dir_all(&place).context("cannot make the place of a run")?;
        Ok(place)
    }

    fn ours(&self, urls: &[&str]) -> Result<Run> {
        let place = self.place()?;
        let start = Instant::now();
        let output = Command::new(&self.program)
            .arg(&place)
            .args(urls)
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let seconds = start.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("cannot understand `{text}`"))?;
        let (peak, outcomes) = lines.split_last().context("nothing was fetched")?;
        for outcome in outcomes {
            if outcome["verdict"] != "stored" {
                bail!("a bundle was not stored: {outcome}");
            }
        }
        let kib = |key: &str| peak[key].as_f64().unwrap_or(f64::INFINITY);
        Ok(Run {
            seconds,
            mib: (kib("peak-kib") + kib("peak-unpacking-kib")) / 1024.0,
        })
    }

    fn other(&self, url: &str) -> Result<Run> {
        let place = self.place()?;
        let script = format!(
            "set -euo pipefail; curl -sfL {url} | tee >(sha256sum > digest) | tar xz; wait"
        );
        let start = Instant::now();
        let mut child = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&place)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start bash")?;
        let kib = peak_of_all(&mut child)?;
        let seconds = start.elapsed().as_secs_f64();
        if !child.wait().context("cannot wait")?.success() {
            bail!("curl, tee, sha256sum and tar did not get {url}");
        }
        Ok(Run {
            seconds,
            mib: kib / 1024.0,
        })
    }

    /// Several at once beside one after the other, from a server that gives each only so much.
    fn together(&self) -> Result<Row> {
        let mut urls = Vec::new();
        for seed in 0..TOGETHER as u64 {
            urls.push(self.serve(Filling::Jars, SMALL_MIB, seed + 10, Some(EVERY_MS))?);
        }
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        println!(
            "{TOGETHER} bundles of {SMALL_MIB} MiB from a slow server; other: one after the other."
        );
        let (mut ours, mut other) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            ours.push(self.ours(&urls)?.seconds);
            let start = Instant::now();
            for url in &urls {
                self.ours(&[url])?;
            }
            other.push(start.elapsed().as_secs_f64());
        }
        let (ours, other) = (median(&ours), median(&other));
        let goal = Some(goal(other, TOGETHER_RATIO));
        Ok(Row::new("plugin-parallel", (ours, other), "s", goal))
    }
}

/// The most that ours may take to be so many times as fast, as precise as the table.
pub(super) fn goal(other: f64, ratio: f64) -> f64 {
    (other / ratio * 100.0).round() / 100.0
}

/// Waits for a process and gives the most memory of it and of all that it started, in KiB: the sum
/// over the processes of the most that each had.
fn peak_of_all(child: &mut Child) -> Result<f64> {
    let mut peaks: Vec<(u32, f64)> = Vec::new();
    while child.try_wait().context("cannot wait")?.is_none() {
        for pid in tree(child.id()) {
            let Some(kib) = peak_kib(pid) else { continue };
            match peaks.iter_mut().find(|(known, _)| *known == pid) {
                Some((_, most)) => *most = most.max(kib),
                None => peaks.push((pid, kib)),
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(peaks.iter().map(|(_, kib)| kib).sum())
}

/// A process and everything below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        all.extend(
            children
                .split_whitespace()
                .filter_map(|it| it.parse::<u32>().ok()),
        );
        at += 1;
    }
    all
}

fn peak_kib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
