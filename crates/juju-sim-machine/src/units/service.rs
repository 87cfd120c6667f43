//! The `[Service]` section. Contract: systemd.service(5), systemd.kill(5).

use std::time::Duration;

use super::exec::{CommandLine, ExecConfig};
use super::{Problem, value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceType {
    Simple,
    Exec,
    Notify,
    NotifyReload,
    Oneshot,
    Forking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    No,
    Always,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnAbort,
    OnWatchdog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillMode {
    ControlGroup,
    Mixed,
    Process,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotifyAccess {
    None,
    Main,
    Exec,
    All,
}

/// A set of exit codes and signals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StatusSet {
    pub(crate) codes: Vec<i32>,
    pub(crate) signals: Vec<i32>,
}

impl StatusSet {
    fn apply(&mut self, text: &str) -> Result<(), Problem> {
        if text.is_empty() {
            *self = Self::default();
        }
        for word in text.split_whitespace() {
            match word.parse() {
                Ok(code) => self.codes.push(code),
                Err(_) => match word {
                    "TEMPFAIL" => self.codes.push(75),
                    "DATAERR" => self.codes.push(65),
                    name => self.signals.push(value::signal(name)?),
                },
            }
        }
        Ok(())
    }
}

/// What a service does and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceConfig {
    pub(crate) kind: ServiceType,
    pub(crate) condition: Vec<CommandLine>,
    pub(crate) start_pre: Vec<CommandLine>,
    pub(crate) start: Vec<CommandLine>,
    pub(crate) start_post: Vec<CommandLine>,
    pub(crate) reload: Vec<CommandLine>,
    pub(crate) stop: Vec<CommandLine>,
    pub(crate) stop_post: Vec<CommandLine>,
    pub(crate) remain_after_exit: bool,
    pub(crate) pid_file: Option<String>,
    pub(crate) notify_access: Option<NotifyAccess>,
    pub(crate) restart: RestartPolicy,
    pub(crate) restart_after: Duration,
    pub(crate) restart_steps: u32,
    pub(crate) restart_max: Duration,
    pub(crate) success: StatusSet,
    pub(crate) never_restart: StatusSet,
    pub(crate) always_restart: StatusSet,
    pub(crate) timeout_start: Option<Duration>,
    pub(crate) timeout_stop: Duration,
    pub(crate) runtime_max: Duration,
    pub(crate) watchdog: Duration,
    pub(crate) kill_mode: KillMode,
    pub(crate) kill_signal: i32,
    pub(crate) restart_kill_signal: Option<i32>,
    pub(crate) final_kill_signal: i32,
    pub(crate) watchdog_signal: i32,
    pub(crate) reload_signal: i32,
    pub(crate) send_sigkill: bool,
    pub(crate) send_sighup: bool,
    pub(crate) sockets: Vec<String>,
    pub(crate) exec: ExecConfig,
}

/// Default of `TimeoutStartSec=` and `TimeoutStopSec=`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(90);

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            kind: ServiceType::Simple,
            condition: Vec::new(),
            start_pre: Vec::new(),
            start: Vec::new(),
            start_post: Vec::new(),
            reload: Vec::new(),
            stop: Vec::new(),
            stop_post: Vec::new(),
            remain_after_exit: false,
            pid_file: None,
            notify_access: None,
            restart: RestartPolicy::No,
            restart_after: Duration::from_millis(100),
            restart_steps: 0,
            restart_max: Duration::MAX,
            success: StatusSet::default(),
            never_restart: StatusSet::default(),
            always_restart: StatusSet::default(),
            timeout_start: None,
            timeout_stop: DEFAULT_TIMEOUT,
            runtime_max: Duration::MAX,
            watchdog: Duration::MAX,
            kill_mode: KillMode::ControlGroup,
            kill_signal: 15,
            restart_kill_signal: None,
            final_kill_signal: 9,
            watchdog_signal: 6,
            reload_signal: 1,
            send_sigkill: true,
            send_sighup: false,
            sockets: Vec::new(),
            exec: ExecConfig::default(),
        }
    }
}

impl ServiceConfig {
    /// Takes one setting over.
    pub(super) fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        if let Some(lines) = self.commands(key) {
            if text.is_empty() {
                lines.clear();
            } else {
                lines.extend(CommandLine::parse(text, expand)?);
            }
            return Ok(());
        }
        let refuse = || Err(Problem::ValueNotHonoured(text.to_owned()));
        match key {
            "Type" => {
                self.kind = match text {
                    "simple" | "idle" => ServiceType::Simple,
                    "exec" => ServiceType::Exec,
                    "notify" => ServiceType::Notify,
                    "notify-reload" => ServiceType::NotifyReload,
                    "oneshot" => ServiceType::Oneshot,
                    "forking" => ServiceType::Forking,
                    _ => return refuse(),
                };
            }
            "RemainAfterExit" => self.remain_after_exit = value::boolean(text)?,
            "PIDFile" => {
                let path = expand(text)?;
                self.pid_file = Some(if path.starts_with('/') {
                    path
                } else {
                    format!("/run/{path}")
                });
            }
            "NotifyAccess" => {
                self.notify_access = Some(match text {
                    "none" => NotifyAccess::None,
                    "main" => NotifyAccess::Main,
                    "exec" => NotifyAccess::Exec,
                    "all" => NotifyAccess::All,
                    _ => return refuse(),
                });
            }
            "Restart" => {
                self.restart = match text {
                    "no" => RestartPolicy::No,
                    "always" => RestartPolicy::Always,
                    "on-success" => RestartPolicy::OnSuccess,
                    "on-failure" => RestartPolicy::OnFailure,
                    "on-abnormal" => RestartPolicy::OnAbnormal,
                    "on-abort" => RestartPolicy::OnAbort,
                    "on-watchdog" => RestartPolicy::OnWatchdog,
                    _ => return refuse(),
                };
            }
            "RestartSec" => self.restart_after = value::span(text)?,
            "RestartSteps" => self.restart_steps = value::integer(text)?,
            "RestartMaxDelaySec" => self.restart_max = value::span(text)?,
            "RestartPreventExitStatus" => self.never_restart.apply(text)?,
            "RestartForceExitStatus" => self.always_restart.apply(text)?,
            "SuccessExitStatus" => self.success.apply(text)?,
            "TimeoutStartSec" => self.timeout_start = Some(timeout(text)?),
            "TimeoutStopSec" => self.timeout_stop = timeout(text)?,
            "TimeoutSec" => {
                self.timeout_stop = timeout(text)?;
                self.timeout_start = Some(self.timeout_stop);
            }
            "RuntimeMaxSec" => self.runtime_max = timeout(text)?,
            "WatchdogSec" => self.watchdog = timeout(text)?,
            "WatchdogSignal" => self.watchdog_signal = value::signal(text)?,
            "KillMode" => {
                self.kill_mode = match text {
                    "control-group" => KillMode::ControlGroup,
                    "mixed" => KillMode::Mixed,
                    "process" => KillMode::Process,
                    "none" => KillMode::None,
                    _ => return refuse(),
                };
            }
            "KillSignal" => self.kill_signal = value::signal(text)?,
            "RestartKillSignal" => self.restart_kill_signal = Some(value::signal(text)?),
            "FinalKillSignal" => self.final_kill_signal = value::signal(text)?,
            "ReloadSignal" => self.reload_signal = value::signal(text)?,
            "SendSIGKILL" => self.send_sigkill = value::boolean(text)?,
            "SendSIGHUP" => self.send_sighup = value::boolean(text)?,
            "Sockets" => super::exec::list(&mut self.sockets, text, expand)?,
            _ => {
                if !self.exec.apply(key, text, expand)? {
                    return Err(Problem::NotHonoured);
                }
            }
        }
        Ok(())
    }

    fn commands(&mut self, key: &str) -> Option<&mut Vec<CommandLine>> {
        Some(match key {
            "ExecCondition" => &mut self.condition,
            "ExecStartPre" => &mut self.start_pre,
            "ExecStart" => &mut self.start,
            "ExecStartPost" => &mut self.start_post,
            "ExecReload" => &mut self.reload,
            "ExecStop" => &mut self.stop,
            "ExecStopPost" => &mut self.stop_post,
            _ => return None,
        })
    }

    /// How long a start may take; a oneshot may take for ever unless it says otherwise.
    pub(crate) fn start_limit(&self) -> Duration {
        let default = if self.kind == ServiceType::Oneshot {
            Duration::MAX
        } else {
            DEFAULT_TIMEOUT
        };
        self.timeout_start.unwrap_or(default)
    }

    /// Whose notifications count.
    pub(crate) fn notifications(&self) -> NotifyAccess {
        let expects = matches!(self.kind, ServiceType::Notify | ServiceType::NotifyReload)
            || self.watchdog != Duration::MAX;
        match self.notify_access {
            Some(NotifyAccess::None) | None if expects => NotifyAccess::Main,
            Some(access) => access,
            None => NotifyAccess::None,
        }
    }

    /// The pause before the `count`-th automatic restart in a row, counted from zero. With `RestartSteps=` it grows
    /// geometrically from `RestartSec=` to `RestartMaxDelaySec=`.
    pub(crate) fn restart_pause(&self, count: u32) -> Duration {
        let (first, last) = (self.restart_after.as_secs_f64(), self.restart_max);
        if self.restart_steps == 0 || last == Duration::MAX || first <= 0.0 {
            return self.restart_after;
        }
        if count >= self.restart_steps {
            return last;
        }
        let share = f64::from(count) / f64::from(self.restart_steps);
        Duration::from_secs_f64(first * (last.as_secs_f64() / first).powf(share))
    }
}

/// A timeout: zero switches it off.
fn timeout(text: &str) -> Result<Duration, Problem> {
    value::span(text).map(|span| if span.is_zero() { Duration::MAX } else { span })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ServiceConfig;

    #[test]
    fn restart_pauses_grow_step_by_step() {
        let config = ServiceConfig {
            restart_after: Duration::from_secs(1),
            restart_steps: 4,
            restart_max: Duration::from_secs(16),
            ..ServiceConfig::default()
        };
        let pauses: Vec<f64> = (0..6)
            .map(|count| config.restart_pause(count).as_secs_f64().round())
            .collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 16.0]);
        assert_eq!(
            ServiceConfig::default().restart_pause(9),
            Duration::from_millis(100)
        );
    }
}
