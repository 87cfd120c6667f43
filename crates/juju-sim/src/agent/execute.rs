//! Runs one process of a charm to its end and answers its hook tools.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::context::Context;
use super::host::Host;
use super::place;
use super::process::{self, Call, Ended, Files, Observer, Reply, Stream};
use crate::daemon::state::Fault;
use crate::daemon::world::World;
use crate::link;
use crate::log::Entry;
use crate::machines::agent_directory;

/// The name of the hook tools' socket in the agent's directory.
pub(super) const SOCKET: &str = "agent.socket";

#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    Hook(&'a str),
    Action(&'a str),
    Commands(&'a str),
}

/// What a process left behind.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) context: Context,
    pub(super) ended: Ended,
}

/// Runs the process to its end. The entry's outcome stays empty if it may be committed.
pub(super) fn execute(
    world: &World,
    unit: &str,
    context: Context,
    what: What<'_>,
    fault: Option<&Fault>,
    entry: &mut Entry,
) -> Result<Ran> {
    let charm = agent_directory(unit).join("charm");
    let number = world
        .state()
        .model
        .units
        .get(unit)
        .context("the unit is gone")?
        .machine
        .clone();
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
            anyhow::ensure!(
                agent.join("charm/metadata.yaml").exists(),
                "charm missing from disk"
            );
            let Some(program) = program(&agent.join("charm"), &path)? else {
                entry.outcome = "skipped";
                return Ok(Ran {
                    context,
                    ended: Ended::default(),
                });
            };
            machine.command_in(&charm, charm.join(program))
        }
    };
    command.env_clear().envs(
        context
            .environment()
            .iter()
            .map(|(name, value)| (name, value)),
    );
    let tools = link::bind(&agent, SOCKET).context("cannot bind the agent's socket")?;
    let (stdout, out) = io::pipe().context("cannot make a pipe")?;
    let (stderr, err) = io::pipe().context("cannot make a pipe")?;
    command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0);
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
        host: Host {
            machine: machine.clone(),
        },
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
    Ok(Ran {
        context: running.context,
        ended,
    })
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
        if call.tool == "resource-get" {
            let names = call.arguments.iter().filter(|word| !word.starts_with('-'));
            for name in names {
                if let Err(error) = place::download(self.world, self.unit, name) {
                    self.world
                        .log(self.unit, "ERROR", "juju.sim", &format!("{error:#}"));
                }
            }
        }
        let mut state = self.world.state();
        let called = self.context.call(&mut state, &call, &self.host);
        if called.visible {
            self.world.announce(state);
        } else {
            drop(state);
        }
        for (level, logger, text) in called.records {
            self.world.log(self.unit, level, &logger, &text);
        }
        called.reply
    }

    fn line(&mut self, stream: Stream, line: &str) {
        let level = if stream == Stream::Out {
            "DEBUG"
        } else {
            "WARNING"
        };
        self.world.log(self.unit, level, &self.logger, line);
    }

    fn kill(&mut self) {
        let group = i32::try_from(self.child)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // It may just have ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
