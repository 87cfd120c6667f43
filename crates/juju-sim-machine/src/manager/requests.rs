//! Requests of `systemctl`: accepted, carried out, answered when the jobs they wait for are done.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::jobs::{JobKind, JobResult, Refused};
use super::unit::{Active, Load, Outcome, Phase};
use super::{Manager, process};
use crate::control::{Reply, Request};
use crate::units::value;

/// A job that somebody may wait for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) unit: String,
    pub(super) job: u64,
}

struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
    /// The request is known; what is left is to wait and to answer.
    waiting: Option<BTreeSet<Ticket>>,
    finished: Vec<(Ticket, JobKind, JobResult)>,
    reply: Reply,
}

/// The connections of `systemctl` processes.
#[derive(Default)]
pub(super) struct Clients {
    open: BTreeMap<u64, Client>,
    last: u64,
}

impl Clients {
    /// Those whose request is still to come.
    pub(super) fn reading(&self) -> impl Iterator<Item = (u64, &UnixStream)> {
        self.open
            .iter()
            .filter(|(_, client)| client.waiting.is_none())
            .map(|(number, client)| (*number, &client.stream))
    }

    pub(super) fn job_done(&mut self, ticket: &Ticket, kind: JobKind, result: JobResult) {
        for client in self.open.values_mut() {
            if client
                .waiting
                .as_mut()
                .is_some_and(|waiting| waiting.remove(ticket))
            {
                client.finished.push((ticket.clone(), kind, result));
            }
        }
    }
}

impl Manager {
    pub(super) fn accept_clients(&mut self) {
        while let Ok((stream, _)) = self.control.accept() {
            let _ = stream.set_nonblocking(true);
            self.clients.last += 1;
            self.clients.open.insert(
                self.clients.last,
                Client {
                    stream,
                    pending: Vec::new(),
                    waiting: None,
                    finished: Vec::new(),
                    reply: Reply::default(),
                },
            );
        }
    }

    pub(super) fn read_client(&mut self, number: u64) {
        let Some(client) = self.clients.open.get_mut(&number) else {
            return;
        };
        let mut buffer = [0; 4096];
        loop {
            match client.stream.read(&mut buffer) {
                Ok(0) => {
                    self.clients.open.remove(&number);
                    return;
                }
                Ok(count) => {
                    client
                        .pending
                        .extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.clients.open.remove(&number);
                    return;
                }
            }
        }
        let Some(end) = client.pending.iter().position(|byte| *byte == b'\n') else {
            return;
        };
        let line = client.pending.get(..end).unwrap_or_default();
        let request: Result<Request, _> = serde_json::from_slice(line);
        let root = rustix::net::sockopt::socket_peercred(&client.stream)
            .is_ok_and(|who| who.uid.is_root());
        let mut reply = Reply::default();
        let tickets = match request {
            Ok(request) => self.carry_out(&request, root, &mut reply),
            Err(error) => {
                reply.fail(1, &format!("cannot understand the request: {error}"));
                Vec::new()
            }
        };
        if let Some(client) = self.clients.open.get_mut(&number) {
            client.reply = reply;
            client.waiting = Some(
                tickets
                    .into_iter()
                    .filter(|ticket| {
                        self.jobs
                            .get(&ticket.unit)
                            .is_some_and(|job| job.id == ticket.job)
                    })
                    .collect(),
            );
        }
    }

    /// Answers those who have nothing left to wait for.
    pub(super) fn answer_clients(&mut self) {
        let ready: Vec<u64> = self
            .clients
            .open
            .iter()
            .filter(|(_, client)| client.waiting.as_ref().is_some_and(BTreeSet::is_empty))
            .map(|(number, _)| *number)
            .collect();
        for number in ready {
            let Some(mut client) = self.clients.open.remove(&number) else {
                continue;
            };
            for (ticket, kind, result) in std::mem::take(&mut client.finished) {
                if let Some(text) = self.failure_text(&ticket.unit, kind, result) {
                    client.reply.fail(1, &text);
                }
            }
            let _ = client.stream.set_nonblocking(false);
            let _ = client
                .stream
                .set_write_timeout(Some(Duration::from_secs(5)));
            let body = serde_json::to_vec(&client.reply).unwrap_or_default();
            let _ = client.stream.write_all(&body);
        }
    }

    fn failure_text(&self, unit: &str, kind: JobKind, result: JobResult) -> Option<String> {
        let outcome = self
            .units
            .get(unit)
            .map_or(Outcome::Success, |known| known.outcome);
        Some(match result {
            JobResult::Done => return None,
            JobResult::Canceled => format!("Job for {unit} canceled."),
            JobResult::Dependency => {
                format!("A dependency job for {unit} failed. See 'journalctl -xe' for details.")
            }
            JobResult::Failed => {
                let why = match outcome {
                    _ if kind == JobKind::Reload => {
                        " because the control process exited with error code"
                    }
                    Outcome::ExitCode => " because the control process exited with error code",
                    Outcome::Signal => {
                        " because a fatal signal was delivered to the control process"
                    }
                    Outcome::CoreDump => {
                        " because a fatal signal was delivered causing the control process to dump core"
                    }
                    Outcome::Timeout => " because a timeout was exceeded",
                    Outcome::Protocol => {
                        " because the service did not take the steps required by its unit configuration"
                    }
                    Outcome::Resources => {
                        " because of unavailable resources or another system error"
                    }
                    Outcome::StartLimitHit => {
                        " because start of the service was attempted too often"
                    }
                    _ => "",
                };
                format!(
                    "Job for {unit} failed{why}.\nSee \"systemctl status {unit}\" and \"journalctl -xeu {unit}\" for details."
                )
            }
        })
    }

    /// Does what a request asks for; the tickets are what the answer has to wait for.
    fn carry_out(&mut self, request: &Request, root: bool, reply: &mut Reply) -> Vec<Ticket> {
        let asks = matches!(
            request.verb.as_str(),
            "is-active"
                | "is-failed"
                | "is-enabled"
                | "is-system-running"
                | "status"
                | "show"
                | "cat"
                | "list-units"
                | "list-unit-files"
                | "list-sockets"
                | "list-timers"
                | "get-default"
        );
        if !asks && !root {
            reply.fail(
                1,
                &format!("Failed to {} units: Access denied", request.verb),
            );
            return Vec::new();
        }
        let mut tickets = Vec::new();
        match request.verb.as_str() {
            "start"
            | "stop"
            | "restart"
            | "try-restart"
            | "reload"
            | "reload-or-restart"
            | "try-reload-or-restart" => {
                for unit in &request.units {
                    match self.job_for(&request.verb, unit) {
                        Ok(ticket) => tickets.extend(ticket),
                        Err(refused) => {
                            let verb = request.verb.as_str();
                            let text = format!("Failed to {verb} {unit}: {}", refused.text);
                            reply.fail(refused.code, &text);
                        }
                    }
                }
            }
            "kill" => self.kill(request, reply),
            "reset-failed" => self.reset_failed(&request.units),
            "daemon-reload" | "daemon-reexec" => self.reload(),
            "enable" | "disable" | "mask" | "unmask" | "reenable" | "preset" => {
                for unit in self.change_files(request, reply) {
                    let job = match request.verb.as_str() {
                        "disable" | "mask" => self.job_for("stop", &unit),
                        _ => self.job_for("start", &unit),
                    };
                    match job {
                        Ok(ticket) => tickets.extend(ticket),
                        Err(refused) => {
                            reply.fail(
                                refused.code,
                                &format!("Failed to start {unit}: {}", refused.text),
                            );
                        }
                    }
                }
            }
            _ => self.answer(request, reply),
        }
        if request.no_block {
            Vec::new()
        } else {
            tickets
        }
    }

    fn job_for(&mut self, verb: &str, unit: &str) -> Result<Option<Ticket>, Refused> {
        let name = self.loader.canonical(unit);
        let active = self.ensure(&name).active();
        let manual = |refuses: bool| {
            let text = "Operation refused, unit may be requested by dependency only.".to_owned();
            if refuses {
                Err(Refused { code: 4, text })
            } else {
                Ok(())
            }
        };
        let config = self.ensure(&name).config();
        let (no_start, no_stop) = config.map_or((false, false), |config| {
            (config.refuse_manual_start, config.refuse_manual_stop)
        });
        let not_loaded = |manager: &Self| {
            let absent = manager
                .units
                .get(&name)
                .is_none_or(|unit| matches!(unit.load, Load::Absent));
            absent && !super::SPECIAL_TARGETS.contains(&name.as_str())
        };
        match verb {
            "start" => {
                manual(no_start)?;
                self.enqueue_start(&name, &mut Vec::new())
            }
            "stop" => {
                manual(no_stop)?;
                if not_loaded(self) && active.is_down() {
                    return Err(Refused {
                        code: 5,
                        text: format!("Unit {unit} not loaded."),
                    });
                }
                Ok(self.enqueue_stop(&name))
            }
            "restart" => {
                manual(no_start)?;
                if active.is_down() {
                    self.enqueue_start(&name, &mut Vec::new())
                } else {
                    self.enqueue_restart(&name)
                }
            }
            "try-restart" | "try-reload-or-restart" if active.is_down() => Ok(None),
            "try-restart" => self.enqueue_restart(&name),
            "reload" => {
                if not_loaded(self) {
                    return Err(Refused {
                        code: 5,
                        text: format!("Unit {unit} not found."),
                    });
                }
                if !self.can_reload(&name) {
                    let text = format!("Job type reload is not applicable for unit {unit}.");
                    return Err(Refused { code: 1, text });
                }
                if !active.is_up() {
                    return Err(Refused {
                        code: 1,
                        text: format!("{unit} is not active, cannot reload."),
                    });
                }
                Ok(self.add_job(&name, JobKind::Reload))
            }
            _ if active.is_up() && self.can_reload(&name) => {
                Ok(self.add_job(&name, JobKind::Reload))
            }
            _ => self.job_for("restart", unit),
        }
    }

    pub(super) fn can_reload(&self, name: &str) -> bool {
        self.service(name).is_some_and(|service| {
            !service.reload.is_empty() || service.kind == crate::units::ServiceType::NotifyReload
        })
    }

    fn kill(&mut self, request: &Request, reply: &mut Reply) {
        let number = match request.signal.as_deref().map_or(Ok(15), value::signal) {
            Ok(number) => number,
            Err(problem) => return reply.fail(1, &format!("Failed to parse signal: {problem}")),
        };
        for name in &request.units {
            let Some(unit) = self.units.get(name).filter(|unit| !unit.active().is_down()) else {
                reply.fail(
                    1,
                    &format!("Failed to kill unit {name}: Unit {name} is not loaded."),
                );
                continue;
            };
            let mut targets = process::members(&unit.invocation, &unit.sessions);
            targets.extend(unit.main);
            targets.extend(unit.control);
            for pid in targets {
                let hit = match request.whom.as_deref() {
                    Some("main") => unit.main == Some(pid),
                    Some("control") => unit.control == Some(pid),
                    Some(_) | None => true,
                };
                if hit {
                    process::signal(pid, number);
                }
            }
        }
    }

    fn reset_failed(&mut self, names: &[String]) {
        for (name, unit) in &mut self.units {
            if !names.is_empty() && !names.contains(name) {
                continue;
            }
            unit.starts.clear();
            unit.triggers.clear();
            unit.restarts = 0;
            if unit.active() == Active::Failed {
                unit.phase = Phase::Dead;
                unit.outcome = Outcome::Success;
            }
        }
    }
}
