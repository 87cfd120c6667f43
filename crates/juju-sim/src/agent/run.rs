//! Runs one hook, action or command: process, tool calls, commit or not.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use juju_sim_model::state::{Status, application_of};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::failure;
use super::host::Host;
use super::place;
use super::process::{self, Call, Ended, Files, Observer, Reply, Stream};
use super::resolver::{Hook, View};
use super::view;
use crate::clock;
use crate::daemon::state::{Fault, State, TaskKind, TaskStatus};
use crate::daemon::world::World;
use crate::daemon::{add_storage, status};
use crate::link;
use crate::log::Entry;
use crate::machines::{agent_directory, tools_directory};

/// The agent's own search path, after the tools.
const AGENT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";
const SOCKET: &str = "agent.socket";

/// Runs a hook and takes note of what became of it.
pub(super) fn hook(world: &World, unit: &str, hook: &Hook, view: &View) {
    let name = hook.name();
    let mut state = world.state();
    let fault = begin(&mut state, unit, &format!("running {name} hook"), *hook == Hook::UpdateStatus);
    workload_before(&mut state, unit, hook);
    world.publish(state);
    let mut entry = Entry { unit: unit.to_owned(), kind: "hook", name: name.clone(), ..Entry::default() };
    if let Hook::Relation(hook) = hook {
        entry.relation = Some(hook.relation);
        entry.endpoint = Some(hook.endpoint.clone());
        entry.remote_application = Some(hook.remote_application.clone());
        entry.remote_unit.clone_from(&hook.remote_unit);
    }
    entry.start = clock::now();
    let done = unpacked(world, unit, hook).and_then(|()| {
        let mut state = world.state();
        let context = Context::for_hook(&mut state, unit, hook)?;
        drop(state);
        execute(world, unit, context, What::Hook(&name), fault.as_ref(), &mut entry)
    });
    let mut state = world.state();
    let mut ran = match done {
        Ok(ran) => ran,
        Err(error) => {
            entry.outcome = "failed";
            entry.exit = -1;
            entry.error = Some(format!("{error:#}"));
            Ran::default()
        }
    };
    lose_leadership(&mut state, unit, fault.as_ref());
    if matches!(entry.outcome, "" | "skipped") {
        commit(world, &mut state, unit, &mut ran, &mut entry);
    }
    let now = clock::now();
    entry.end = now;
    if matches!(entry.outcome, "committed" | "skipped") {
        let was_failed = state.units.get(unit).is_some_and(|extra| extra.memory.failed.is_some());
        view::note(&mut state, unit, hook, view, now);
        workload_after(&mut state, unit, hook, was_failed);
    } else {
        let error = entry.error.clone().unwrap_or_default();
        world.log(unit, "ERROR", "juju.worker.uniter.operation", &format!("hook \"{name}\" failed: {error}"));
        failure::failed(&mut state, unit, hook, now);
    }
    finish(world, state, unit, entry);
}

/// Runs an action or a command and keeps its result.
pub(super) fn task(world: &World, unit: &str, id: u64) {
    let mut state = world.state();
    let Some(task) = state.tasks.get_mut(&id) else { return };
    task.status = TaskStatus::Running;
    task.started = clock::now();
    let task = task.clone();
    let (kind, name) = match &task.kind {
        TaskKind::Action { name, .. } => ("action", name.clone()),
        TaskKind::Exec { .. } => ("exec", String::new()),
    };
    let failed = state.units.get(unit).is_some_and(|extra| extra.memory.failed.is_some());
    let fault = begin(&mut state, unit, &format!("running {kind} {name}"), failed);
    world.publish(state);
    let mut entry = Entry { unit: unit.to_owned(), kind, name: name.clone(), ..Entry::default() };
    entry.start = clock::now();
    let mut state = world.state();
    let context = Context::for_task(&mut state, unit, &task);
    drop(state);
    let what = match &task.kind {
        TaskKind::Action { name, .. } => What::Action(name),
        TaskKind::Exec { commands, .. } => What::Commands(commands),
    };
    let done = context.and_then(|context| execute(world, unit, context, what, fault.as_ref(), &mut entry));
    let mut state = world.state();
    let (mut results, mut message, mut fails) = (Map::new(), String::new(), false);
    match done {
        Err(error) => {
            entry.outcome = "failed";
            entry.exit = -1;
            entry.error = Some(format!("{error:#}"));
            message = format!("{error:#}");
            fails = true;
        }
        Ok(mut ran) => {
            lose_leadership(&mut state, unit, fault.as_ref());
            let (set, fail) = ran.context.as_ref().map(Context::action_result).unwrap_or_default();
            results = set;
            output(&mut results, "stdout", &ran.ended.stdout);
            output(&mut results, "stderr", &ran.ended.stderr);
            results.insert("return-code".into(), json!(entry.exit));
            if entry.outcome == "skipped" {
                entry.outcome = "failed";
                entry.error = Some(format!("action not implemented on unit \"{unit}\""));
            }
            if entry.outcome.is_empty() {
                commit(world, &mut state, unit, &mut ran, &mut entry);
                if entry.outcome == "refused" {
                    message = "committing requested changes failed".into();
                }
            } else {
                message = entry.error.clone().unwrap_or_default();
            }
            fails = entry.outcome != "committed";
            if kind == "exec" && fails && entry.outcome == "failed" {
                // A command's exit status says it all.
                message = String::new();
            }
            if let Some(text) = fail {
                (fails, message) = (true, text);
            }
        }
    }
    entry.end = clock::now();
    if let Some(task) = state.tasks.get_mut(&id) {
        task.results = results;
        task.message = message;
        task.completed = entry.end;
        task.status = if fails { TaskStatus::Failed } else { TaskStatus::Completed };
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra.last_hook = entry.end;
    }
    finish(world, state, unit, entry);
}

fn output(results: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    use base64::Engine as _;
    if bytes.is_empty() {
        return;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            results.insert(key.into(), json!(text));
        }
        Err(_) => {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            results.insert(key.into(), json!(text));
            results.insert(format!("{key}-encoding"), json!("base64"));
        }
    }
}

/// Marks the unit as busy and takes the fault that is planned for it.
fn begin(state: &mut State, unit: &str, message: &str, quiet: bool) -> Option<Fault> {
    if let Some(row) = state.model.units.get_mut(unit).filter(|_| !quiet) {
        row.agent_status = status(Status::Executing, message);
    }
    let extra = state.units.get_mut(unit)?;
    extra.running = true;
    extra.runs += 1;
    extra.fault.take()
}

fn finish(world: &World, mut state: std::sync::MutexGuard<'_, State>, unit: &str, mut entry: Entry) {
    state.sequence += 1;
    entry.sequence = state.sequence;
    if let Some(extra) = state.units.get_mut(unit) {
        extra.running = false;
    }
    // Before the state is published: whoever sees the change finds it in the log.
    world.logs.finished(&entry);
    world.publish(state);
}

fn lose_leadership(state: &mut State, unit: &str, fault: Option<&Fault>) {
    if fault != Some(&Fault::LoseLeadership) {
        return;
    }
    let name = application_of(unit).to_owned();
    let others: Vec<String> = state.model.units_of(&name).into_iter().map(str::to_owned).collect();
    let other = others.into_iter().find(|other| other != unit && !state.dying(other));
    if let Some(extra) = state.units.get_mut(unit) {
        extra.memory.elected = false;
    }
    if let Some(application) = state.model.applications.get_mut(&name) {
        application.leader = other;
    }
}

fn commit(world: &World, state: &mut State, unit: &str, ran: &mut Ran, entry: &mut Entry) {
    let Some(context) = ran.context.take() else {
        if entry.outcome.is_empty() {
            entry.outcome = "committed";
        }
        return;
    };
    match context.commit(state) {
        Ok(done) => {
            for store in &done.storage {
                add_storage(state, unit, store);
            }
            entry.commit = done.record;
            if entry.outcome.is_empty() {
                entry.outcome = "committed";
            }
        }
        Err(fault) => {
            let text = format!("cannot apply changes: {fault}");
            world.log(unit, "ERROR", "juju.worker.uniter.context", &text);
            entry.outcome = "refused";
            entry.error = Some(text);
        }
    }
}

fn unpacked(world: &World, unit: &str, hook: &Hook) -> Result<()> {
    if *hook == Hook::UpgradeCharm { place::unpack(world, unit) } else { Ok(()) }
}

const INSTALLING: &str = "installing charm software";

fn workload_before(state: &mut State, unit: &str, hook: &Hook) {
    let Some(row) = state.model.units.get_mut(unit) else { return };
    let message = match hook {
        Hook::Install if row.status.as_ref().is_none_or(|row| row.status == Status::Waiting) => INSTALLING,
        Hook::Stop => "stopping charm software",
        Hook::Remove => "cleaning up prior to charm deletion",
        _ => return,
    };
    row.status = Some(status(Status::Maintenance, message));
}

fn workload_after(state: &mut State, unit: &str, hook: &Hook, was_failed: bool) {
    if was_failed {
        failure::settled(state, unit);
    }
    let Some(row) = state.model.units.get_mut(unit) else { return };
    match hook {
        Hook::Start if row.status.as_ref().is_none_or(|row| row.message == INSTALLING) => {
            row.status = Some(status(Status::Unknown, ""));
        }
        Hook::Remove => row.status = Some(status(Status::Terminated, "")),
        _ => {}
    }
}

#[derive(Clone, Copy)]
enum What<'a> {
    Hook(&'a str),
    Action(&'a str),
    Commands(&'a str),
}

/// What a process left behind.
#[derive(Default)]
struct Ran {
    context: Option<Context>,
    ended: Ended,
}

/// Runs the process to its end. The entry's outcome stays empty if it may be committed.
fn execute(
    world: &World,
    unit: &str,
    context: Context,
    what: What<'_>,
    fault: Option<&Fault>,
    entry: &mut Entry,
) -> Result<Ran> {
    let charm = agent_directory(unit).join("charm");
    let number = world.state().model.units.get(unit).context("the unit is gone")?.machine.clone();
    let agent = world.machines.agent(&number, unit);
    let machine = world.machines.of(unit).context("the unit has no machine")?;
    let (path, name) = match what {
        What::Hook(name) => (format!("hooks/{name}"), name),
        What::Action(name) => (format!("actions/{name}"), name),
        What::Commands(_) => (String::new(), "juju-run"),
    };
    let mut command = match what {
        What::Commands(commands) => {
            let mut command = machine.command_in(&charm, "/bin/bash");
            command.args(["-c", commands]);
            command
        }
        What::Hook(_) | What::Action(_) => {
            anyhow::ensure!(agent.join("charm/metadata.yaml").exists(), "charm missing from disk");
            let Some(program) = program(&agent.join("charm"), &path)? else {
                entry.outcome = "skipped";
                return Ok(Ran { context: Some(context), ended: Ended::default() });
            };
            machine.command_in(&charm, charm.join(program))
        }
    };
    command.env_clear().envs(context.environment());
    command.env("PATH", format!("{}:{AGENT_PATH}", tools_directory(unit).display()));
    command.env("JUJU_AGENT_SOCKET_ADDRESS", agent_directory(unit).join(SOCKET));
    command.env("JUJU_AGENT_SOCKET_NETWORK", "unix");
    if !path.is_empty() {
        command.env("JUJU_DISPATCH_PATH", &path);
    }
    let tools = link::bind(&agent, SOCKET).context("cannot bind the agent's socket")?;
    let (stdout, out) = io::pipe().context("cannot make a pipe")?;
    let (stderr, err) = io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let mut child = spawn(&mut command)?;
    // Ours of the pipes' writing ends.
    drop(command);
    let files = Files {
        end: process::end_of(child.id()).context("cannot watch the process")?,
        stdout,
        stderr,
        tools,
    };
    let mut running = Running {
        world,
        unit,
        logger: format!("unit.{unit}.{name}"),
        context,
        host: Host { machine: machine.clone() },
        fault: fault.cloned(),
        calls: Vec::new(),
        child: child.id(),
    };
    let ended = process::serve(files, &mut running).context("cannot serve the process")?;
    let status = child.wait().context("cannot wait for the process")?;
    entry.tool_calls = ended.calls;
    entry.tools.clone_from(&ended.tools);
    entry.tools_ms = (ended.answering.as_secs_f64() * 10_000.0).round() / 10.0;
    entry.statuses = running.context.statuses();
    entry.exit = status.code().unwrap_or(-1);
    if ended.killed || status.signal().is_some() {
        entry.outcome = "killed";
        entry.exit = -1;
        entry.error = Some("killed".into());
    } else if !status.success() {
        entry.outcome = "failed";
        entry.error = Some(format!("exit status {}", entry.exit));
    }
    Ok(Ran { context: Some(running.context), ended })
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().context("cannot start the process")
}

/// `dispatch`, else the hook's own file; nothing if the charm has neither.
fn program(charm: &Path, path: &str) -> Result<Option<String>> {
    for candidate in ["dispatch", path] {
        if let Ok(facts) = std::fs::metadata(charm.join(candidate)) {
            anyhow::ensure!(
                facts.permissions().mode() & 0o111 != 0,
                "fork/exec {candidate}: permission denied"
            );
            return Ok(Some(candidate.to_owned()));
        }
    }
    Ok(None)
}

/// The agent's side of a running process.
struct Running<'a> {
    world: &'a World,
    unit: &'a str,
    logger: String,
    context: Context,
    host: Host,
    fault: Option<Fault>,
    calls: Vec<String>,
    child: u32,
}

impl Observer for Running<'_> {
    fn call(&mut self, call: Call) -> Reply {
        if call.stdin.is_none() {
            self.calls.push(call.tool.clone());
        }
        if let Some(Fault::KillAt { tool, n }) = &self.fault {
            let counts = |name: &&String| tool.as_ref().is_none_or(|tool| tool == *name);
            let right_tool = tool.as_ref().is_none_or(|tool| *tool == call.tool);
            if right_tool && self.calls.iter().filter(counts).count() as u64 == *n {
                return Reply::Kill;
            }
        }
        let mut state = self.world.state();
        let (reply, visible) = self.context.call(&mut state, &call, &mut self.host);
        let records = self.context.log_records();
        if visible {
            self.world.publish(state);
        } else {
            drop(state);
        }
        for (level, logger, text) in records {
            self.world.log(self.unit, &level, &logger, &text);
        }
        reply
    }

    fn line(&mut self, stream: Stream, line: &str) {
        let level = if stream == Stream::Out { "DEBUG" } else { "WARNING" };
        self.world.log(self.unit, level, &self.logger, line);
    }

    fn kill(&mut self) {
        let group = i32::try_from(self.child).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // It may just have ended.
            drop(rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
        }
    }
}

