//! Sockets, paths and timers: they wait for something and then start another unit.

use std::time::{Duration, Instant};

use super::Manager;
use super::unit::{Active, Moment, Outcome, Phase, within_limit};
use crate::units::Kind;

impl Manager {
    pub(super) fn triggered(&self, name: &str) -> Option<String> {
        self.units.get(name)?.config()?.triggers(name)
    }

    /// Starts the unit that this one is for.
    pub(super) fn trigger(&mut self, name: &str, interval: Duration, burst: u32) {
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
}
