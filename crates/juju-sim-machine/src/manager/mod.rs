//! The service manager: process 1 of a machine once its root stands.
//!
//! One thread, one loop: it waits for a signal, a request, a notification, a connection, a change of a watched file or the next
//! deadline, and moves units from phase to phase. Nothing in it blocks on a service.

mod ending;
mod environment;
mod exits;
mod install;
mod jobs;
mod launch;
mod lists;
mod notify;
mod order;
mod output;
mod paths;
mod process;
mod requests;
mod service;
mod settle;
mod show;
mod sockets;
mod spawn;
mod timers;
mod triggers;
mod unit;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::WaitOptions;

use crate::control::{CONTROL, NOTIFY};
use crate::journal::Entry;
use crate::units::Loader;

use jobs::Job;
use output::Outputs;
use requests::Clients;
use unit::{Exit, Load, Unit};

/// Why the manager cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Signals are how it learns that a process ended.
    #[error("cannot receive signals")]
    Signals {
        /// What the system said.
        source: nix::Error,
    },
    /// One of its sockets, its journal or its watches.
    #[error("cannot open {what}")]
    Open {
        /// Which.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Waiting for events.
    #[error("cannot wait for events")]
    Wait {
        /// What the system said.
        source: std::io::Error,
    },
}

/// How long what is left after an orderly shutdown may take to end.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// How often processes are looked for that end without a signal to us.
const SCAN: Duration = Duration::from_millis(100);

/// Targets that this machine has by being up; their files are not read.
const SPECIAL_TARGETS: [&str; 24] = [
    "basic.target",
    "cloud-init.target",
    "default.target",
    "getty.target",
    "graphical.target",
    "local-fs-pre.target",
    "local-fs.target",
    "multi-user.target",
    "network-online.target",
    "network-pre.target",
    "network.target",
    "nss-lookup.target",
    "nss-user-lookup.target",
    "paths.target",
    "remote-fs-pre.target",
    "remote-fs.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "swap.target",
    "sysinit.target",
    "time-set.target",
    "time-sync.target",
    "timers.target",
];

pub(crate) struct Manager {
    loader: Loader,
    units: BTreeMap<String, Unit>,
    jobs: BTreeMap<String, Job>,
    last_job: u64,
    signals: SignalFd,
    control: UnixListener,
    notify: OwnedFd,
    journal: File,
    outputs: Outputs,
    clients: Clients,
    /// Trampolines that have not executed their program yet: socket, unit, process.
    launching: Vec<(UnixStream, String, u32)>,
    started: Instant,
    shutdown: Option<Instant>,
}

/// What an entry of the poll list stands for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Control,
    Notify,
    /// Index into the list of path units made beside the poll list.
    Watches(usize),
    Output(usize),
    Client(u64),
    Launching(usize),
    /// Index into the list of (unit, socket) made beside the poll list.
    Listening(usize),
}

fn open<T, E: Into<std::io::Error>>(
    what: &'static str,
    result: Result<T, E>,
) -> Result<T, ManagerError> {
    result.map_err(|source| ManagerError::Open {
        what,
        source: source.into(),
    })
}

impl Manager {
    /// Opens everything the manager waits on. From then on `systemctl` finds it.
    pub(crate) fn new() -> Result<Self, ManagerError> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
        ] {
            set.add(signal);
        }
        set.thread_block()
            .map_err(|source| ManagerError::Signals { source })?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(|source| ManagerError::Signals { source })?;
        let _ = fs::remove_file(CONTROL);
        let control = open("the control socket", UnixListener::bind(CONTROL))?;
        open("the control socket", control.set_nonblocking(true))?;
        // Anyone may ask; who may change is decided by the asker's user.
        open(
            "the control socket",
            fs::set_permissions(CONTROL, Permissions::from_mode(0o666)),
        )?;
        let notify = open("the notification socket", notify::listen(Path::new(NOTIFY)))?;
        let file = crate::journal::file(Path::new(crate::root::STATE));
        let journal = open(
            "the journal",
            OpenOptions::new().create(true).append(true).open(file),
        )?;
        Ok(Self {
            loader: Loader::new("/"),
            units: BTreeMap::new(),
            jobs: BTreeMap::new(),
            last_job: 0,
            signals,
            control,
            notify,
            journal,
            outputs: Outputs::default(),
            clients: Clients::default(),
            launching: Vec::new(),
            started: Instant::now(),
            shutdown: None,
        })
    }

    /// Starts what is enabled, then serves until it is told to stop (SIGTERM).
    pub(crate) fn run(mut self) -> Result<(), ManagerError> {
        self.start_enabled();
        loop {
            self.work();
            if self.is_finished() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// What links below `/etc` and `/run` attach to the special targets. The distribution's own are for real machines.
    fn start_enabled(&mut self) {
        let mut wanted = Vec::new();
        for directory in self.loader.directories().take(2).collect::<Vec<_>>() {
            for target in SPECIAL_TARGETS {
                for suffix in ["wants", "requires"] {
                    wanted.extend(crate::units::entries(
                        &directory.join(format!("{target}.{suffix}")),
                    ));
                }
            }
        }
        for name in wanted {
            if let Err(error) = self.enqueue_start(&name, &mut Vec::new()) {
                self.log(&name, &format!("Failed to start {name}: {}", error.text));
            }
        }
    }

    fn is_finished(&mut self) -> bool {
        let Some(end) = self.shutdown else {
            return false;
        };
        if !self.jobs.is_empty() {
            return false;
        }
        if Instant::now() >= end {
            return true;
        }
        // Everything of ours has stopped; the rest gets a short time.
        process::signal_everyone(Signal::SIGTERM);
        let limit = Instant::now() + LAST_GRACE;
        while Instant::now() < limit {
            self.reap();
            if process::is_alone() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn begin_shutdown(&mut self) {
        if self.shutdown.is_some() {
            return;
        }
        self.log("init.scope", "Stopping the machine.");
        self.shutdown = Some(Instant::now() + Duration::from_secs(24 * 3600));
        let up: Vec<String> = self
            .units
            .iter()
            .filter(|(_, unit)| !unit.active().is_down())
            .map(|(name, _)| name.clone())
            .collect();
        for name in up {
            self.enqueue_stop(&name);
        }
    }

    /// Everything that is due now: jobs and deadlines, until nothing moves.
    fn work(&mut self) {
        self.run_jobs();
        self.run_deadlines();
        self.run_jobs();
        self.answer_clients();
    }

    fn wait(&mut self) -> Result<(), ManagerError> {
        let listening = self.listening();
        let mut sources = vec![Source::Signals, Source::Control, Source::Notify];
        let mut fds = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(&self.notify, PollFlags::IN),
        ];
        let mut watching = Vec::new();
        for (index, (name, inotify)) in self.watching().enumerate() {
            watching.push(name.clone());
            sources.push(Source::Watches(index));
            fds.push(PollFd::new(inotify, PollFlags::IN));
        }
        for (index, pipe) in self.outputs.pipes().enumerate() {
            sources.push(Source::Output(index));
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        for (number, stream) in self.clients.reading() {
            sources.push(Source::Client(number));
            fds.push(PollFd::new(stream, PollFlags::IN));
        }
        for (index, (socket, _, _)) in self.launching.iter().enumerate() {
            sources.push(Source::Launching(index));
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        for (index, (name, socket)) in listening.iter().enumerate() {
            if let Some(fd) = self
                .units
                .get(name)
                .and_then(|unit| unit.sockets.get(*socket))
            {
                sources.push(Source::Listening(index));
                fds.push(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
            }
        }
        let timeout = self.next_deadline().map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(ManagerError::Wait {
                    source: errno.into(),
                });
            }
        }
        let ready: Vec<Source> = sources
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source)
            .collect();
        drop(fds);
        // Output first, so that the last words of a process come before the note of its end. Indices shift when entries go,
        // hence the highest first.
        for source in ready.iter().rev() {
            match *source {
                Source::Output(index) => self.outputs.read(index, &mut self.journal),
                Source::Launching(index) => self.launched(index),
                Source::Signals
                | Source::Control
                | Source::Notify
                | Source::Watches(_)
                | Source::Client(_)
                | Source::Listening(_) => {}
            }
        }
        for source in ready {
            match source {
                Source::Notify => self.read_notifications(),
                Source::Signals => self.read_signals(),
                Source::Control => self.accept_clients(),
                Source::Client(number) => self.read_client(number),
                Source::Watches(index) => {
                    if let Some(name) = watching.get(index) {
                        self.read_watches(name);
                    }
                }
                Source::Listening(index) => {
                    if let Some((name, _)) = listening.get(index) {
                        self.socket_ready(name);
                    }
                }
                Source::Output(_) | Source::Launching(_) => {}
            }
        }
        Ok(())
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            if let Ok(Signal::SIGTERM | Signal::SIGINT) = Signal::try_from(number) {
                self.begin_shutdown();
            }
        }
        // A notification may have been sent just before its sender ended.
        self.read_notifications();
        self.reap();
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Ok(pid) = u32::try_from(pid.as_raw_nonzero().get()) else {
                continue;
            };
            let raw = status.as_raw();
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Exited(code),
                // The kernel sets this bit when it wrote a core file.
                (None, Some(signal)) if raw & 0x80 != 0 => Exit::Dumped(signal),
                (None, Some(signal)) => Exit::Killed(signal),
                (None, None) => continue,
            };
            self.outputs.drain_of(pid, &mut self.journal);
            self.process_ended(pid, exit);
        }
        self.check_leftovers();
    }

    /// The unit's entry, read from disk when it is not known yet.
    fn ensure(&mut self, name: &str) -> &mut Unit {
        let loader = &self.loader;
        self.units.entry(name.to_owned()).or_insert_with(|| {
            let special = SPECIAL_TARGETS.contains(&name);
            let load = if special {
                Load::Absent
            } else {
                loader.load(name).into()
            };
            let mut unit = Unit::new(load);
            if special && name != "shutdown.target" {
                unit.phase = unit::Phase::Up;
            }
            unit
        })
    }

    /// Reads the files of all units again; what runs goes on running under its new settings.
    fn reload(&mut self) {
        let names: Vec<String> = self.units.keys().cloned().collect();
        for name in names {
            if SPECIAL_TARGETS.contains(&name.as_str()) {
                continue;
            }
            let load: Load = self.loader.load(&name).into();
            let Some(unit) = self.units.get_mut(&name) else {
                continue;
            };
            let idle = unit.active() == unit::Active::Inactive && !self.jobs.contains_key(&name);
            if idle {
                // Forgotten, and read when somebody asks.
                self.units.remove(&name);
            } else if matches!(load, Load::Absent) {
                // A running unit whose file is gone keeps what it was started with.
            } else if matches!(unit.load, Load::Loaded { .. })
                && !matches!(load, Load::Loaded { .. })
            {
                let reason = match &load {
                    Load::Bad { reason, .. } => reason.clone(),
                    Load::Absent | Load::Masked(_) | Load::Loaded { .. } => "it is masked".into(),
                };
                unit.reload_problem = Some(load);
                self.log(
                    &name,
                    &format!("Keeping the settings that {name} runs with: {reason}"),
                );
            } else {
                let before = unit.config().cloned();
                unit.load = load;
                unit.reload_problem = None;
                sockets::keep_named(unit, before.as_ref());
            }
        }
    }

    /// Writes a line of the manager's own into the journal.
    fn log(&mut self, unit: &str, message: &str) {
        crate::journal::append(
            &mut self.journal,
            &Entry {
                time_us: crate::journal::now_us(),
                unit: unit.to_owned(),
                identifier: "systemd".into(),
                pid: 1,
                message: message.to_owned(),
            },
        );
    }

    fn description(&self, name: &str) -> String {
        let config = self.units.get(name).and_then(Unit::config);
        match config.map(|config| config.description.as_str()) {
            Some(description) if description != name => format!("{name} - {description}"),
            Some(_) | None => name.to_owned(),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let scan = self
            .units
            .values()
            .any(service::is_scanned)
            .then(|| Instant::now() + SCAN);
        self.units
            .values()
            .flat_map(|unit| [unit.deadline, unit.watchdog_at, unit.next_elapse])
            .flatten()
            .chain(scan)
            .min()
    }

    fn run_deadlines(&mut self) {
        let now = Instant::now();
        let due: Vec<String> = self
            .units
            .iter()
            .filter(|(_, unit)| {
                [unit.deadline, unit.watchdog_at, unit.next_elapse]
                    .into_iter()
                    .flatten()
                    .any(|deadline| deadline <= now)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.deadline_passed(&name, now);
        }
        self.check_leftovers();
    }
}
