//! The life of a service, phase by phase. Contract: systemd.service(5).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use std::time::{Duration, Instant};

use super::spawn::Role;
use super::unit::{Active, Exit, Outcome, Phase, Unit};
use super::{Manager, process};
use crate::units::{CommandLine, ServiceConfig, ServiceType, StatusSet};

/// Phases in which processes may vanish without a signal to us, so that we look.
pub(super) fn is_scanned(unit: &Unit) -> bool {
    matches!(
        unit.phase,
        Phase::StopSigterm | Phase::StopSigkill | Phase::FinalSigterm | Phase::FinalSigkill
    ) || (unit.phase == Phase::Running
        && unit.main.is_some()
        && unit
            .config()
            .and_then(|config| config.service())
            .is_some_and(|service| service.kind == ServiceType::Forking))
}

pub(super) fn later(limit: Duration) -> Option<Instant> {
    (limit != Duration::MAX).then(|| Instant::now() + limit)
}

fn random_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid")
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect()
}

pub(super) fn is_in(set: &StatusSet, exit: Exit) -> bool {
    match exit {
        Exit::Exited(code) => set.codes.contains(&code),
        Exit::Killed(signal) | Exit::Dumped(signal) => set.signals.contains(&signal),
    }
}

impl Manager {
    pub(super) fn service(&self, name: &str) -> Option<ServiceConfig> {
        self.units.get(name)?.config()?.service().cloned()
    }

    pub(super) fn phase(&self, name: &str) -> Phase {
        self.units.get(name).map_or(Phase::Dead, |unit| unit.phase)
    }

    /// Starts from the first phase. The caller has checked conditions and limits.
    pub(super) fn start_service(&mut self, name: &str) {
        let text = format!("Starting {}...", self.description(name));
        self.log(name, &text);
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.invocation = random_id();
        unit.sessions.clear();
        unit.outcome = Outcome::Success;
        unit.main = None;
        unit.control = None;
        unit.main_exit = None;
        unit.last_main = 0;
        unit.status_text.clear();
        unit.reload_failed = false;
        unit.watchdog_at = None;
        unit.deadline = later(service.start_limit());
        self.enter(name, Phase::Condition);
    }

    /// Enters a phase that consists of commands, and runs the first.
    pub(super) fn enter(&mut self, name: &str, phase: Phase) {
        self.set_phase(name, phase);
        self.next_command(name);
    }

    pub(super) fn next_command(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let phase = unit.phase;
        let index = unit.commands_done;
        let Some(line) = commands(&service, phase).get(index) else {
            return self.phase_done(name, phase, &service);
        };
        unit.commands_done += 1;
        let oneshot = phase == Phase::Start && service.kind == ServiceType::Oneshot;
        let role = if oneshot { Role::Main } else { Role::Control };
        if let Err(error) = self.spawn(name, line, role) {
            self.log(name, &format!("{name}: cannot start a process: {error}"));
            self.phase_failed(name, Outcome::Resources);
        }
    }

    pub(super) fn phase_done(&mut self, name: &str, phase: Phase, service: &ServiceConfig) {
        match phase {
            Phase::Condition => self.enter(name, Phase::StartPre),
            Phase::StartPre => self.enter_start(name, service),
            Phase::Start => self.start_succeeded(name),
            Phase::StartPost => self.enter_running(name, Outcome::Success),
            Phase::Reload => self.reload_finished(name),
            Phase::Stop => self.enter_signal(name, Phase::StopSigterm, Outcome::Success),
            Phase::StopPost => self.enter_signal(name, Phase::FinalSigterm, Outcome::Success),
            _ => {}
        }
    }

    pub(super) fn enter_start(&mut self, name: &str, service: &ServiceConfig) {
        // What an earlier run left (KillMode=process) is not ours; systemd warns and goes on, and so do we.
        self.set_phase(name, Phase::Start);
        match service.kind {
            ServiceType::Oneshot | ServiceType::Forking => self.next_command(name),
            ServiceType::Simple
            | ServiceType::Exec
            | ServiceType::Notify
            | ServiceType::NotifyReload => {
                let Some(line) = service.start.first() else {
                    return self.start_succeeded(name);
                };
                if let Err(error) = self.spawn(name, line, Role::Main) {
                    self.log(name, &format!("{name}: cannot start a process: {error}"));
                    return self.enter_signal(name, Phase::StopSigterm, Outcome::Resources);
                }
                if let Some(unit) = self.units.get_mut(name) {
                    unit.watchdog_at = later(service.watchdog);
                }
                if service.kind == ServiceType::Simple {
                    self.start_succeeded(name);
                }
            }
        }
    }

    /// The program of a process has been executed, which is all that `Type=exec` waits for.
    pub(super) fn program_runs(&mut self, name: &str, pid: u32) {
        let waits = self
            .units
            .get(name)
            .is_some_and(|unit| unit.phase == Phase::Start && unit.main == Some(pid));
        if waits
            && self
                .service(name)
                .is_some_and(|service| service.kind == ServiceType::Exec)
        {
            self.start_succeeded(name);
        }
    }

    pub(super) fn start_succeeded(&mut self, name: &str) {
        if self.phase(name) == Phase::Start {
            self.enter(name, Phase::StartPost);
        }
    }

    pub(super) fn enter_running(&mut self, name: &str, outcome: Outcome) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.deadline = None;
        if unit.outcome == Outcome::Success {
            unit.outcome = outcome;
        }
        if unit.outcome != Outcome::Success {
            return self.enter_signal(name, Phase::StopSigterm, Outcome::Success);
        }
        let was_starting = unit.active() == Active::Activating;
        if unit.main.is_some() {
            unit.deadline = later(service.runtime_max);
            self.set_phase(name, Phase::Running);
        } else if service.remain_after_exit {
            self.set_phase(name, Phase::Exited);
        } else if service.kind == ServiceType::Oneshot && was_starting {
            let text = format!("Finished {}.", self.description(name));
            self.log(name, &text);
            return self.enter_stop(name, Outcome::Success);
        } else {
            return self.enter_stop(name, Outcome::Success);
        }
        if was_starting {
            let text = format!("Started {}.", self.description(name));
            self.log(name, &text);
        }
    }

    pub(super) fn reload_service(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.reload_failed = false;
        let main = unit.main;
        self.arm(name, service.start_limit());
        if service.kind == ServiceType::NotifyReload {
            self.set_phase(name, Phase::ReloadSignal);
            if let Some(main) = main {
                process::signal(main, service.reload_signal);
            }
        } else {
            self.enter(name, Phase::Reload);
        }
    }

    pub(super) fn enter_reload_notify(&mut self, name: &str) {
        if let Some(service) = self.service(name) {
            self.arm(name, service.start_limit());
        }
        self.set_phase(name, Phase::ReloadNotify);
    }

    pub(super) fn reload_finished(&mut self, name: &str) {
        self.enter_running(name, Outcome::Success);
    }
}

/// The commands of a phase.
pub(super) fn commands(service: &ServiceConfig, phase: Phase) -> &[CommandLine] {
    match phase {
        Phase::Condition => &service.condition,
        Phase::StartPre => &service.start_pre,
        Phase::Start => &service.start,
        Phase::StartPost => &service.start_post,
        Phase::Reload => &service.reload,
        Phase::Stop => &service.stop,
        Phase::StopPost => &service.stop_post,
        _ => &[],
    }
}
