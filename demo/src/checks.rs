//! What must be true at the end of the demo, judged from evidence alone. Pure.
//!
//! The evidence comes from outside the charm: the model's own log of commits, samples of each
//! worker's own REST API and process id, the HTTP codes that a client sees, and the records in the
//! files. Nothing here asks the charm what it thinks of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = u64;

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

/// A change of an application databag that the model committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) at: Millis,
    pub(crate) relation: u32,
    pub(crate) application: String,
    pub(crate) changes: BTreeMap<String, Option<String>>,
}

/// A hook that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) unit: String,
    pub(crate) name: String,
    pub(crate) exit: i64,
    pub(crate) tool_calls: u64,
    pub(crate) millis: u64,
}

/// One look at a worker: its own REST API on loopback, and its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at: Millis,
    pub(crate) unit: String,
    /// The worker's process id and start time; absent while it does not run.
    pub(crate) process: Option<String>,
    /// The first client's connector class is listed by the worker.
    pub(crate) plugin: bool,
}

/// What a client saw on one unit's client door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) unit: String,
    /// HTTP status; 0 if nobody answered.
    pub(crate) status: u16,
}

/// A worker's own list of connectors: name to the states of its tasks.
pub(crate) type Connectors = BTreeMap<String, Vec<String>>;

/// Everything the verdict rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// The charm's units.
    pub(crate) units: BTreeSet<String>,
    /// The charm's application.
    pub(crate) application: String,
    /// Relation ids of the two clients on the charm's side.
    pub(crate) first: u32,
    pub(crate) second: u32,
    pub(crate) commits: Vec<Commit>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) sent: Vec<String>,
    pub(crate) received: Vec<String>,
    /// The first call with the first client's credentials on every unit after they were published.
    pub(crate) first_use: Vec<Probe>,
    /// Spans of time in which things happened: name to start and end.
    pub(crate) spans: BTreeMap<String, (Millis, Millis)>,
    /// After the first relation went: the first client's user on every unit.
    pub(crate) removed_user: Vec<Probe>,
    /// After the first relation went: the second client's user on every unit.
    pub(crate) remaining_user: Vec<Probe>,
    /// Per unit, after the first relation went: the worker's connectors.
    pub(crate) connectors: BTreeMap<String, Connectors>,
    /// Names of the connectors of the first and of the second client while both ran.
    pub(crate) first_connectors: BTreeSet<String>,
    pub(crate) second_connectors: BTreeSet<String>,
    /// Per unit, after the first relation went: what lies in the bundle store.
    pub(crate) store: BTreeMap<String, Vec<String>>,
    /// Records that MirrorMaker copied.
    pub(crate) mirrored: usize,
    /// Highest memory of all processes of the model, in MiB.
    pub(crate) memory_mib: u64,
}

/// Judges everything.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Check> {
    vec![
        records(evidence),
        published_after_plugins(evidence),
        usable_at_once(evidence),
        mirrored(evidence),
        second_client_restarts_nothing(evidence),
        worker_starts(evidence),
        refused(evidence),
        connectors_gone(evidence),
        store_empty(evidence),
        remaining_client(evidence),
        hooks_succeed(evidence),
        within(evidence, "deploy-to-active", 30),
        within(evidence, "integrate-to-published", 20),
        Check {
            name: "memory",
            ok: evidence.memory_mib > 0 && evidence.memory_mib <= 4096,
            detail: format!("{} MiB at most, of 4096", evidence.memory_mib),
        },
    ]
}

fn mirrored(evidence: &Evidence) -> Check {
    Check {
        name: "mirror-copies-the-topic",
        ok: !evidence.sent.is_empty() && evidence.mirrored == evidence.sent.len(),
        detail: format!("{} of {}", evidence.mirrored, evidence.sent.len()),
    }
}

fn records(evidence: &Evidence) -> Check {
    let in_place = evidence
        .sent
        .iter()
        .zip(&evidence.received)
        .filter(|(a, b)| a == b)
        .count();
    Check {
        name: "records-once-and-in-order",
        ok: evidence.sent.len() >= 1000 && evidence.sent == evidence.received,
        detail: format!(
            "{in_place} of {} records in place, {} received",
            evidence.sent.len(),
            evidence.received.len()
        ),
    }
}

/// When the charm's answer to a client first named its user.
fn published(evidence: &Evidence, relation: u32) -> Option<Millis> {
    let ours = evidence
        .commits
        .iter()
        .filter(|commit| commit.relation == relation && commit.application == evidence.application);
    ours.filter(|commit| {
        ["secret-user", "username", "password"]
            .iter()
            .any(|key| commit.changes.get(*key).is_some_and(Option::is_some))
    })
    .map(|commit| commit.at)
    .min()
}

fn published_after_plugins(evidence: &Evidence) -> Check {
    let name = "no-credentials-before-every-worker-has-the-plugin";
    let Some(published) = published(evidence, evidence.first) else {
        return Check {
            name,
            ok: false,
            detail: "credentials were never published".into(),
        };
    };
    let mut detail = Vec::new();
    let mut ok = !evidence.units.is_empty();
    for unit in &evidence.units {
        let seen = evidence
            .samples
            .iter()
            .filter(|s| &s.unit == unit && s.plugin)
            .map(|s| s.at)
            .min();
        match seen {
            Some(seen) if seen <= published => {
                detail.push(format!("{unit} {} ms before", published - seen));
            }
            Some(seen) => {
                ok = false;
                detail.push(format!("{unit} {} ms AFTER", seen - published));
            }
            None => {
                ok = false;
                detail.push(format!("{unit} NEVER"));
            }
        }
    }
    Check {
        name,
        ok,
        detail: format!("plugin seen: {}", detail.join(", ")),
    }
}

fn every_unit(evidence: &Evidence, probes: &[Probe], status: u16) -> (bool, String) {
    let seen: BTreeMap<&str, u16> = probes.iter().map(|p| (p.unit.as_str(), p.status)).collect();
    let ok = !evidence.units.is_empty()
        && evidence
            .units
            .iter()
            .all(|unit| seen.get(unit.as_str()) == Some(&status));
    let detail: Vec<String> = seen
        .iter()
        .map(|(unit, status)| format!("{unit} {status}"))
        .collect();
    (ok, detail.join(", "))
}

fn usable_at_once(evidence: &Evidence) -> Check {
    let (ok, detail) = every_unit(evidence, &evidence.first_use, 200);
    Check {
        name: "credentials-work-on-every-endpoint-at-first-use",
        ok,
        detail,
    }
}

/// The processes of a unit's worker in a span of time.
fn processes<'a>(
    evidence: &'a Evidence,
    unit: &str,
    from: Millis,
    to: Millis,
) -> BTreeSet<&'a str> {
    let samples = evidence.samples.iter();
    let samples = samples.filter(|s| s.unit == unit && (from..=to).contains(&s.at));
    samples
        .map(|s| s.process.as_deref().unwrap_or("none"))
        .collect()
}

fn second_client_restarts_nothing(evidence: &Evidence) -> Check {
    let name = "second-client-restarts-no-worker";
    let Some(&(from, to)) = evidence.spans.get("second-client") else {
        return Check {
            name,
            ok: false,
            detail: "the second client never came".into(),
        };
    };
    let mut ok = !evidence.units.is_empty();
    let mut detail = Vec::new();
    for unit in &evidence.units {
        let seen = processes(evidence, unit, from, to);
        ok &= seen.len() == 1 && !seen.contains("none");
        detail.push(format!("{unit} {seen:?}"));
    }
    Check {
        name,
        ok,
        detail: detail.join(", "),
    }
}

fn worker_starts(evidence: &Evidence) -> Check {
    let mut ok = !evidence.units.is_empty();
    let mut detail = Vec::new();
    for unit in &evidence.units {
        let seen = processes(evidence, unit, 0, Millis::MAX);
        let starts = seen.iter().filter(|process| **process != "none").count();
        // One start of the cluster, and one restart for the first client's plugin.
        ok &= (1..=2).contains(&starts);
        detail.push(format!("{unit} {starts}"));
    }
    Check {
        name: "worker-starts",
        ok,
        detail: detail.join(", "),
    }
}

fn refused(evidence: &Evidence) -> Check {
    let (ok, detail) = every_unit(evidence, &evidence.removed_user, 401);
    Check {
        name: "removed-user-gets-401-on-every-unit",
        ok,
        detail,
    }
}

fn connectors_gone(evidence: &Evidence) -> Check {
    let mut left = Vec::new();
    for (unit, connectors) in &evidence.connectors {
        for name in connectors
            .keys()
            .filter(|name| evidence.first_connectors.contains(*name))
        {
            left.push(format!("{unit} still has {name}"));
        }
    }
    let all = evidence
        .units
        .iter()
        .all(|unit| evidence.connectors.contains_key(unit));
    let existed = evidence.first_connectors.len();
    Check {
        name: "removed-clients-connectors-are-gone",
        ok: all && left.is_empty() && existed == 2,
        detail: if left.is_empty() {
            format!("{existed} were, none is")
        } else {
            left.join(", ")
        },
    }
}

fn store_empty(evidence: &Evidence) -> Check {
    let left: Vec<String> = evidence
        .store
        .iter()
        .filter(|(_, bundles)| !bundles.is_empty())
        .map(|(unit, bundles)| format!("{unit} still has {}", bundles.join(" ")))
        .collect();
    let all = evidence
        .units
        .iter()
        .all(|unit| evidence.store.contains_key(unit));
    Check {
        name: "removed-clients-plugin-directory-is-gone",
        ok: all && !evidence.units.is_empty() && left.is_empty(),
        detail: if left.is_empty() {
            "no bundle on any unit".into()
        } else {
            left.join(", ")
        },
    }
}

fn remaining_client(evidence: &Evidence) -> Check {
    let name = "other-client-untouched";
    let (mut ok, mut detail) = every_unit(evidence, &evidence.remaining_user, 200);
    ok &= !evidence.second_connectors.is_empty();
    for (unit, connectors) in &evidence.connectors {
        for name in &evidence.second_connectors {
            let states = connectors.get(name);
            let running = states.is_some_and(|s| !s.is_empty() && s.iter().all(|s| s == "RUNNING"));
            if !running {
                ok = false;
                detail.extend([", ", unit, ": ", name, &format!(" {states:?}")]);
            }
        }
    }
    if let Some(&(from, to)) = evidence.spans.get("removal") {
        for unit in &evidence.units {
            let seen = processes(evidence, unit, from, to);
            if seen.len() != 1 || seen.contains("none") {
                ok = false;
                detail.extend([", ", unit, " was restarted: ", &format!("{seen:?}")]);
            }
        }
        let touched = evidence.commits.iter().any(|commit| {
            commit.relation == evidence.second
                && commit.application == evidence.application
                && (from..=to).contains(&commit.at)
        });
        if touched {
            ok = false;
            detail.push_str(", its databag was written");
        }
    } else {
        ok = false;
        detail.push_str(", the removal never happened");
    }
    Check { name, ok, detail }
}

fn hooks_succeed(evidence: &Evidence) -> Check {
    let failed: Vec<String> = evidence
        .hooks
        .iter()
        .filter(|hook| hook.exit != 0)
        .map(|hook| format!("{} {} exit {}", hook.unit, hook.name, hook.exit))
        .collect();
    let calls: u64 = evidence.hooks.iter().map(|hook| hook.tool_calls).sum();
    Check {
        name: "every-hook-succeeds",
        ok: failed.is_empty() && !evidence.hooks.is_empty(),
        detail: if failed.is_empty() {
            format!("{} hooks, {calls} hook-tool calls", evidence.hooks.len())
        } else {
            failed.join(", ")
        },
    }
}

fn within(evidence: &Evidence, name: &'static str, seconds: u64) -> Check {
    let span = evidence.spans.get(name).copied();
    let took = span.map(|(from, to)| to.saturating_sub(from));
    Check {
        name,
        ok: took.is_some_and(|millis| millis <= seconds * 1000),
        detail: took.map_or_else(
            || "never happened".to_owned(),
            |millis| format!("{}.{} s of {seconds} s", millis / 1000, millis % 1000 / 100),
        ),
    }
}

#[cfg(test)]
mod tests;
