//! Sockets, paths and timers: they wait for something and then start another unit.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::unit::{Active, Moment, Outcome, Phase, within_limit};
use super::{Manager, launch};
use crate::units::{
    Kind, PathConfig, PathWatch, SocketConfig, SocketFile, TimerConfig, WatchKind,
    directory_not_empty, glob_matches,
};

/// The watches of a path unit, on an inotify instance of their own.
#[derive(Debug)]
pub(super) struct Watches {
    pub(super) inotify: OwnedFd,
    /// Watch descriptor, index of the setting, and whether it is on the path itself or on a directory above it.
    entries: Vec<(i32, usize, bool)>,
    /// Whether each path existed when it was last looked at.
    existed: Vec<bool>,
}

impl Manager {
    // Sockets.

    pub(super) fn start_socket(&mut self, name: &str, config: &SocketConfig) {
        let mut sockets = Vec::new();
        for (file, datagrams) in &config.listen {
            match open_socket(file, *datagrams, config) {
                Ok(socket) => sockets.push(socket),
                Err(error) => {
                    self.log(
                        name,
                        &format!("{name}: Failed to listen on {file:?}: {error}"),
                    );
                    return self.fail(name, Outcome::Resources);
                }
            }
        }
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = Outcome::Success;
            unit.sockets = sockets;
        }
        let text = format!("Listening on {}.", self.description(name));
        self.log(name, &text);
        let service_up = self.triggered(name).is_some_and(|service| {
            self.units
                .get(&service)
                .is_some_and(|unit| !unit.active().is_down())
        });
        self.set_phase(
            name,
            if service_up {
                Phase::Triggered
            } else {
                Phase::Waiting
            },
        );
    }

    pub(super) fn stop_socket(&mut self, name: &str, config: &SocketConfig) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.sockets.clear();
        }
        if config.remove_on_stop {
            for (file, _) in &config.listen {
                if let SocketFile::Unix(path) = file {
                    let _ = fs::remove_file(path);
                }
            }
        }
        self.set_phase(name, Phase::Dead);
    }

    /// The sockets to wait on: unit and index.
    pub(super) fn listening(&self) -> Vec<(String, usize)> {
        self.units
            .iter()
            .filter(|(_, unit)| unit.phase == Phase::Waiting)
            .flat_map(|(name, unit)| (0..unit.sockets.len()).map(|index| (name.clone(), index)))
            .collect()
    }

    pub(super) fn socket_ready(&mut self, name: &str) {
        let Some(unit) = self
            .units
            .get(name)
            .filter(|unit| unit.phase == Phase::Waiting)
        else {
            return;
        };
        let Some(Kind::Socket(socket)) = unit.config().map(|config| config.kind.clone()) else {
            return;
        };
        self.trigger(name, socket.trigger_interval, socket.trigger_burst);
    }

    fn triggered(&self, name: &str) -> Option<String> {
        self.units.get(name)?.config()?.triggers(name)
    }

    /// Starts the unit that this one is for.
    fn trigger(&mut self, name: &str, interval: Duration, burst: u32) {
        let Some(target) = self.triggered(name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.last_trigger = Moment::now();
        unit.triggered_instant = Some(Instant::now());
        if !within_limit(&mut unit.triggers, interval, burst) {
            self.log(
                name,
                &format!("{name}: Trigger limit hit, refusing further activation."),
            );
            if let Some(unit) = self.units.get_mut(name) {
                unit.sockets.clear();
                unit.watches = None;
            }
            return self.fail(name, Outcome::TriggerLimitHit);
        }
        match self.enqueue_start(&target, &mut Vec::new()) {
            Ok(_) => {
                self.set_phase(name, Phase::Triggered);
                let down = self
                    .units
                    .get(&target)
                    .is_none_or(|unit| unit.active().is_down());
                if down && !self.jobs.contains_key(&target) {
                    self.triggered_changed(&target, Active::Inactive);
                }
            }
            Err(refused) => {
                self.log(
                    name,
                    &format!("{name}: Failed to start {target}: {}", refused.text),
                );
                if let Some(unit) = self.units.get_mut(name) {
                    unit.sockets.clear();
                    unit.watches = None;
                    unit.next_elapse = None;
                }
                self.fail(name, Outcome::Resources);
            }
        }
    }

    /// A unit changed; those that start it wait again, or know that it runs.
    pub(super) fn triggered_changed(&mut self, target: &str, active: Active) {
        let starters: Vec<String> = self
            .units
            .iter()
            .filter(|(name, unit)| {
                unit.config()
                    .and_then(|config| config.triggers(name))
                    .as_deref()
                    == Some(target)
                    && unit.active().is_up()
            })
            .map(|(name, _)| name.clone())
            .collect();
        let hit_limit = self.units.get(target).is_some_and(|unit| {
            unit.phase == Phase::Failed && unit.outcome == Outcome::StartLimitHit
        });
        for name in starters {
            let Some(unit) = self.units.get_mut(&name) else {
                continue;
            };
            let Some(kind) = unit.config().map(|config| config.kind.clone()) else {
                continue;
            };
            if !active.is_down() {
                if unit.phase == Phase::Waiting && matches!(kind, Kind::Socket(_)) {
                    self.set_phase(&name, Phase::Triggered);
                }
                continue;
            }
            match kind {
                Kind::Socket(_) | Kind::Path(_) if hit_limit => {
                    unit.sockets.clear();
                    unit.watches = None;
                    self.fail(&name, Outcome::ServiceStartLimitHit);
                }
                Kind::Socket(_) => self.set_phase(&name, Phase::Waiting),
                Kind::Path(path) if unit.phase == Phase::Triggered => {
                    self.wait_for_path(&name, &path);
                }
                Kind::Timer(timer) => self.arm_timer(&name, &timer, false),
                Kind::Path(_) | Kind::Service(_) | Kind::Target => {}
            }
        }
    }

    // Paths.

    pub(super) fn start_path(&mut self, name: &str, config: &PathConfig) {
        if config.make_directory {
            for watch in &config.watches {
                let path = Path::new(&watch.path);
                if !path.exists() && fs::create_dir_all(path).is_ok() {
                    let mode = fs::Permissions::from_mode(config.directory_mode);
                    let _ = fs::set_permissions(path, mode);
                }
            }
        }
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = Outcome::Success;
            unit.watches = None;
        }
        self.set_phase(name, Phase::Waiting);
        self.wait_for_path(name, config);
    }

    pub(super) fn stop_path(&mut self, name: &str) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.watches = None;
        }
        self.set_phase(name, Phase::Dead);
    }

    /// Watches first, then looks, so that nothing falls between the two.
    fn wait_for_path(&mut self, name: &str, config: &PathConfig) {
        self.set_phase(name, Phase::Waiting);
        let changed = self.watch(name, config);
        let there = config.watches.iter().any(|watch| match watch.kind {
            WatchKind::Exists => Path::new(&watch.path).exists(),
            WatchKind::ExistsGlob => glob_matches(&watch.path),
            WatchKind::DirectoryNotEmpty => directory_not_empty(Path::new(&watch.path)),
            WatchKind::Changed | WatchKind::Modified => false,
        });
        if there || changed {
            self.trigger(name, config.trigger_interval, config.trigger_burst);
        }
    }

    /// Puts watches on the paths and all directories above them. True when a path has come or gone since the last time.
    fn watch(&mut self, name: &str, config: &PathConfig) -> bool {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let Ok(inotify) = rustix::fs::inotify::init(flags) else {
            return false;
        };
        let mut entries = Vec::new();
        let mut existed = Vec::new();
        for (index, watch) in config.watches.iter().enumerate() {
            let path = Path::new(&watch.path);
            for above in path.ancestors().skip(1) {
                if let Ok(number) = rustix::fs::inotify::add_watch(
                    &inotify,
                    above,
                    above_flags() | WatchFlags::MASK_ADD,
                ) {
                    entries.push((number, index, false));
                }
            }
            let own = own_flags(watch) | WatchFlags::MASK_ADD;
            if let Ok(number) = rustix::fs::inotify::add_watch(&inotify, path, own) {
                entries.push((number, index, true));
            }
            existed.push(path.exists());
        }
        let Some(unit) = self.units.get_mut(name) else {
            return false;
        };
        let changed = unit.watches.as_ref().is_some_and(|old| {
            config.watches.iter().enumerate().any(|(index, watch)| {
                matches!(watch.kind, WatchKind::Changed | WatchKind::Modified)
                    && old.existed.get(index) != existed.get(index)
            })
        });
        unit.watches = Some(Watches {
            inotify,
            entries,
            existed,
        });
        changed
    }

    /// Path units that wait for their paths.
    pub(super) fn watching(&self) -> impl Iterator<Item = (&String, &OwnedFd)> {
        self.units.iter().filter_map(|(name, unit)| {
            unit.watches
                .as_ref()
                .map(|watches| (name, &watches.inotify))
        })
    }

    pub(super) fn read_watches(&mut self, name: &str) {
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let Some(Kind::Path(config)) = unit.config().map(|config| config.kind.clone()) else {
            return;
        };
        let Some(watches) = &unit.watches else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&watches.inotify, &mut buffer);
        let mut touched = false;
        while let Ok(event) = reader.next() {
            touched |= watches.entries.iter().any(|(number, index, own)| {
                let wanted = config.watches.get(*index).is_some_and(|watch| {
                    matches!(watch.kind, WatchKind::Changed | WatchKind::Modified)
                        && event.events().bits() & own_flags(watch).bits() != 0
                });
                *number == event.wd()
                    && *own
                    && wanted
                    && !event.events().contains(ReadFlags::IGNORED)
            });
        }
        let phase = unit.phase;
        if phase != Phase::Waiting {
            // As with systemd, what happens while the unit runs starts nothing; being there is looked at when it ends.
            self.watch(name, &config);
            return;
        }
        if touched {
            self.watch(name, &config);
            self.trigger(name, config.trigger_interval, config.trigger_burst);
        } else {
            self.wait_for_path(name, &config);
        }
    }

    // Timers.

    pub(super) fn start_timer(&mut self, name: &str, config: &TimerConfig) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = Outcome::Success;
            unit.triggered_instant = None;
        }
        self.set_phase(name, Phase::Waiting);
        self.arm_timer(name, config, true);
    }

    /// Finds the next moment. A moment that counts from the boot or from the timer's own start comes only once.
    fn arm_timer(&mut self, name: &str, config: &TimerConfig, initial: bool) {
        let target = self
            .triggered(name)
            .and_then(|target| self.units.get(&target));
        let (target_start, target_end) =
            target.map_or((None, None), |unit| (unit.left_down_at, unit.down_at));
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let last = unit.triggered_instant;
        let now = Instant::now();
        let mut moments = Vec::new();
        for (spans, base, once) in [
            (&config.on_active, unit.left_down_at, true),
            (&config.on_boot, Some(self.started), true),
            (&config.on_unit_active, target_start.max(last), false),
            (&config.on_unit_inactive, target_end.max(last), false),
        ] {
            for span in spans {
                let Some(moment) = base.and_then(|base| base.checked_add(*span)) else {
                    continue;
                };
                if initial || !once || moment > now {
                    moments.push(moment);
                }
            }
        }
        let next = moments
            .into_iter()
            .min()
            .map(|moment| moment.max(now) + random(config.random_delay));
        if let Some(unit) = self.units.get_mut(name) {
            unit.next_elapse = next;
        }
        let done = if config.remain_after_elapse {
            Phase::Up
        } else {
            Phase::Dead
        };
        self.set_phase(name, if next.is_some() { Phase::Waiting } else { done });
    }

    pub(super) fn timer_elapsed(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        if unit
            .next_elapse
            .is_none_or(|moment| moment > Instant::now())
        {
            return;
        }
        unit.next_elapse = None;
        self.trigger(name, Duration::ZERO, 0);
    }
}

fn above_flags() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
}

/// What counts as a change of the path itself.
fn own_flags(watch: &PathWatch) -> WatchFlags {
    let changed = above_flags() | WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE;
    if watch.kind == WatchKind::Modified {
        changed | WatchFlags::MODIFY
    } else {
        changed
    }
}

/// A delay of up to `most`.
fn random(most: Duration) -> Duration {
    if most.is_zero() {
        return Duration::ZERO;
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let share = text
        .get(..8)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .unwrap_or(0);
    most.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

fn open_socket(file: &SocketFile, datagrams: bool, config: &SocketConfig) -> io::Result<OwnedFd> {
    let kind = if datagrams {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = |family| rustix::net::socket_with(family, kind, flags, None);
    let socket = match file {
        SocketFile::Unix(path) => {
            let socket = new(AddressFamily::UNIX)?;
            bind_unix(&socket, path, config)?;
            socket
        }
        SocketFile::Abstract(name) => {
            let socket = new(AddressFamily::UNIX)?;
            rustix::net::bind(
                &socket,
                &SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            )?;
            socket
        }
        SocketFile::Internet(address) => {
            let mut address = *address;
            let mut socket = new(family(&address));
            if socket.is_err() && address.ip() == std::net::Ipv6Addr::UNSPECIFIED {
                // A kernel without IPv6: every address is then every IPv4 address.
                address.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
                socket = new(family(&address));
            }
            let socket = socket?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            if config.reuse_port {
                sockopt::set_socket_reuseport(&socket, true)?;
            }
            if let Some(only) = config.ipv6_only.filter(|_| address.is_ipv6()) {
                sockopt::set_ipv6_v6only(&socket, only)?;
            }
            if config.free_bind {
                sockopt::set_ip_freebind(&socket, true)?;
            }
            if config.keep_alive {
                sockopt::set_socket_keepalive(&socket, true)?;
            }
            if config.no_delay && !datagrams {
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
            rustix::net::bind(&socket, &address)?;
            socket
        }
    };
    if !datagrams {
        rustix::net::listen(&socket, config.backlog)?;
    }
    Ok(socket)
}

fn family(address: &std::net::SocketAddr) -> AddressFamily {
    if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    }
}

fn bind_unix(socket: &OwnedFd, path: &str, config: &SocketConfig) -> io::Result<()> {
    let path = Path::new(path);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent)?;
        fs::set_permissions(parent, fs::Permissions::from_mode(config.directory_mode))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Nobody may connect before the mode is set.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    let bound = SocketAddrUnix::new(path).and_then(|address| rustix::net::bind(socket, &address));
    rustix::process::umask(before);
    bound?;
    let refused = |refusal: launch::Refusal| io::Error::other(refusal.reason);
    let user = config
        .user
        .as_deref()
        .map(launch::user_id)
        .transpose()
        .map_err(refused)?;
    let group = config
        .group
        .as_deref()
        .map(launch::group)
        .transpose()
        .map_err(refused)?;
    chown(path, user, group)?;
    fs::set_permissions(path, fs::Permissions::from_mode(config.mode))
}
