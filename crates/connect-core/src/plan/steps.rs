//! The difference between this machine and its goal, as ordered steps.

use super::bundles::{self, Bundles};
use super::goal::{self, FileGoal, Goal, WorkerGoal};
use super::rolling::{Rolling, Standing};
use super::users::Users;
use super::{OnFailure, Step, services, unit};
use crate::fingerprint;
use crate::layout::{Layout, UNITS, USERS, WAKE_PATH, WORKER_SERVICE};
use crate::limits;
use crate::model::Model;
use crate::model::admission::Terms;
use crate::observation::{Host, RelationId};
use crate::secret::Secret;

/// The step that fetches a client's bundle.
#[must_use]
pub fn fetch(client: RelationId, url: &Secret<String>, terms: &Terms) -> Step {
    Step::FetchBundle {
        client,
        url: url.clone(),
        terms: terms.clone(),
    }
}

/// The steps towards the goal, without those that failed in this hook and what comes after them.
#[must_use]
pub fn diff(
    model: &Model<'_>,
    goal: &Goal,
    bundles: &Bundles,
    users: Option<&Users>,
    standing: Standing,
    rolling: &Rolling,
    layout: &Layout,
) -> Vec<Step> {
    let host = &model.seen.host;
    // What is there now is nobody's: one hook at a time runs, and its own steps are yet to come.
    let mut steps: Vec<Step> = host.debris.iter().map(|path| sweep(path.clone())).collect();
    steps.extend(foundation(goal, host));
    // Early, so that no other trouble keeps a removed user in.
    steps.extend(goal.users_file.iter().filter_map(|file| write(file, host)));
    steps.extend(goal.install.iter().cloned());
    steps.extend(bundles::bring(host, bundles));

    let mut files: Vec<&FileGoal> = goal.wake_files.iter().collect();
    files.extend(goal.warm.iter().flat_map(|warm| &warm.files));
    if let Some(gateway) = &goal.gateway {
        if let Some((issue, note)) = &gateway.certificate {
            steps.push(issue.clone());
            steps.extend(write(note, host));
        }
        files.extend(&gateway.files);
    }
    match &goal.worker {
        WorkerGoal::Run {
            files: own, live, ..
        } => {
            files.extend(live);
            // A worker that dies before its turn must come back as it was.
            if standing != Standing::Outdated || rolling.may_restart {
                files.extend(own);
            }
        }
        WorkerGoal::Stop | WorkerGoal::Keep => {}
    }
    let written: Vec<Step> = files.iter().filter_map(|file| write(file, host)).collect();
    let changed = |unit: &str| {
        let file = format!("{}/{unit}", layout.systemd());
        written
            .iter()
            .any(|step| matches!(step, Step::WriteFile { path, .. } if *path == file))
    };
    let reload = UNITS
        .iter()
        .any(|unit| changed(unit) || host.services.get(*unit).is_some_and(|fact| fact.stale));
    let wake = services::wake(host, changed(WAKE_PATH));
    let gateway = goal.gateway.as_ref();
    let gateway = gateway.map(|_| services::gateway(host, changed));
    steps.extend(written);
    steps.extend(remove_client_pem(goal, host));
    if reload {
        steps.push(Step::ReloadUnits);
    }
    steps.extend(wake);
    steps.extend(gateway.into_iter().flatten());
    steps.extend(services::worker(
        host, goal, bundles, standing, rolling, layout,
    ));
    let stopped = match host.services.get(WORKER_SERVICE) {
        None => true,
        Some(fact) => matches!(fact.active.as_str(), "inactive" | "failed"),
    };
    // Nor must a worker that waits for its turn miss what it was started with.
    if standing != Standing::Outdated || rolling.may_restart {
        steps.extend(bundles::put_away(model, bundles, stopped));
    }
    if standing == Standing::Fit {
        steps.extend(goal::replaced(model, goal, layout).into_iter().map(sweep));
    }
    if let Some(users) = users
        && unit::gateway_runs(model)
        && !unit::serves(model, Some(users), layout)
    {
        steps.push(Step::AwaitUsers {
            generation: users.generation.clone(),
            wait_s: limits::AWAIT_USERS_S,
        });
    }
    if standing == Standing::Fit
        && let Some(warm) = &goal.warm
    {
        steps.extend(services::warm(host, warm, layout));
    }
    without_failed(model, steps)
}

fn sweep(path: String) -> Step {
    Step::Sweep { path }
}

/// Users and directories that everything else rests on.
fn foundation(goal: &Goal, host: &Host) -> Vec<Step> {
    let mut steps = Vec::new();
    for name in USERS {
        if !host.users.contains(name) {
            steps.push(Step::CreateUser {
                name: name.to_owned(),
            });
        }
    }
    for directory in &goal.directories {
        let fits = host.directories.get(&directory.path).is_some_and(|fact| {
            fact.mode == directory.mode
                && fact.user == directory.owner.user
                && fact.group == directory.owner.group
        });
        if !fits {
            steps.push(Step::CreateDirectory {
                path: directory.path.clone(),
                mode: directory.mode,
                owner: directory.owner.clone(),
            });
        }
    }
    steps
}

/// A certificate that is not presented any more goes after the settings that named it.
fn remove_client_pem(goal: &Goal, host: &Host) -> Option<Step> {
    let path = goal.gateway.as_ref()?.remove.clone()?;
    host.files
        .contains_key(&path)
        .then_some(Step::RemoveFile { path })
}

fn write(file: &FileGoal, host: &Host) -> Option<Step> {
    let fits = host.files.get(&file.path).is_some_and(|fact| {
        fact.sha256 == fingerprint::sha256(file.content.expose())
            && fact.mode == file.mode
            && fact.user == file.owner.user
            && fact.group == file.owner.group
    });
    (!fits).then(|| Step::WriteFile {
        path: file.path.clone(),
        mode: file.mode,
        owner: file.owner.clone(),
        content: file.content.clone(),
    })
}

/// Leaves out what must not be asked for again in this hook: a step that failed, with all that
/// comes after it if it was not one client's only, and a start or a restart that systemd has taken
/// and not yet carried out.
fn without_failed(model: &Model<'_>, steps: Vec<Step>) -> Vec<Step> {
    let seen = model.seen;
    let failed = |step: &Step| {
        let description = step.describe();
        seen.failures
            .iter()
            .any(|failure| failure.step == description)
    };
    let mut kept = Vec::new();
    for step in steps {
        if failed(&step) {
            match step.on_failure() {
                OnFailure::Abort => break,
                OnFailure::Isolate(_) => continue,
            }
        }
        let queued = matches!(
            step,
            Step::StartUnit { .. }
                | Step::RestartUnit { .. }
                | Step::AwaitUsers { .. }
                | Step::DeleteConnector { .. }
        );
        if queued && seen.done.contains(&step.describe()) {
            continue;
        }
        kept.push(step);
    }
    kept
}

/// As [`diff`] does, for steps that come from elsewhere.
#[must_use]
pub fn filtered(model: &Model<'_>, steps: Vec<Step>) -> Vec<Step> {
    without_failed(model, steps)
}
