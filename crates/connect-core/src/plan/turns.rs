//! The leader's part in taking turns: whose turn it is, and when it is over.
//!
//! **Flow.** No turn is granted while a unit is unwell, so no two workers are down at once. What
//! runs in the whole group is noted in the turn. It is over when its units have restarted and are
//! healthy, when as many tasks as before run on workers that are alive, and when the group has not
//! rebalanced for two heartbeats after that, or for long enough has done nothing else: clients
//! rebalance it, too. The worker that leads the group comes last: its restart costs the others an
//! election.
//!
//! **Guarantees.** A turn that cannot be over stops the roll, and the finding says where and why. A
//! unit that is gone closes its turn; so does one that cannot be reached for `unit-timeout`, and one
//! that the operator passes over. **Assumptions.** The status of a task on a worker that died says
//! RUNNING for minutes, hence the look at the worker; a task that had failed before, was deleted or
//! paused is not waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::rolling::{PLUGINS, for_plugins};
use super::trial;
use super::watch::{Watch, units};
use crate::limits;
use crate::model::Model;
use crate::model::peer::{Calm, Peers, Turn, UnitData, unit_number};
use crate::observation::Connector;
use crate::status::{Finding, Id};

/// What the leader announces about turns.
#[derive(Debug, Default)]
pub struct Turns {
    /// `turn`.
    pub turn: Option<Turn>,
    /// `wanted-since`.
    pub wanted_since: Option<u64>,
    /// When to look again, in seconds.
    pub wake_after_s: Option<u64>,
    /// How the roll stands.
    pub finding: Option<Finding>,
}

/// What keeps a turn from being over, or the next one from being granted.
#[derive(Debug, PartialEq, Eq)]
struct Hold {
    unit: String,
    cause: String,
    /// It may well pass by itself.
    passing: bool,
    wake_after_s: Option<u64>,
}

struct Leader<'a> {
    model: &'a Model<'a>,
    peers: &'a Peers,
    units: BTreeMap<u32, &'a UnitData>,
    watch: &'a Watch,
    /// The reason of a restart for the plugins that are wanted here, if workers have shown that they
    /// run with them.
    shown: Option<String>,
}

/// The turn that the leader should announce: the open one, or the next.
#[must_use]
pub fn lead(
    model: &Model<'_>,
    peers: &Peers,
    now: &UnitData,
    watch: &Watch,
    wanted: &BTreeSet<String>,
) -> Turns {
    let mut proven = trial::proven(peers);
    proven.extend(now.loaded.iter().cloned());
    let leader = Leader {
        model,
        peers,
        units: units(model, peers, now),
        watch,
        shown: wanted.is_subset(&proven).then(|| for_plugins(wanted)),
    };
    let mut turn = peers.application.turn.clone();
    if let Some(open) = turn.as_mut().filter(|turn| !turn.closed) {
        leader.join(open);
        if let Some(hold) = leader.holds(open) {
            let follow = |unit: &&u32| !open.units.contains(&leader.name(**unit));
            let left = leader.wanting().iter().filter(follow).count();
            return Turns {
                turn,
                wanted_since: peers.application.wanted_since,
                wake_after_s: hold.wake_after_s,
                finding: Some(hold.finding(left)),
            };
        }
        open.closed = true;
        open.tasks.clear();
        open.calm = None;
        open.back_since = None;
    }
    leader.next(turn)
}

impl Leader<'_> {
    fn name(&self, number: u32) -> String {
        format!("{}/{number}", self.model.seen.identity.application)
    }

    fn is_at(&self, number: u32, address: IpAddr) -> bool {
        self.units[&number].addresses().any(|own| own == address)
    }

    fn connectors(&self) -> Option<&BTreeMap<String, Connector>> {
        let worker = self.model.seen.worker.known();
        worker
            .filter(|worker| worker.healthy)
            .and_then(|worker| worker.connectors.as_ref())
    }

    /// Units that want a turn, in the order in which they get it.
    fn wanting(&self) -> Vec<u32> {
        let mut wanting: Vec<u32> = self
            .units
            .iter()
            .filter(|(number, unit)| {
                unit.wants_turn.is_some()
                    && !self.watch.passed.contains(number)
                    && !self.watch.lost.contains(number)
            })
            .map(|(number, _)| *number)
            .collect();
        let group = self.model.seen.host.group.as_ref();
        let group_leader = group.and_then(|group| host(&group.leader));
        let leads = |number: &u32| group_leader.is_some_and(|leader| self.is_at(*number, leader));
        let ours = self.model.seen.identity.unit_number;
        wanting.sort_by_key(|number| (leads(number), *number == ours, *number));
        wanting
    }

    /// Whether the one that should come last is alone in wanting a turn, so that others may still
    /// come before it; for how long they may.
    fn gathers(&self, wanting: &[u32], since: u64) -> Option<u64> {
        let [only] = wanting else { return None };
        let group = self.model.seen.host.group.as_ref();
        let last = match group.and_then(|group| host(&group.leader)) {
            Some(leader) => self.is_at(*only, leader),
            None => *only == self.model.seen.identity.unit_number,
        };
        let end = since.saturating_add(limits::GATHER_S);
        let now = self.model.seen.now;
        (last && self.units.len() > 1 && now >= since && now < end).then(|| end - now)
    }

    /// A turn that loses nothing may be joined.
    fn join(&self, turn: &mut Turn) {
        if !turn.joinable {
            return;
        }
        for number in self.wanting() {
            let name = self.name(number);
            let same = self.units[&number].wants_turn.as_deref() == Some(turn.reason.as_str());
            if same && !turn.units.contains(&name) {
                turn.units.push(name);
            }
        }
    }

    /// Why the turn is not over; notes in it that the group has come to rest.
    fn holds(&self, turn: &mut Turn) -> Option<Hold> {
        for name in &turn.units {
            let Some(number) = unit_number(name) else {
                continue;
            };
            let Some(unit) = self.units.get(&number) else {
                continue;
            };
            let unreachable = self.watch.unreachable.contains(&number);
            let lost = unreachable && self.watch.lost.contains(&number);
            if lost || self.watch.passed.contains(&number) {
                continue;
            }
            let done = unit.turn_done == Some(turn.number);
            if unreachable {
                return Some(Hold::stopped(name, "does not answer"));
            }
            if !unit.healthy {
                return Some(match &unit.cause {
                    Some(cause) => Hold::stopped(name, cause),
                    None => Hold::passing(name, "its worker is starting"),
                });
            }
            if !done {
                return Some(Hold::passing(name, "its worker is to restart"));
            }
        }
        if turn.tasks.is_empty() {
            return None;
        }
        let name = turn.units.join(", ");
        self.idle_tasks(turn, &name)
            .or_else(|| self.unrest(turn, &name))
    }

    /// Tasks that ran before the turn and do not run now.
    fn idle_tasks(&self, turn: &mut Turn, unit: &str) -> Option<Hold> {
        let soon = |hold: Hold| Hold {
            wake_after_s: Some(limits::LOOK_AT_TASKS_S),
            ..hold
        };
        let Some(connectors) = self.connectors() else {
            turn.calm = None;
            return Some(soon(Hold::passing(unit, "tasks cannot be listed now")));
        };
        let mut missing = 0;
        let mut failed = None;
        for (name, before) in &turn.tasks {
            // Deleted, paused or made smaller meanwhile: not the restart's doing.
            let Some(connector) = connectors.get(name) else {
                continue;
            };
            if matches!(connector.state.as_str(), "PAUSED" | "STOPPED") {
                continue;
            }
            let all = u32::try_from(connector.tasks.len()).unwrap_or(u32::MAX);
            let idle = (*before).min(all).saturating_sub(self.running(connector));
            missing += idle;
            let has_failed = |task: &crate::observation::Task| task.state == "FAILED";
            if idle > 0 && connector.tasks.values().any(has_failed) {
                failed = failed.or(Some((name, connector.trace.as_deref())));
            }
        }
        if missing == 0 {
            return None;
        }
        turn.calm = None;
        let all: u32 = turn.tasks.values().sum();
        Some(soon(match failed {
            Some((name, trace)) => {
                let trace = trace.unwrap_or("no cause given");
                Hold::stopped(unit, &format!("a task of {name} failed: {trace}"))
            }
            None => Hold::passing(unit, &format!("{missing} of {all} tasks do not run yet")),
        }))
    }

    /// A rebalance that was a moment ago, or whose tasks still wait.
    fn unrest(&self, turn: &mut Turn, unit: &str) -> Option<Hold> {
        let group = self.model.seen.host.group.clone().unwrap_or_default();
        let now = self.model.seen.now;
        let rest_s = (self.model.config.heartbeat_interval_ms * 2)
            .div_ceil(1000)
            .saturating_add(1);
        let calm = turn
            .calm
            .take()
            .filter(|calm| calm.generation == group.generation && calm.since <= now)
            .unwrap_or(Calm {
                generation: group.generation,
                since: now,
            });
        let back_since = turn.back_since.filter(|since| *since <= now).unwrap_or(now);
        let over = |since: u64, wait_s: u64| since.saturating_add(wait_s) <= now;
        let rested = over(calm.since, rest_s)
            || over(back_since, rest_s.saturating_mul(limits::UNREST_RESTS));
        turn.calm = Some(calm);
        turn.back_since = Some(back_since);
        // Tasks that wait for the end of the group's delay are yet to come.
        (!rested || group.delay_ms != 0).then(|| Hold {
            wake_after_s: Some(rest_s),
            ..Hold::passing(unit, "the group is coming to rest")
        })
    }

    fn running(&self, connector: &Connector) -> u32 {
        let alive: BTreeSet<IpAddr> = self
            .units
            .iter()
            .filter(|(number, _)| !self.watch.unwell.contains(number))
            .flat_map(|(_, unit)| unit.addresses())
            .collect();
        let running = connector.tasks.values().filter(|task| {
            let worker = task
                .worker
                .rsplit_once(':')
                .and_then(|(text, _)| host(text));
            // An address that is none of ours to judge is believed.
            task.state == "RUNNING" && worker.is_none_or(|worker| alive.contains(&worker))
        });
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    }

    /// The next turn, if somebody wants one and nothing speaks against it.
    fn next(&self, last: Option<Turn>) -> Turns {
        let wanting = self.wanting();
        let Some(first) = wanting.first().copied() else {
            return Turns {
                turn: last,
                ..Turns::default()
            };
        };
        let now = self.model.seen.now;
        let since = self.peers.application.wanted_since.unwrap_or(now);
        let held = |hold: Hold, last| Turns {
            wanted_since: Some(since),
            wake_after_s: hold.wake_after_s,
            finding: Some(hold.finding(wanting.len())),
            turn: last,
        };
        let Some(connectors) = self.connectors() else {
            let ours = self.name(self.model.seen.identity.unit_number);
            let hold = Hold {
                wake_after_s: Some(limits::LOOK_AT_TASKS_S),
                ..Hold::passing(&ours, "tasks cannot be listed now")
            };
            return held(hold, last);
        };
        let reason = |number: &u32| self.units[number].wants_turn.clone().unwrap_or_default();
        let number = last
            .as_ref()
            .map_or(0, |turn| turn.number)
            .saturating_add(1);
        if connectors.is_empty() && wanting.iter().all(|unit| reason(unit).starts_with(PLUGINS)) {
            // Nothing is lost if workers restart together, once one of them has shown that it can.
            let shown = |unit: &u32| {
                let reasons = self.shown.iter();
                let mut reasons = reasons.chain(last.iter().map(|turn| &turn.reason));
                reasons.any(|shown| *shown == reason(unit))
            };
            let together: Vec<u32> = wanting.iter().copied().filter(shown).collect();
            if !together.is_empty() {
                return Turns {
                    turn: Some(Turn {
                        number,
                        units: together.iter().map(|unit| self.name(*unit)).collect(),
                        joinable: true,
                        reason: reason(&together[0]),
                        ..Turn::default()
                    }),
                    ..Turns::default()
                };
            }
        }
        let in_the_way = self
            .watch
            .unwell
            .iter()
            .find(|unit| !self.watch.lost.contains(unit) && !self.watch.passed.contains(unit));
        if let Some(unit) = in_the_way {
            let name = self.name(*unit);
            let hold = if self.watch.unreachable.contains(unit) {
                Hold::stopped(&name, "does not answer")
            } else {
                match &self.units[unit].cause {
                    Some(cause) => Hold::stopped(&name, cause),
                    None => Hold::passing(&name, "its worker is starting"),
                }
            };
            return held(hold, last);
        }
        if let Some(wake_after_s) = self.gathers(&wanting, since) {
            return Turns {
                turn: last,
                wanted_since: Some(since),
                wake_after_s: Some(wake_after_s),
                finding: None,
            };
        }
        Turns {
            wanted_since: Some(since),
            turn: Some(Turn {
                number,
                units: vec![self.name(first)],
                reason: reason(&first),
                tasks: connectors
                    .iter()
                    .map(|(name, connector)| (name.clone(), self.running(connector)))
                    .filter(|(_, running)| *running > 0)
                    .collect(),
                ..Turn::default()
            }),
            ..Turns::default()
        }
    }
}

impl Hold {
    fn passing(unit: &str, cause: &str) -> Self {
        Self {
            unit: unit.to_owned(),
            cause: cause.to_owned(),
            passing: true,
            wake_after_s: None,
        }
    }

    fn stopped(unit: &str, cause: &str) -> Self {
        Self {
            passing: false,
            ..Self::passing(unit, cause)
        }
    }

    fn finding(&self, left: usize) -> Finding {
        let left = left.to_string();
        let id = if self.passing {
            Id::Rolling
        } else {
            Id::RollStopped
        };
        Finding::new(
            id,
            [
                ("unit", self.unit.as_str()),
                ("cause", self.cause.as_str()),
                ("left", left.as_str()),
            ],
        )
    }
}

/// The address in the host part of a URL or of a worker's id.
fn host(text: &str) -> Option<IpAddr> {
    text.trim_matches(['[', ']']).parse().ok()
}
