//! Jobs: what was asked of units and is not done yet, in the order that their relations demand.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function is about a few of the many phases; naming the others would hide those"
)]

use super::requests::Ticket;
use super::unit::{Active, Load, Outcome, Phase};
use super::{Manager, SPECIAL_TARGETS};
use crate::units::{Condition, Kind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobKind {
    Start,
    Stop,
    /// Stop, then start.
    Restart,
    Reload,
}

/// One unit has at most one job; a new one of another kind replaces it.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) kind: JobKind,
    pub(super) running: bool,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobResult {
    Done,
    Failed,
    Dependency,
    Canceled,
}

/// Why a job cannot even be queued: text and exit code of `systemctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Manager {
    pub(super) fn loadable(&mut self, name: &str) -> Result<(), Refused> {
        if SPECIAL_TARGETS.contains(&name) {
            return Ok(());
        }
        match &self.ensure(name).load {
            Load::Loaded { .. } => Ok(()),
            Load::Absent => Err(Refused {
                code: 5,
                text: format!("Unit {name} not found."),
            }),
            Load::Masked(_) => Err(Refused {
                code: 1,
                text: format!("Unit {name} is masked."),
            }),
            Load::Bad { reason, .. } => Err(Refused {
                code: 1,
                text: format!("Unit {name} has a bad unit file setting.\n{reason}"),
            }),
        }
    }

    /// Queues the start of a unit and of what it needs; returns the job's ticket, none when there is nothing to do.
    pub(super) fn enqueue_start(
        &mut self,
        name: &str,
        seen: &mut Vec<String>,
    ) -> Result<Option<Ticket>, Refused> {
        let name = &self.loader.canonical(name);
        if seen.contains(name) {
            return Ok(None);
        }
        seen.push(name.clone());
        if self.shutdown.is_some() {
            return Err(Refused {
                code: 1,
                text: "the machine is going down".into(),
            });
        }
        self.loadable(name)?;
        if SPECIAL_TARGETS.contains(&name.as_str()) {
            return Ok(None);
        }
        let relations = self.relations(name);
        for needed in relations.requires.iter().chain(&relations.binds_to) {
            self.enqueue_start(needed, seen)?;
        }
        for needed in &relations.requisite {
            if !self.ensure(needed).active().is_up() {
                let text = format!("Unit {needed} is not active, which {name} requires.");
                return Err(Refused { code: 1, text });
            }
        }
        for wanted in &relations.wants {
            // What is not there is not missed; so it is in systemd.
            if let Err(refused) = self.enqueue_start(wanted, seen)
                && refused.code != 5
            {
                self.log(name, &format!("{name} wants {wanted}: {}", refused.text));
            }
        }
        let opponents: Vec<String> = relations
            .conflicts
            .iter()
            .cloned()
            .chain(self.dependents(name, |relations| relations.conflicts.iter().collect()))
            .collect();
        for opponent in opponents {
            if self
                .units
                .get(&opponent)
                .is_some_and(|unit| !unit.active().is_down())
            {
                self.enqueue_stop(&opponent);
            }
        }
        Ok(self.add_job(name, JobKind::Start))
    }

    /// Queues the stop of a unit and of what cannot be without it.
    pub(super) fn enqueue_stop(&mut self, name: &str) -> Option<Ticket> {
        let mut names = vec![name.to_owned()];
        let mut index = 0;
        while let Some(current) = names.get(index).cloned() {
            index += 1;
            for dependent in self.dependents(&current, |relations| {
                relations
                    .requires
                    .iter()
                    .chain(&relations.requisite)
                    .chain(&relations.binds_to)
                    .chain(&relations.part_of)
                    .collect()
            }) {
                let up = self
                    .units
                    .get(&dependent)
                    .is_some_and(|unit| !unit.active().is_down());
                if up && !names.contains(&dependent) {
                    names.push(dependent);
                }
            }
        }
        let mut ticket = None;
        for (index, name) in names.iter().enumerate() {
            let added = self.add_job(name, JobKind::Stop);
            if index == 0 {
                ticket = added;
            }
        }
        ticket
    }

    /// Queues a restart; active units that depend on this one, or are part of it, restart with it.
    pub(super) fn enqueue_restart(&mut self, name: &str) -> Result<Option<Ticket>, Refused> {
        let mut dependents = self.dependents(name, |relations| {
            relations
                .requires
                .iter()
                .chain(&relations.binds_to)
                .chain(&relations.part_of)
                .collect()
        });
        dependents.retain(|other| {
            self.units
                .get(other)
                .is_some_and(|unit| unit.active().is_up())
        });
        // Queues what the unit needs; its own job becomes a restart.
        self.enqueue_start(name, &mut Vec::new())?;
        for dependent in dependents {
            self.add_job(&dependent, JobKind::Restart);
        }
        Ok(self.add_job(&self.loader.canonical(name), JobKind::Restart))
    }

    pub(super) fn add_job(&mut self, name: &str, kind: JobKind) -> Option<Ticket> {
        let active = self.ensure(name).active();
        let auto_restart = self.ensure(name).phase == Phase::AutoRestart;
        let idle = match kind {
            JobKind::Start => active.is_up(),
            JobKind::Stop => active.is_down(),
            JobKind::Restart | JobKind::Reload => false,
        };
        if let Some(job) = self.jobs.get(name) {
            let same = job.kind == kind || (job.kind == JobKind::Restart && kind == JobKind::Start);
            if same {
                return Some(Ticket {
                    unit: name.to_owned(),
                    job: job.id,
                });
            }
            // What runs under the old job goes on; its end settles the new one.
            self.finish_job(name, JobResult::Canceled);
        }
        if idle {
            return None;
        }
        if auto_restart && kind == JobKind::Start {
            self.ensure(name).restarts = 0;
        }
        self.last_job += 1;
        let id = self.last_job;
        self.jobs.insert(
            name.to_owned(),
            Job {
                id,
                kind,
                running: false,
            },
        );
        Some(Ticket {
            unit: name.to_owned(),
            job: id,
        })
    }

    /// Runs every job whose turn has come, until none moves. When all wait for each other, the order is broken, as systemd does.
    pub(super) fn run_jobs(&mut self) {
        loop {
            let waiting: Vec<(String, JobKind)> = self
                .jobs
                .iter()
                .filter(|(_, job)| !job.running)
                .map(|(name, job)| (name.clone(), job.kind))
                .collect();
            if waiting.is_empty() {
                return;
            }
            let next = waiting
                .iter()
                .find(|(name, kind)| self.may_run(name, *kind))
                .cloned();
            let any_runs = self.jobs.values().any(|job| job.running);
            let Some((name, kind)) = next.or_else(|| {
                let stuck = waiting.first().filter(|_| !any_runs).cloned();
                stuck.filter(|(name, kind)| {
                    // Only an ordering cycle is broken; a unit that is still going down is waited for.
                    *kind != JobKind::Start || self.is_settled(name)
                })
            }) else {
                return;
            };
            self.run_job(&name, kind);
        }
    }

    pub(super) fn run_job(&mut self, name: &str, kind: JobKind) {
        if let Some(job) = self.jobs.get_mut(name) {
            job.running = true;
        }
        match kind {
            JobKind::Start => self.run_start(name),
            JobKind::Stop => self.run_stop(name),
            JobKind::Restart => {
                if self
                    .units
                    .get(name)
                    .is_none_or(|unit| unit.active().is_down())
                {
                    self.turn_into_start(name);
                } else {
                    self.run_stop(name);
                }
            }
            JobKind::Reload => self.run_reload(name),
        }
    }

    pub(super) fn turn_into_start(&mut self, name: &str) {
        if let Some(job) = self.jobs.get_mut(name) {
            job.kind = JobKind::Start;
            job.running = false;
        }
    }

    pub(super) fn run_start(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        match unit.phase {
            phase if phase.active().is_up() => return self.finish_job(name, JobResult::Done),
            Phase::Dead | Phase::Failed | Phase::AutoRestart => {}
            // Under way already; its next change of phase settles the job.
            _ => return,
        }
        if unit.phase != Phase::AutoRestart {
            unit.restarts = 0;
        }
        if let Some(Load::Loaded { .. }) = &unit.reload_problem {
            unit.reload_problem = None;
        }
        if let Some(load) = unit.reload_problem.take() {
            // It was refused while the unit ran, and is refused now.
            unit.load = load;
            return self.finish_job(name, JobResult::Failed);
        }
        let Some(config) = unit.config() else {
            return self.finish_job(name, JobResult::Failed);
        };
        let conditions = config.conditions.clone();
        let kind = config.kind.clone();
        let (interval, burst) = (config.start_interval, config.start_burst);
        let holds = |assertion| {
            Condition::all_hold(
                conditions
                    .iter()
                    .filter(|condition| condition.assertion == assertion),
            )
        };
        if !holds(false) {
            unit.condition_met = false;
            unit.phase = Phase::Dead;
            self.log(
                name,
                &format!("{name} was skipped because of an unmet condition check."),
            );
            return self.finish_job(name, JobResult::Done);
        }
        if !holds(true) {
            self.log(name, &format!("Starting {name}: an assertion failed."));
            return self.finish_job(name, JobResult::Failed);
        }
        let requires = self.relations(name);
        let missing = requires
            .requires
            .iter()
            .chain(&requires.binds_to)
            .find(|needed| {
                let ordered = self.is_ordered(needed, name);
                let up = self
                    .units
                    .get(*needed)
                    .is_some_and(|unit| unit.active().is_up());
                ordered && !up && !self.jobs.contains_key(*needed) && !self.was_oneshot(needed)
            });
        if let Some(missing) = missing {
            self.log(
                name,
                &format!("Dependency failed for {name}: {missing} is not active."),
            );
            return self.finish_job(name, JobResult::Dependency);
        }
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.condition_met = true;
        unit.stop_wanted = false;
        if !super::unit::within_limit(&mut unit.starts, interval, burst) {
            self.log(
                name,
                &format!("{name}: Start request repeated too quickly."),
            );
            self.fail(name, Outcome::StartLimitHit);
            return;
        }
        match kind {
            Kind::Service(_) => self.start_service(name),
            Kind::Socket(socket) => self.start_socket(name, &socket),
            Kind::Path(path) => self.start_path(name, &path),
            Kind::Timer(timer) => self.start_timer(name, &timer),
            Kind::Target => self.set_phase(name, Phase::Up),
        }
    }

    /// A oneshot that has succeeded is inactive again, and satisfies who requires it.
    pub(super) fn was_oneshot(&self, name: &str) -> bool {
        self.units.get(name).is_some_and(|unit| {
            unit.phase == Phase::Dead
                && unit.outcome == Outcome::Success
                && unit.moments.active_enter != super::unit::Moment::default()
        }) || self.units.get(name).is_some_and(|unit| {
            unit.phase == Phase::Dead
                && unit.outcome == Outcome::Success
                && unit
                    .config()
                    .and_then(|config| config.service())
                    .is_some_and(|service| service.kind == crate::units::ServiceType::Oneshot)
        })
    }

    pub(super) fn run_stop(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.stop_wanted = true;
        if unit.active().is_down() {
            return self.finish_job(name, JobResult::Done);
        }
        match unit.config().map(|config| config.kind.clone()) {
            Some(Kind::Service(_)) => self.stop_service(name),
            Some(Kind::Socket(socket)) => self.stop_socket(name, &socket),
            Some(Kind::Path(_)) => self.stop_path(name),
            Some(Kind::Timer(_) | Kind::Target) | None => {
                unit.next_elapse = None;
                self.set_phase(name, Phase::Dead);
            }
        }
    }

    pub(super) fn run_reload(&mut self, name: &str) {
        match self.units.get(name).map(|unit| unit.phase) {
            Some(Phase::Running | Phase::Exited) => self.reload_service(name),
            Some(phase) if phase.active() == Active::Reloading => {}
            Some(_) | None => self.finish_job(name, JobResult::Failed),
        }
    }
}
