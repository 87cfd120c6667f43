//! Watches how much memory the whole model takes: the proportional share of every process below
//! the model's own first process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::sim::Sim;

/// A thread that looks twice a second until dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    highest_kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Memory {
    pub(crate) fn watch(sim: &Sim) -> Result<Self> {
        let pid = std::fs::read_to_string(sim.directory.join("realm.pid"))
            .context("cannot read the model's process id")?;
        let root: u32 = pid
            .trim()
            .parse()
            .context("the model's process id is no number")?;
        let (highest_kib, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (highest, stopped) = (Arc::clone(&highest_kib), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(tree_kib(root), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Ok(Self {
            highest_kib,
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn highest_mib(&self) -> u64 {
        self.highest_kib.load(Ordering::Relaxed) / 1024
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn tree_kib(root: u32) -> u64 {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut seen = BTreeSet::new();
    let mut todo = vec![root];
    let mut total = 0;
    while let Some(pid) = todo.pop() {
        if seen.insert(pid) {
            total += pss_kib(pid);
            todo.extend(children.get(&pid).into_iter().flatten());
        }
    }
    total
}

/// A process's proportional set size; one that just ended counts nothing.
fn pss_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
