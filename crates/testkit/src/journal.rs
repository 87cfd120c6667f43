//! What the workers of a group did, told by their own logs: when each task stopped and ran again,
//! and when each worker was down. The REST API would not do: it shows tasks of a worker that died
//! as RUNNING.

use std::collections::BTreeMap;

/// A moment of the machines' common clock, in milliseconds.
pub type Moment = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    TaskStops(String),
    TaskRuns(String),
    WorkerStops,
    WorkerStarts,
    WorkerServes,
}

/// The events of all units, in order.
#[derive(Debug)]
pub struct Journal {
    events: Vec<(Moment, usize, Event)>,
}

/// Time in which a task did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// How long, in milliseconds.
    pub milliseconds: u64,
    /// It had not ended when it was looked at.
    pub open: bool,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, tenths) = (self.milliseconds / 1000, self.milliseconds % 1000 / 100);
        let more = if self.open { "> " } else { "" };
        write!(f, "{more}{whole}.{tenths} s")
    }
}

impl Journal {
    /// Reads the logs of the units, in the units' order.
    #[must_use]
    pub fn of(logs: &[String]) -> Self {
        let mut events: Vec<(Moment, usize, Event)> = logs
            .iter()
            .enumerate()
            .flat_map(|(unit, log)| log.lines().map(move |line| (unit, line)))
            .filter_map(|(unit, line)| Some((moment(line)?, unit, event(line)?)))
            .collect();
        events.sort_by_key(|(at, ..)| *at);
        Self { events }
    }

    /// How often each worker began to start since then.
    #[must_use]
    pub fn starts(&self, units: usize, since: Moment) -> Vec<usize> {
        let starts = |unit: usize| {
            let of_unit = |event: &&(Moment, usize, Event)| {
                event.0 >= since && event.1 == unit && event.2 == Event::WorkerStarts
            };
            self.events.iter().filter(of_unit).count()
        };
        (0..units).map(starts).collect()
    }

    /// When each worker was down since then: from the begin of its stop (of its start, if it was
    /// killed) until it has started what the group gave it.
    #[must_use]
    pub fn downtimes(&self, since: Moment) -> Vec<(usize, Moment, Moment)> {
        let mut down = BTreeMap::new();
        let mut all = Vec::new();
        for (at, unit, event) in self.events.iter().filter(|(at, ..)| *at >= since) {
            match event {
                Event::WorkerStops => {
                    down.entry(*unit).or_insert((*at, false));
                }
                Event::WorkerStarts => down.entry(*unit).or_insert((*at, true)).1 = true,
                // One that stops may be given a share before it is gone.
                Event::WorkerServes => {
                    if let Some((from, _)) = down.get(unit).filter(|(_, started)| *started) {
                        all.push((*unit, *from, *at));
                        down.remove(unit);
                    }
                }
                Event::TaskStops(_) | Event::TaskRuns(_) => {}
            }
        }
        all.extend(
            down.into_iter()
                .map(|(unit, (from, _))| (unit, from, Moment::MAX)),
        );
        all
    }

    /// Tasks that ran on a unit at that moment.
    #[must_use]
    pub fn tasks_on(&self, unit: usize, at: Moment) -> Vec<String> {
        let mut last = BTreeMap::new();
        for (_, on, event) in self.events.iter().take_while(|(when, ..)| *when <= at) {
            match event {
                Event::TaskRuns(task) => drop(last.insert(task.clone(), Some(*on))),
                Event::TaskStops(task) if last.get(task) == Some(&Some(*on)) => {
                    last.insert(task.clone(), None);
                }
                Event::TaskStops(_)
                | Event::WorkerStops
                | Event::WorkerStarts
                | Event::WorkerServes => {}
            }
        }
        let here = last.into_iter().filter(|(_, on)| *on == Some(unit));
        here.map(|(task, _)| task).collect()
    }

    /// The longest gap of each task between two moments. Those of `lost` stopped at `since` without
    /// a word; a gap that has not ended counts up to `until`.
    #[must_use]
    pub fn gaps(&self, since: Moment, until: Moment, lost: &[String]) -> BTreeMap<String, Gap> {
        let mut open: BTreeMap<String, Moment> =
            lost.iter().map(|task| (task.clone(), since)).collect();
        let mut gaps: BTreeMap<String, Gap> = BTreeMap::new();
        let mut add = |task: &str, milliseconds: u64, open: bool| {
            let gap = Gap { milliseconds, open };
            let longest = gaps.entry(task.to_owned()).or_insert(gap);
            *longest = gap.max(*longest);
        };
        let within = |(at, ..): &&(Moment, usize, Event)| *at >= since && *at <= until;
        for (at, _, event) in self.events.iter().filter(within) {
            match event {
                Event::TaskStops(task) => {
                    open.entry(task.clone()).or_insert(*at);
                }
                Event::TaskRuns(task) => {
                    if let Some(from) = open.remove(task) {
                        add(task, at - from, false);
                    }
                }
                Event::WorkerStops | Event::WorkerStarts | Event::WorkerServes => {}
            }
        }
        for (task, from) in open {
            add(&task, until.saturating_sub(from), true);
        }
        gaps
    }

    /// How many tasks stopped or began to run since then.
    #[must_use]
    pub fn task_events(&self, since: Moment) -> usize {
        let of_tasks = |(at, _, event): &&(Moment, usize, Event)| {
            *at >= since && matches!(event, Event::TaskStops(_) | Event::TaskRuns(_))
        };
        self.events.iter().filter(of_tasks).count()
    }
}

/// The time that begins a line of a log: `[2026-01-02 03:04:05,678] …`. Only differences mean
/// anything.
#[must_use]
pub fn moment(line: &str) -> Option<Moment> {
    let text = line.strip_prefix('[')?.split(']').next()?;
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse::<u64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second, milli) = (next()?, next()?, next()?, next()?);
    // Days of the proleptic Gregorian calendar, counted from a first of March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli)
}

/// The URL of the worker that leads the group, as the log of one of its members told last.
#[must_use]
pub fn leader_url(log: &str) -> Option<&str> {
    let line = log.lines().rfind(|line| line.contains("leaderUrl='"))?;
    line.split("leaderUrl='").nth(1)?.split('\'').next()
}

/// **Contract:** the lines that `Worker`, `WorkerTask`, `Connect` and `DistributedHerder` log, in
/// Kafka 3.9 to 4.3.
fn event(line: &str) -> Option<Event> {
    let word = |after: &str| {
        let rest = line.split_once(after)?.1;
        let end = rest.find([' ', '}', ',']).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    if line.contains("Stopping task ") {
        return Some(Event::TaskStops(word("Stopping task ")?));
    }
    if line.contains("task finished initialization and start") {
        return Some(Event::TaskRuns(word("Task{id=")?));
    }
    if line.contains("Kafka Connect stopping") {
        return Some(Event::WorkerStops);
    }
    if line.contains("Kafka Connect worker initializing") {
        return Some(Event::WorkerStarts);
    }
    line.contains("Finished starting connectors and tasks")
        .then_some(Event::WorkerServes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (Journal, Moment) {
        let first = "\
[2026-02-28 23:59:58,000] INFO Kafka Connect worker initializing ... (x:1)
[2026-02-28 23:59:58,500] INFO Finished starting connectors and tasks (x:1)
[2026-02-28 23:59:59,000] INFO [s|task-0] WorkerSinkTask{id=s-0} Sink task finished initialization and start (x:1)
[2026-02-28 23:59:59,100] INFO [s|task-1] WorkerSinkTask{id=s-1} Sink task finished initialization and start (x:1)
[2026-02-28 23:59:59,900] INFO Kafka Connect stopping (x:1)
[2026-02-28 23:59:59,950] INFO [s|task-0] Stopping task s-0 (x:1)
[2026-03-01 00:00:09,000] INFO Kafka Connect worker initializing ... (x:1)
[2026-03-01 00:00:11,000] INFO Finished starting connectors and tasks (x:1)
";
        let second = "\
[2026-03-01 00:00:01,200] INFO [s|task-0] WorkerSourceTask{id=s-0} Source task finished initialization and start (x:1)
[2026-03-01 00:00:10,999] INFO Kafka Connect stopping (x:1)
[2026-03-01 00:00:11,300] INFO [Worker clientId=connect-1, groupId=g] Finished starting connectors and tasks (x:1)
";
        let journal = Journal::of(&[first.to_owned(), second.to_owned()]);
        let since = moment("[2026-02-28 23:59:59,900]").unwrap();
        (journal, since)
    }

    #[test]
    fn gaps_go_from_stop_or_loss_to_start_over_all_units_and_days() {
        let (journal, since) = journal();
        assert_eq!(journal.tasks_on(0, since), ["s-0", "s-1"]);
        assert_eq!(journal.tasks_on(1, since), [""; 0]);
        let gaps = journal.gaps(since, since + 5_000, &["s-1".to_owned()]);
        let shown: Vec<String> = gaps
            .iter()
            .map(|(task, gap)| format!("{task} {gap}"))
            .collect();
        assert_eq!(shown, ["s-0 1.2 s", "s-1 > 5.0 s"]);
        assert_eq!(journal.task_events(since), 2);
    }

    #[test]
    fn a_worker_is_down_from_its_stop_until_it_has_started_its_share_anew() {
        let (journal, since) = journal();
        assert_eq!(journal.starts(2, since), [1, 0]);
        let second = since + 11_099;
        let expected = [(0, since, since + 11_100), (1, second, Moment::MAX)];
        assert_eq!(journal.downtimes(since), expected, "the two overlap");
    }
}
