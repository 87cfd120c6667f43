//! Path units. Contract: systemd.path(5).

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags};

use super::Manager;
use super::unit::{Active, Outcome, Phase};
use crate::units::{Kind, PathConfig, PathWatch, WatchKind, directory_not_empty, glob_matches};

impl Manager {
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
    pub(super) fn wait_for_path(&mut self, name: &str, config: &PathConfig) {
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
    pub(super) fn watch(&mut self, name: &str, config: &PathConfig) -> bool {
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
            // As with systemd, what happens while the unit runs starts nothing, unless it is ending already; whether something
            // is there is looked at when it has ended.
            self.watch(name, &config);
            let target = self.triggered(name).unwrap_or_default();
            let ending = |unit: &super::unit::Unit| unit.active() == Active::Deactivating;
            if touched && self.units.get(&target).is_some_and(ending) {
                let _ = self.enqueue_start(&target, &mut Vec::new());
            }
            return;
        }
        if touched {
            self.watch(name, &config);
            self.trigger(name, config.trigger_interval, config.trigger_burst);
        } else {
            self.wait_for_path(name, &config);
        }
    }
}

/// The watches of a path unit, on an inotify instance of their own.
#[derive(Debug)]
pub(super) struct Watches {
    pub(super) inotify: OwnedFd,
    /// Watch descriptor, index of the setting, and whether it is on the path itself or on a directory above it.
    entries: Vec<(i32, usize, bool)>,
    /// Whether each path existed when it was last looked at.
    existed: Vec<bool>,
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
