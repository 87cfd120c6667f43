//! The life of a service, phase by phase. Contract: systemd.service(5).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use std::time::{Duration, Instant};

use super::jobs::JobResult;
use super::spawn::Role;
use super::unit::{Active, Exit, Moment, Outcome, Phase, Unit};
use super::{Manager, launch, process};
use crate::units::{
    CommandLine, KillMode, Kind, RestartPolicy, ServiceConfig, ServiceType, StatusSet,
};

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

fn later(limit: Duration) -> Option<Instant> {
    (limit != Duration::MAX).then(|| Instant::now() + limit)
}

fn random_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid")
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect()
}

/// Signals that end a daemon without it counting as a failure.
const CLEAN_SIGNALS: [i32; 4] = [1, 2, 13, 15];

fn is_in(set: &StatusSet, exit: Exit) -> bool {
    match exit {
        Exit::Exited(code) => set.codes.contains(&code),
        Exit::Killed(signal) | Exit::Dumped(signal) => set.signals.contains(&signal),
    }
}

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

impl Manager {
    pub(super) fn service(&self, name: &str) -> Option<ServiceConfig> {
        self.units.get(name)?.config()?.service().cloned()
    }

    fn phase(&self, name: &str) -> Phase {
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
    fn enter(&mut self, name: &str, phase: Phase) {
        self.set_phase(name, phase);
        self.next_command(name);
    }

    fn commands(service: &ServiceConfig, phase: Phase) -> &[CommandLine] {
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

    fn next_command(&mut self, name: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let phase = unit.phase;
        let index = unit.commands_done;
        let Some(line) = Self::commands(&service, phase).get(index) else {
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

    fn phase_done(&mut self, name: &str, phase: Phase, service: &ServiceConfig) {
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

    fn enter_start(&mut self, name: &str, service: &ServiceConfig) {
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

    fn enter_running(&mut self, name: &str, outcome: Outcome) {
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

    fn note(&mut self, name: &str, outcome: Outcome) {
        if let Some(unit) = self
            .units
            .get_mut(name)
            .filter(|unit| unit.outcome == Outcome::Success)
        {
            unit.outcome = outcome;
        }
    }

    fn arm(&mut self, name: &str, limit: Duration) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.deadline = later(limit);
            unit.watchdog_at = None;
        }
    }

    fn enter_stop(&mut self, name: &str, outcome: Outcome) {
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
    fn enter_signal(&mut self, name: &str, phase: Phase, outcome: Outcome) {
        self.enter_signal_with(name, phase, outcome, None);
    }

    fn enter_signal_with(&mut self, name: &str, phase: Phase, outcome: Outcome, with: Option<i32>) {
        let Some(service) = self.service(name) else {
            return;
        };
        self.note(name, outcome);
        self.set_phase(name, phase);
        self.arm(name, service.timeout_stop);
        let restarting = self
            .jobs
            .get(name)
            .is_some_and(|job| job.kind == super::jobs::JobKind::Restart);
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
    fn check_leftover(&mut self, name: &str) {
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
    fn check_adopted_main(&mut self, name: &str) {
        let main = self.units.get(name).and_then(|unit| unit.main);
        if let Some(pid) = main.filter(|pid| !crate::sys::process_runs(*pid)) {
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

    fn enter_dead(&mut self, name: &str) {
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
                .is_some_and(|job| job.kind == super::jobs::JobKind::Restart);
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

    fn will_restart(&self, name: &str, service: &ServiceConfig) -> bool {
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

    /// A command of the present phase failed, or took too long.
    fn phase_failed(&mut self, name: &str, outcome: Outcome) {
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

    fn main_ended(&mut self, name: &str, exit: Exit) {
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

    fn control_ended(&mut self, name: &str, exit: Exit) {
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
            .and_then(|index| Self::commands(&service, phase).get(index));
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
    fn adopt_main(&mut self, name: &str, service: &ServiceConfig) {
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
    fn enqueue_start_again(&mut self, name: &str) -> Result<(), super::jobs::Refused> {
        let restarts = self.units.get(name).map_or(0, |unit| unit.restarts);
        self.enqueue_start(name, &mut Vec::new())?;
        if let Some(unit) = self.units.get_mut(name) {
            unit.restarts = restarts;
        }
        Ok(())
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
