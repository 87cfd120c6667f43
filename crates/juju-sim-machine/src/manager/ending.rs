//! How services end: signals, what is left over, the verdict, and whether they come again. Contract: systemd.kill(5).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use std::time::Duration;

use super::jobs::{JobKind, JobResult};
use super::service::{is_in, is_scanned, later};
use super::unit::{Exit, Outcome, Phase};
use super::{Manager, launch, process};
use crate::units::{KillMode, RestartPolicy, ServiceConfig};

impl Manager {
    pub(super) fn stop_service(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        match unit.phase {
            Phase::AutoRestart => {
                unit.deadline = None;
                self.set_phase(name, Phase::Dead);
            }
            Phase::Running | Phase::Exited => {
                let text = format!("Stopping {}...", self.description(name));
                self.log(name, &text);
                self.enter_stop(name, Outcome::Success);
            }
            Phase::Reload | Phase::ReloadSignal | Phase::ReloadNotify => {
                if let Some(control) = unit.control.take() {
                    process::signal(control, 9);
                }
                self.enter_stop(name, Outcome::Success);
            }
            Phase::Condition | Phase::StartPre | Phase::Start | Phase::StartPost => {
                self.enter_signal(name, Phase::StopSigterm, Outcome::Success);
            }
            // Under way.
            _ => {}
        }
    }

    pub(super) fn note(&mut self, name: &str, outcome: Outcome) {
        if let Some(unit) = self
            .units
            .get_mut(name)
            .filter(|unit| unit.outcome == Outcome::Success)
        {
            unit.outcome = outcome;
        }
    }

    pub(super) fn arm(&mut self, name: &str, limit: Duration) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.deadline = later(limit);
            unit.watchdog_at = None;
        }
    }

    pub(super) fn enter_stop(&mut self, name: &str, outcome: Outcome) {
        let Some(service) = self.service(name) else {
            return;
        };
        self.note(name, outcome);
        self.arm(name, service.timeout_stop);
        self.enter(name, Phase::Stop);
    }

    /// `STOPPING=1`: it ends by itself; we only watch the time.
    pub(super) fn service_stops_itself(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        self.arm(name, service.timeout_stop);
        self.set_phase(name, Phase::StopSigterm);
    }

    /// Sends the signals of one of the four phases that consist of them, and goes on at once when there is nobody to wait for.
    pub(super) fn enter_signal(&mut self, name: &str, phase: Phase, outcome: Outcome) {
        self.enter_signal_with(name, phase, outcome, None);
    }

    pub(super) fn enter_signal_with(
        &mut self,
        name: &str,
        phase: Phase,
        outcome: Outcome,
        with: Option<i32>,
    ) {
        let Some(service) = self.service(name) else {
            return;
        };
        self.note(name, outcome);
        self.set_phase(name, phase);
        self.arm(name, service.timeout_stop);
        let restarting = self
            .jobs
            .get(name)
            .is_some_and(|job| job.kind == JobKind::Restart);
        let kills = matches!(phase, Phase::StopSigkill | Phase::FinalSigkill);
        let number = match with {
            Some(number) => number,
            None if kills => service.final_kill_signal,
            None => service
                .restart_kill_signal
                .filter(|_| restarting)
                .unwrap_or(service.kill_signal),
        };
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let mut targets: Vec<u32> = [unit.main, unit.control].into_iter().flatten().collect();
        let everyone = match service.kill_mode {
            KillMode::ControlGroup => true,
            KillMode::Mixed => kills,
            KillMode::Process | KillMode::None => false,
        };
        if everyone {
            for pid in process::members(&unit.invocation, &unit.sessions) {
                if !targets.contains(&pid) {
                    targets.push(pid);
                }
            }
        }
        if service.kill_mode != KillMode::None || kills {
            if kills && !targets.is_empty() {
                let names: Vec<String> = targets
                    .iter()
                    .map(|pid| format!("{pid} ({})", process::name(*pid)))
                    .collect();
                self.log(
                    name,
                    &format!(
                        "{name}: Killing process {} with signal SIGKILL.",
                        names.join(", ")
                    ),
                );
            }
            for pid in targets {
                process::signal(pid, number);
                if service.send_sighup && !kills {
                    process::signal(pid, 1);
                }
            }
        }
        self.check_leftover(name);
    }

    /// Goes on when nobody is left that the present phase waits for.
    pub(super) fn check_leftover(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let own = unit.main.is_some() || unit.control.is_some();
        let members = || !process::members(&unit.invocation, &unit.sessions).is_empty();
        let waits = match (unit.phase, service.kill_mode) {
            (Phase::StopSigterm | Phase::StopSigkill, KillMode::None) => false,
            (_, KillMode::ControlGroup) | (Phase::FinalSigkill, KillMode::Mixed) => {
                own || members()
            }
            (_, KillMode::Mixed | KillMode::Process | KillMode::None) => own,
        };
        if waits {
            return;
        }
        match unit.phase {
            Phase::StopSigterm | Phase::StopSigkill => {
                self.arm(name, service.timeout_stop);
                self.enter(name, Phase::StopPost);
            }
            Phase::FinalSigterm if service.kill_mode == KillMode::Mixed => {
                self.enter_signal(name, Phase::FinalSigkill, Outcome::Success);
            }
            Phase::FinalSigterm | Phase::FinalSigkill => self.enter_dead(name),
            _ => {}
        }
    }

    pub(super) fn check_leftovers(&mut self) {
        let names: Vec<String> = self
            .units
            .iter()
            .filter(|(_, unit)| is_scanned(unit))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.check_adopted_main(&name);
            self.check_leftover(&name);
        }
    }

    /// The main process of a forking service is not always our child, so that its end is only seen by looking.
    pub(super) fn check_adopted_main(&mut self, name: &str) {
        let main = self.units.get(name).and_then(|unit| unit.main);
        // While it can still be reaped by us it is there, and its real status will come.
        let is_gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        if let Some(pid) = main.filter(is_gone) {
            self.process_ended(pid, Exit::Exited(0));
        }
    }

    /// Ends a unit that never came to run anything.
    pub(super) fn fail(&mut self, name: &str, outcome: Outcome) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = outcome;
            unit.deadline = None;
            unit.will_restart = false;
        }
        self.set_phase(name, Phase::Failed);
        // It may have been failed before, which is no change of state but ends the job.
        self.finish_job(name, JobResult::Failed);
    }

    pub(super) fn enter_dead(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.deadline = None;
        unit.watchdog_at = None;
        unit.main = None;
        unit.control = None;
        let outcome = unit.outcome;
        let restarts = self.will_restart(name, &service);
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let invocation = unit.invocation.clone();
        let restarting = restarts
            || self
                .jobs
                .get(name)
                .is_some_and(|job| job.kind == JobKind::Restart);
        launch::remove_directories(&service.exec, &invocation, restarting);
        let good = matches!(outcome, Outcome::Success | Outcome::ExecCondition);
        let text = if good {
            format!("{name}: Deactivated successfully.")
        } else {
            format!("{name}: Failed with result '{}'.", outcome.name())
        };
        self.log(name, &text);
        if let Some(unit) = self.units.get_mut(name) {
            unit.will_restart = restarts;
        }
        self.set_phase(name, if good { Phase::Dead } else { Phase::Failed });
        if restarts && !self.jobs.contains_key(name) {
            let Some(unit) = self.units.get_mut(name) else {
                return;
            };
            let pause = service.restart_pause(unit.restarts);
            unit.restarts += 1;
            let count = unit.restarts;
            unit.deadline = later(pause);
            self.set_phase(name, Phase::AutoRestart);
            self.log(
                name,
                &format!("{name}: Scheduled restart job, restart counter is at {count}."),
            );
        }
    }

    pub(super) fn will_restart(&self, name: &str, service: &ServiceConfig) -> bool {
        let Some(unit) = self.units.get(name) else {
            return false;
        };
        if unit.stop_wanted || self.shutdown.is_some() {
            return false;
        }
        if let Some(exit) = unit.main_exit {
            if is_in(&service.never_restart, exit) {
                return false;
            }
            if is_in(&service.always_restart, exit) {
                return true;
            }
        }
        let outcome = unit.outcome;
        match service.restart {
            RestartPolicy::No => false,
            RestartPolicy::Always => outcome != Outcome::ExecCondition,
            RestartPolicy::OnSuccess => outcome == Outcome::Success,
            RestartPolicy::OnFailure => {
                !matches!(outcome, Outcome::Success | Outcome::ExecCondition)
            }
            RestartPolicy::OnAbnormal => !matches!(
                outcome,
                Outcome::Success | Outcome::ExecCondition | Outcome::ExitCode
            ),
            RestartPolicy::OnWatchdog => outcome == Outcome::Watchdog,
            RestartPolicy::OnAbort => matches!(outcome, Outcome::Signal | Outcome::CoreDump),
        }
    }
}
