//! Timer units. Contract: systemd.timer(5).

use std::fs;
use std::time::{Duration, Instant};

use super::Manager;
use super::unit::{Outcome, Phase};
use crate::units::TimerConfig;

impl Manager {
    pub(super) fn start_timer(&mut self, name: &str, config: &TimerConfig) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = Outcome::Success;
            unit.triggered_instant = None;
        }
        self.set_phase(name, Phase::Waiting);
        self.arm_timer(name, config, true);
    }

    /// Finds the next moment. A moment that counts from the boot or from the timer's own start comes only once.
    pub(super) fn arm_timer(&mut self, name: &str, config: &TimerConfig, initial: bool) {
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
