//! What the manager remembers of a unit while it runs.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use super::paths::Watches;
use crate::units::{Found, Kind, UnitConfig};

/// Where a unit is in its life, as `ActiveState` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the words are those of systemd")]
pub(crate) enum Active {
    Inactive,
    Activating,
    Active,
    Reloading,
    Deactivating,
    Failed,
}

impl Active {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
        }
    }

    /// Nothing of the unit runs.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }

    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Reloading)
    }
}

/// The finer state, as `SubState` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Dead,
    Condition,
    StartPre,
    Start,
    StartPost,
    Running,
    Exited,
    Reload,
    ReloadSignal,
    ReloadNotify,
    Stop,
    StopSigterm,
    StopSigkill,
    StopPost,
    FinalSigterm,
    FinalSigkill,
    Failed,
    AutoRestart,
    /// A socket, path or timer that waits for its event.
    Waiting,
    /// A socket, path or timer whose unit runs.
    Triggered,
    /// A target, or a timer that has nothing more to wait for.
    Up,
}

impl Phase {
    pub(crate) fn active(self) -> Active {
        match self {
            Self::Dead => Active::Inactive,
            Self::Failed => Active::Failed,
            Self::Condition
            | Self::StartPre
            | Self::Start
            | Self::StartPost
            | Self::AutoRestart => Active::Activating,
            Self::Running | Self::Exited | Self::Waiting | Self::Triggered | Self::Up => {
                Active::Active
            }
            Self::Reload | Self::ReloadSignal | Self::ReloadNotify => Active::Reloading,
            Self::Stop
            | Self::StopSigterm
            | Self::StopSigkill
            | Self::StopPost
            | Self::FinalSigterm
            | Self::FinalSigkill => Active::Deactivating,
        }
    }
}

/// How a run of a unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    #[default]
    Success,
    ExitCode,
    Signal,
    CoreDump,
    Timeout,
    Watchdog,
    StartLimitHit,
    Resources,
    Protocol,
    ExecCondition,
    /// A socket, path or timer gave up on its unit.
    TriggerLimitHit,
    ServiceStartLimitHit,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::CoreDump => "core-dump",
            Self::Timeout => "timeout",
            Self::Watchdog => "watchdog",
            Self::StartLimitHit => "start-limit-hit",
            Self::Resources => "resources",
            Self::Protocol => "protocol",
            Self::ExecCondition => "exec-condition",
            Self::TriggerLimitHit => "trigger-limit-hit",
            Self::ServiceStartLimitHit => "service-start-limit-hit",
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Exited(i32),
    Killed(i32),
    Dumped(i32),
}

impl Exit {
    pub(crate) fn code_name(self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Killed(_) => "killed",
            Self::Dumped(_) => "dumped",
        }
    }

    /// The exit code, or the number of the signal.
    pub(crate) fn number(self) -> i32 {
        let (Self::Exited(number) | Self::Killed(number) | Self::Dumped(number)) = self;
        number
    }

    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Exited(0) => Outcome::Success,
            Self::Exited(_) => Outcome::ExitCode,
            Self::Killed(_) => Outcome::Signal,
            Self::Dumped(_) => Outcome::CoreDump,
        }
    }
}

/// A moment, in microseconds since 1970 and since the host's boot; zero means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moment {
    pub(crate) realtime_us: u64,
    pub(crate) monotonic_us: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(clock.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(clock.tv_nsec).unwrap_or(0);
        Self {
            realtime_us: crate::journal::now_us(),
            monotonic_us: seconds * 1_000_000 + nanoseconds / 1000,
        }
    }
}

/// When a unit entered its states.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    pub(crate) inactive_exit: Moment,
    pub(crate) active_enter: Moment,
    pub(crate) active_exit: Moment,
    pub(crate) inactive_enter: Moment,
    pub(crate) change: Moment,
    pub(crate) main_start: Moment,
    pub(crate) main_exit: Moment,
}

/// What is on disk of a unit.
#[derive(Debug, Clone)]
pub(crate) enum Load {
    Absent,
    Masked(PathBuf),
    Bad {
        fragment: PathBuf,
        reason: String,
    },
    Loaded {
        fragment: PathBuf,
        drop_ins: Vec<PathBuf>,
        config: Box<UnitConfig>,
    },
}

impl From<Found> for Load {
    fn from(found: Found) -> Self {
        match found {
            Found::Absent => Self::Absent,
            Found::Masked(path) => Self::Masked(path),
            Found::Bad { fragment, error } => Self::Bad {
                fragment,
                reason: error.to_string(),
            },
            Found::Loaded {
                fragment,
                drop_ins,
                unit,
            } => Self::Loaded {
                fragment,
                drop_ins,
                config: unit,
            },
        }
    }
}

/// A unit and what became of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) load: Load,
    /// What the files say now, when the unit still runs with what they said before.
    pub(crate) reload_problem: Option<Load>,
    pub(crate) phase: Phase,
    pub(crate) outcome: Outcome,
    pub(crate) moments: Moments,
    pub(crate) condition_met: bool,
    pub(crate) starts: VecDeque<Instant>,
    pub(crate) invocation: String,
    /// When the present phase has taken too long, or ends by itself.
    pub(crate) deadline: Option<Instant>,
    pub(crate) main: Option<u32>,
    pub(crate) control: Option<u32>,
    /// The commands of the present phase that have been started.
    pub(crate) commands_done: usize,
    pub(crate) main_exit: Option<Exit>,
    /// The main process's id, kept after its end for `ExecMainPID`.
    pub(crate) last_main: u32,
    /// Sessions that this invocation's processes were started in.
    pub(crate) sessions: Vec<u32>,
    pub(crate) status_text: String,
    pub(crate) restarts: u32,
    pub(crate) reload_failed: bool,
    pub(crate) stop_wanted: bool,
    /// Set before the unit is down: it will come again by itself.
    pub(crate) will_restart: bool,
    pub(crate) watchdog_at: Option<Instant>,
    /// What a socket unit listens on.
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) watches: Option<Watches>,
    pub(crate) next_elapse: Option<Instant>,
    pub(crate) last_trigger: Moment,
    pub(crate) triggers: VecDeque<Instant>,
    pub(crate) triggered_instant: Option<Instant>,
    /// When it last began to start, and when it was last down.
    pub(crate) left_down_at: Option<Instant>,
    pub(crate) down_at: Option<Instant>,
}

impl Unit {
    pub(crate) fn new(load: Load) -> Self {
        Self {
            load,
            reload_problem: None,
            phase: Phase::Dead,
            outcome: Outcome::Success,
            moments: Moments::default(),
            condition_met: false,
            starts: VecDeque::new(),
            invocation: String::new(),
            deadline: None,
            main: None,
            control: None,
            commands_done: 0,
            main_exit: None,
            last_main: 0,
            sessions: Vec::new(),
            status_text: String::new(),
            restarts: 0,
            reload_failed: false,
            stop_wanted: false,
            will_restart: false,
            watchdog_at: None,
            sockets: Vec::new(),
            watches: None,
            next_elapse: None,
            last_trigger: Moment::default(),
            triggers: VecDeque::new(),
            triggered_instant: None,
            left_down_at: None,
            down_at: None,
        }
    }

    pub(crate) fn config(&self) -> Option<&UnitConfig> {
        match &self.load {
            Load::Loaded { config, .. } => Some(config),
            Load::Absent | Load::Masked(_) | Load::Bad { .. } => None,
        }
    }

    pub(crate) fn active(&self) -> Active {
        self.phase.active()
    }

    /// `SubState`: the words depend on the type.
    pub(crate) fn sub_state(&self) -> &'static str {
        let kind = self.config().map(|config| &config.kind);
        match (self.phase, kind) {
            (Phase::Waiting, Some(Kind::Socket(_))) => "listening",
            (Phase::Waiting, _) => "waiting",
            (Phase::Triggered | Phase::Running, _) => "running",
            (Phase::Up, Some(Kind::Timer(_))) => "elapsed",
            (Phase::Up, _) => "active",
            (Phase::Dead, _) => "dead",
            (Phase::Condition, _) => "condition",
            (Phase::StartPre, _) => "start-pre",
            (Phase::Start, _) => "start",
            (Phase::StartPost, _) => "start-post",
            (Phase::Exited, _) => "exited",
            (Phase::Reload, _) => "reload",
            (Phase::ReloadSignal, _) => "reload-signal",
            (Phase::ReloadNotify, _) => "reload-notify",
            (Phase::Stop, _) => "stop",
            (Phase::StopSigterm, _) => "stop-sigterm",
            (Phase::StopSigkill, _) => "stop-sigkill",
            (Phase::StopPost, _) => "stop-post",
            (Phase::FinalSigterm, _) => "final-sigterm",
            (Phase::FinalSigkill, _) => "final-sigkill",
            (Phase::Failed, _) => "failed",
            (Phase::AutoRestart, _) => "auto-restart",
        }
    }
}

/// Notes one event; false when there were `burst` of them within `interval` already.
pub(crate) fn within_limit(
    events: &mut VecDeque<Instant>,
    interval: std::time::Duration,
    burst: u32,
) -> bool {
    if interval.is_zero() || burst == 0 {
        return true;
    }
    let now = Instant::now();
    events.retain(|event| now.saturating_duration_since(*event) < interval);
    if events.len() >= usize::try_from(burst).unwrap_or(usize::MAX) {
        return false;
    }
    events.push_back(now);
    true
}
