//! What a change of a unit's phase means: for its job, and for the units around it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use super::Manager;
use super::jobs::{JobKind, JobResult};
use super::requests::Ticket;
use super::unit::{Active, Outcome, Phase};

impl Manager {
    /// Moves a unit to a phase; settles its job; tells those who depend on it.
    pub(super) fn set_phase(&mut self, name: &str, phase: Phase) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let old = unit.active();
        unit.phase = phase;
        unit.commands_done = 0;
        let new = phase.active();
        if old == new {
            return;
        }
        let now = super::unit::Moment::now();
        let moments = &mut unit.moments;
        moments.change = now;
        if old.is_down() && !new.is_down() {
            moments.inactive_exit = now;
            unit.left_down_at = Some(std::time::Instant::now());
        }
        if !old.is_down() && new.is_down() {
            moments.inactive_enter = now;
            unit.down_at = Some(std::time::Instant::now());
        }
        if !old.is_up() && new.is_up() {
            moments.active_enter = now;
        }
        if old.is_up() && !new.is_up() {
            moments.active_exit = now;
        }
        self.settle_job(name, new);
        self.active_changed(name, old, new);
    }

    pub(super) fn settle_job(&mut self, name: &str, active: Active) {
        let Some(job) = self.jobs.get(name) else {
            return;
        };
        let outcome = self
            .units
            .get(name)
            .map_or(Outcome::Success, |unit| unit.outcome);
        match (job.kind, active) {
            (JobKind::Start, Active::Active | Active::Reloading)
            | (JobKind::Stop, Active::Inactive | Active::Failed) => {
                self.finish_job(name, JobResult::Done);
            }
            (JobKind::Start, Active::Failed) if job.running => {
                self.finish_job(name, JobResult::Failed);
            }
            (JobKind::Start, Active::Inactive) if job.running => {
                let good = matches!(outcome, Outcome::Success | Outcome::ExecCondition);
                self.finish_job(
                    name,
                    if good {
                        JobResult::Done
                    } else {
                        JobResult::Failed
                    },
                );
            }
            (JobKind::Restart, Active::Inactive | Active::Failed) => self.turn_into_start(name),
            (JobKind::Reload, Active::Active) if job.running => {
                let failed = self.units.get(name).is_some_and(|unit| unit.reload_failed);
                self.finish_job(
                    name,
                    if failed {
                        JobResult::Failed
                    } else {
                        JobResult::Done
                    },
                );
            }
            (JobKind::Reload, Active::Inactive | Active::Failed) => {
                self.finish_job(name, JobResult::Failed);
            }
            _ => {}
        }
    }

    pub(super) fn finish_job(&mut self, name: &str, result: JobResult) {
        let Some(job) = self.jobs.remove(name) else {
            return;
        };
        let failed = matches!(result, JobResult::Failed | JobResult::Dependency);
        self.clients.job_done(
            &Ticket {
                unit: name.to_owned(),
                job: job.id,
            },
            job.kind,
            result,
        );
        if job.kind == JobKind::Start && failed {
            // Whoever requires it and waits for it cannot start either.
            for dependent in self.dependents(name, |relations| {
                relations
                    .requires
                    .iter()
                    .chain(&relations.binds_to)
                    .collect()
            }) {
                let waits = self
                    .jobs
                    .get(&dependent)
                    .is_some_and(|job| job.kind == JobKind::Start && !job.running);
                if waits && self.is_ordered(name, &dependent) {
                    self.log(&dependent, &format!("Dependency failed for {dependent}."));
                    self.finish_job(&dependent, JobResult::Dependency);
                }
            }
        }
    }

    /// What a change of one unit means for others.
    pub(super) fn active_changed(&mut self, name: &str, old: Active, new: Active) {
        if new.is_down() && !old.is_down() {
            for bound in self.dependents(name, |relations| relations.binds_to.iter().collect()) {
                let up = self
                    .units
                    .get(&bound)
                    .is_some_and(|unit| unit.active().is_up());
                if up && !self.jobs.contains_key(&bound) {
                    self.log(
                        &bound,
                        &format!("{bound} is bound to {name}, which is gone. Stopping."),
                    );
                    self.enqueue_stop(&bound);
                }
            }
            let restarts = self.units.get(name).is_some_and(|unit| unit.will_restart);
            let relations = self.relations(name);
            let next = match new {
                Active::Failed if !restarts => relations.on_failure,
                Active::Inactive if old.is_up() || old == Active::Deactivating => {
                    relations.on_success
                }
                _ => Vec::new(),
            };
            for other in next {
                if let Err(refused) = self.enqueue_start(&other, &mut Vec::new()) {
                    self.log(name, &format!("{name} triggers {other}: {}", refused.text));
                }
            }
        }
        self.triggered_changed(name, new);
    }
}
