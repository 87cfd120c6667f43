//! Processes that ended and deadlines that passed: what they mean for the phase a service is in.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use std::time::Instant;

use super::service::{commands, is_in};
use super::unit::{Exit, Moment, Outcome, Phase};
use super::{Manager, process};
use crate::units::{Kind, ServiceConfig, ServiceType};

impl Manager {
    /// A command of the present phase failed, or took too long.
    pub(super) fn phase_failed(&mut self, name: &str, outcome: Outcome) {
        match self.phase(name) {
            Phase::Condition if outcome == Outcome::ExecCondition => {
                self.enter_signal(name, Phase::StopSigterm, outcome);
            }
            Phase::Condition | Phase::StartPre | Phase::Start | Phase::StartPost => {
                self.enter_signal(name, Phase::StopSigterm, outcome);
            }
            Phase::Reload | Phase::ReloadSignal | Phase::ReloadNotify => {
                if let Some(unit) = self.units.get_mut(name) {
                    unit.reload_failed = true;
                    if let Some(control) = unit.control.take() {
                        process::signal(control, 9);
                    }
                }
                self.enter_running(name, Outcome::Success);
            }
            Phase::Stop => self.enter_signal(name, Phase::StopSigterm, outcome),
            Phase::StopPost => self.enter_signal(name, Phase::FinalSigterm, outcome),
            _ => {}
        }
    }

    pub(super) fn process_ended(&mut self, pid: u32, exit: Exit) {
        let found = self
            .units
            .iter()
            .find(|(_, unit)| unit.main == Some(pid) || unit.control == Some(pid))
            .map(|(name, unit)| (name.clone(), unit.main == Some(pid)));
        match found {
            Some((name, true)) => self.main_ended(&name, exit),
            Some((name, false)) => self.control_ended(&name, exit),
            None => {}
        }
    }

    pub(super) fn main_ended(&mut self, name: &str, exit: Exit) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.main = None;
        unit.main_exit = Some(exit);
        unit.moments.main_exit = Moment::now();
        unit.watchdog_at = None;
        let phase = unit.phase;
        let line = unit
            .commands_done
            .checked_sub(1)
            .and_then(|index| service.start.get(index));
        let forgiven = service
            .start
            .first()
            .filter(|_| phase != Phase::Start)
            .or(line);
        let mut outcome = judge_main(&service, exit);
        if forgiven.is_some_and(|line| line.ignore_failure) {
            outcome = Outcome::Success;
        }
        let text = format!(
            "{name}: Main process exited, code={}, status={}",
            exit.code_name(),
            super::show::exit_status_words(exit)
        );
        if exit != Exit::Exited(0) {
            self.log(name, &text);
        }
        match phase {
            Phase::Start if service.kind == ServiceType::Oneshot => {
                if outcome == Outcome::Success {
                    self.next_command(name);
                } else {
                    self.phase_failed(name, outcome);
                }
            }
            Phase::Start => {
                let early = if outcome == Outcome::Success {
                    Outcome::Protocol
                } else {
                    outcome
                };
                self.phase_failed(name, early);
            }
            Phase::StartPost | Phase::Reload | Phase::Stop => self.note(name, outcome),
            Phase::Running | Phase::ReloadSignal | Phase::ReloadNotify => {
                self.enter_running(name, outcome);
            }
            Phase::StopSigterm | Phase::StopSigkill | Phase::FinalSigterm | Phase::FinalSigkill => {
                // A service that was told to end may do so by the signal it was told with.
                let told = matches!(exit, Exit::Killed(signal) if signal == service.kill_signal);
                if !told {
                    self.note(name, outcome);
                }
                self.check_leftover(name);
            }
            _ => {}
        }
    }

    pub(super) fn control_ended(&mut self, name: &str, exit: Exit) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.control = None;
        let phase = unit.phase;
        let line = unit
            .commands_done
            .checked_sub(1)
            .and_then(|index| commands(&service, phase).get(index));
        let mut outcome = exit.outcome();
        if line.is_some_and(|line| line.ignore_failure) || is_in(&service.success, exit) {
            outcome = Outcome::Success;
        }
        if outcome != Outcome::Success {
            let text = format!(
                "{name}: Control process exited, code={}, status={}",
                exit.code_name(),
                super::show::exit_status_words(exit)
            );
            self.log(name, &text);
        }
        match (phase, outcome) {
            (Phase::Condition, _) if matches!(exit, Exit::Exited(1..=254)) => {
                self.phase_failed(name, Outcome::ExecCondition);
            }
            (
                Phase::StopSigterm | Phase::StopSigkill | Phase::FinalSigterm | Phase::FinalSigkill,
                _,
            ) => {
                self.check_leftover(name);
            }
            (Phase::Start, Outcome::Success) if service.kind == ServiceType::Forking => {
                self.adopt_main(name, &service);
            }
            (_, Outcome::Success) => self.next_command(name),
            (_, outcome) => self.phase_failed(name, outcome),
        }
    }

    /// A forking service has let go of its starter: its main process is what the PID file says, or the only one it has.
    pub(super) fn adopt_main(&mut self, name: &str, service: &ServiceConfig) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let members = process::members(&unit.invocation, &unit.sessions);
        unit.main = match &service.pid_file {
            Some(path) => std::fs::read_to_string(path)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|pid| crate::sys::process_runs(*pid)),
            None => members.first().copied(),
        };
        unit.last_main = unit.main.unwrap_or(0);
        unit.moments.main_start = Moment::now();
        if service.pid_file.is_some() && unit.main.is_none() {
            return self.phase_failed(name, Outcome::Protocol);
        }
        self.start_succeeded(name);
    }

    pub(super) fn deadline_passed(&mut self, name: &str, now: Instant) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if !matches!(
            unit.config().map(|config| &config.kind),
            Some(Kind::Service(_))
        ) {
            return self.timer_elapsed(name);
        }
        if due(unit.watchdog_at) {
            unit.watchdog_at = None;
            let signal = self.service(name).map(|service| service.watchdog_signal);
            self.log(name, &format!("{name}: Watchdog timeout!"));
            return self.enter_signal_with(name, Phase::StopSigterm, Outcome::Watchdog, signal);
        }
        if !due(unit.deadline) {
            return;
        }
        unit.deadline = None;
        let phase = unit.phase;
        let Some(service) = self.service(name) else {
            return;
        };
        if phase == Phase::AutoRestart {
            if let Err(refused) = self.enqueue_start_again(name) {
                self.log(
                    name,
                    &format!("{name}: cannot be restarted: {}", refused.text),
                );
                self.fail(name, Outcome::Resources);
            }
            return;
        }
        self.log(name, &format!("{name}: {} timed out.", phase_words(phase)));
        match phase {
            Phase::Running => self.enter_stop(name, Outcome::Timeout),
            Phase::StopSigterm if service.send_sigkill => {
                self.enter_signal(name, Phase::StopSigkill, Outcome::Timeout);
            }
            Phase::StopSigterm | Phase::StopSigkill => {
                self.note(name, Outcome::Timeout);
                self.arm(name, service.timeout_stop);
                self.enter(name, Phase::StopPost);
            }
            Phase::FinalSigterm if service.send_sigkill => {
                self.enter_signal(name, Phase::FinalSigkill, Outcome::Timeout);
            }
            Phase::FinalSigterm | Phase::FinalSigkill => {
                self.note(name, Outcome::Timeout);
                self.enter_dead(name);
            }
            _ => self.phase_failed(name, Outcome::Timeout),
        }
    }

    /// An automatic restart is a start whose counter goes on.
    pub(super) fn enqueue_start_again(&mut self, name: &str) -> Result<(), super::jobs::Refused> {
        let restarts = self.units.get(name).map_or(0, |unit| unit.restarts);
        self.enqueue_start(name, &mut Vec::new())?;
        if let Some(unit) = self.units.get_mut(name) {
            unit.restarts = restarts;
        }
        Ok(())
    }
}

/// Signals that end a daemon without it counting as a failure.
const CLEAN_SIGNALS: [i32; 4] = [1, 2, 13, 15];

fn judge_main(service: &ServiceConfig, exit: Exit) -> Outcome {
    let daemon = service.kind != ServiceType::Oneshot;
    let clean = match exit {
        Exit::Exited(0) => true,
        Exit::Killed(signal) => daemon && CLEAN_SIGNALS.contains(&signal),
        Exit::Exited(_) | Exit::Dumped(_) => false,
    };
    if clean || is_in(&service.success, exit) {
        Outcome::Success
    } else {
        exit.outcome()
    }
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Condition | Phase::StartPre | Phase::Start | Phase::StartPost => "start operation",
        Phase::Reload | Phase::ReloadSignal | Phase::ReloadNotify => "reload operation",
        Phase::Running => "service reached runtime time limit;",
        Phase::Stop => "stopping",
        Phase::StopSigterm => "State 'stop-sigterm'",
        Phase::StopSigkill => "State 'stop-sigkill'",
        Phase::StopPost => "State 'stop-post'",
        Phase::FinalSigterm => "State 'final-sigterm'",
        _ => "operation",
    }
}
