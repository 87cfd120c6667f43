//! Actions and juju-exec: enqueue, wait, show.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use juju_sim_model::state::application_of;
use serde_json::{Map, Value, json};

use super::deploy::not_found;
use super::state::{State, Task, TaskKind, TaskStatus};
use super::world::Shared;
use crate::cli::args::{Exec, Format, Run};
use crate::clock;
use crate::link::Client;
use crate::show;

/// A client that waits for longer than this must say so with `--wait`.
const PATIENCE: Duration = Duration::from_mins(10);

fn number(state: &mut State) -> u64 {
    state.model.counters.action += 1;
    u64::from(state.model.counters.action)
}

fn enqueue(state: &mut State, operation: u64, unit: &str, kind: TaskKind) -> u64 {
    let id = number(state);
    let task = Task {
        id,
        operation,
        unit: unit.to_owned(),
        kind,
        status: TaskStatus::Pending,
        message: String::new(),
        results: Map::new(),
        log: Vec::new(),
        enqueued: clock::now(),
        started: 0,
        completed: 0,
    };
    state.tasks.insert(id, task);
    id
}

/// Enqueues a juju-exec command of a process in the machine, and waits for it.
pub(crate) fn exec_from_machine(
    world: &Shared,
    unit: &str,
    commands: String,
    relation: String,
    remote_unit: String,
) -> Option<Task> {
    let mut state = world.state();
    if !state.model.units.contains_key(unit) {
        return None;
    }
    let operation = number(&mut state);
    let id = enqueue(
        &mut state,
        operation,
        unit,
        TaskKind::Exec {
            commands,
            relation,
            remote_unit,
        },
    );
    world.publish(state);
    let mut state = world.state();
    loop {
        match state.tasks.get(&id) {
            None => return None,
            Some(task) if task.status.over() => return state.tasks.remove(&id),
            Some(_) => state = world.wait(state, Duration::from_mins(1)),
        }
    }
}

fn resolve_unit(state: &State, word: &str) -> Result<String> {
    let Some((application, "leader")) = word.split_once('/') else {
        if !state.model.units.contains_key(word) {
            bail!("unit {word:?} not found");
        }
        return Ok(word.to_owned());
    };
    let row = state
        .model
        .applications
        .get(application)
        .with_context(|| not_found(application))?;
    row.leader
        .clone()
        .with_context(|| format!("could not determine leader for {application:?}"))
}

/// `run`.
pub(crate) fn run(world: &Shared, client: &mut Client, from: &Path, given: &Run) -> Result<i32> {
    let units = given
        .words
        .iter()
        .take_while(|word| word.contains('/') && !word.contains('='))
        .count();
    let (targets, rest) = given.words.split_at(units);
    let [action, words @ ..] = rest else {
        bail!("no action specified")
    };
    if targets.is_empty() {
        bail!("no unit specified");
    }
    let mut parameters = match &given.params {
        Some(file) => {
            let text =
                std::fs::read_to_string(from.join(file)).context("cannot read the parameters")?;
            serde_yaml::from_str(&text).context("cannot parse the parameters")?
        }
        None => Map::new(),
    };
    for word in words {
        let (key, text) = word
            .split_once('=')
            .with_context(|| format!("argument {word:?} must be of the form key...=value"))?;
        let value = if given.string_args {
            json!(text)
        } else {
            serde_yaml::from_str(text).unwrap_or_else(|_| json!(text))
        };
        put(&mut parameters, key, value);
    }
    let mut state = world.state();
    let mut plan = Vec::new();
    for target in targets {
        let unit = resolve_unit(&state, target)?;
        let name = application_of(&unit);
        let charm = &state
            .applications
            .get(name)
            .with_context(|| not_found(name))?
            .charm;
        let Some(declared) = charm.actions.get(action) else {
            bail!("action {action:?} not defined on unit {unit:?}");
        };
        match declared.complete(parameters.clone()) {
            Ok(parameters) => plan.push((unit, parameters)),
            Err(fault) => bail!("cannot run {action:?} action: {fault}"),
        }
    }
    let operation = number(&mut state);
    let ids: Vec<u64> = plan
        .into_iter()
        .map(|(unit, parameters)| {
            let kind = TaskKind::Action {
                name: action.clone(),
                parameters,
            };
            enqueue(&mut state, operation, &unit, kind)
        })
        .collect();
    let tasks: Vec<Task> = ids
        .iter()
        .filter_map(|id| state.tasks.get(id).cloned())
        .collect();
    world.publish(state);
    if given.format == Format::Tabular {
        let (n, s) = (tasks.len(), if tasks.len() == 1 { "" } else { "s" });
        let mut text = format!("Running operation {operation} with {n} task{s}\n");
        for task in &tasks {
            let _ = writeln!(
                text,
                "  - task {} on unit-{}",
                task.id,
                task.unit.replace('/', "-")
            );
        }
        writeln!(client.stderr, "{text}").context("cannot answer")?;
    }
    if given.background {
        return Ok(0);
    }
    let tasks = wait(world, client, &ids, given.wait.as_deref())?;
    answer(client, &tasks, given.format)
}

/// Dots in a key descend.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            map.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = map.entry(first).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

fn wait(world: &Shared, client: &Client, ids: &[u64], limit: Option<&str>) -> Result<Vec<Task>> {
    let limit = limit.and_then(clock::duration).unwrap_or(PATIENCE);
    let end = Instant::now() + limit;
    let mut state = world.state();
    loop {
        let tasks: Vec<Task> = ids
            .iter()
            .filter_map(|id| state.tasks.get(id).cloned())
            .collect();
        if tasks.iter().all(|task| task.status.over()) {
            return Ok(tasks);
        }
        if Instant::now() >= end {
            bail!("timed out waiting for results");
        }
        state = world.wait(state, Duration::from_millis(500));
        if client.gone_within(Duration::ZERO) {
            bail!("the client left");
        }
    }
}

fn describe(task: &Task) -> Value {
    let mut value = json!({
        "id": task.id.to_string(),
        "results": task.results,
        "status": task.status.name(),
        "timing": {
            "completed": clock::rfc3339(task.completed),
            "enqueued": clock::rfc3339(task.enqueued),
            "started": clock::rfc3339(task.started),
        },
        "unit": task.unit,
    });
    if !task.message.is_empty() {
        value["message"] = json!(task.message);
    }
    if !task.log.is_empty() {
        value["log"] = json!(task.log);
    }
    value
}

fn answer(client: &mut Client, tasks: &[Task], format: Format) -> Result<i32> {
    let failed: Vec<&Task> = tasks
        .iter()
        .filter(|task| task.status != TaskStatus::Completed)
        .collect();
    let mut text = String::new();
    if format == Format::Tabular {
        for task in tasks {
            if tasks.len() > 1 {
                let _ = writeln!(text, "{}:", task.unit);
            }
            for line in &task.log {
                let _ = writeln!(text, "{line}");
            }
            let mut results = task.results.clone();
            results.remove("return-code");
            if !results.is_empty() {
                text.push_str(&show::formatted(&Value::Object(results), Format::Yaml));
            }
        }
    } else {
        let all: Map<String, Value> = tasks
            .iter()
            .map(|task| (task.unit.clone(), describe(task)))
            .collect();
        text = show::formatted(&Value::Object(all), format);
    }
    client
        .stdout
        .write_all(text.as_bytes())
        .context("cannot answer")?;
    for task in &failed {
        let message = if task.message.is_empty() {
            task.status.name()
        } else {
            &task.message
        };
        writeln!(client.stderr, "Action id {} failed: {message}", task.id)
            .context("cannot answer")?;
    }
    Ok(i32::from(!failed.is_empty()))
}

/// `exec`.
pub(crate) fn exec(world: &Shared, client: &mut Client, given: &Exec) -> Result<i32> {
    let mut state = world.state();
    let mut units = Vec::new();
    for word in &given.unit {
        units.push(resolve_unit(&state, word)?);
    }
    for name in &given.application {
        if !state.model.applications.contains_key(name) {
            bail!("{}", not_found(name));
        }
        units.extend(state.model.units_of(name).into_iter().map(str::to_owned));
    }
    if given.all {
        units.extend(state.model.units.keys().cloned());
    }
    if units.is_empty() {
        bail!("you must specify a target, either through --all, --application or --unit");
    }
    // One word is a command line of its own; several are quoted so that they stay apart.
    let commands = match &given.command[..] {
        [line] => line.clone(),
        words => words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let operation = number(&mut state);
    let ids: Vec<u64> = units
        .iter()
        .map(|unit| {
            let kind = TaskKind::Exec {
                commands: commands.clone(),
                relation: String::new(),
                remote_unit: String::new(),
            };
            enqueue(&mut state, operation, unit, kind)
        })
        .collect();
    world.publish(state);
    let tasks = wait(world, client, &ids, given.wait.as_deref())?;
    if given.format != Format::Tabular {
        return answer(client, &tasks, given.format);
    }
    let mut status = 0;
    for task in &tasks {
        let text = |key: &str| {
            task.results
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let heading = if tasks.len() > 1 {
            format!("{}:\n", task.unit)
        } else {
            String::new()
        };
        write!(client.stdout, "{heading}{}", text("stdout")).context("cannot answer")?;
        write!(client.stderr, "{}", text("stderr")).context("cannot answer")?;
        if !task.message.is_empty() && text("stderr").is_empty() {
            writeln!(client.stderr, "{}", task.message).context("cannot answer")?;
        }
        let code = task.results.get("return-code").and_then(Value::as_i64);
        let code = code.and_then(|code| i32::try_from(code).ok());
        if let Some(code) = code.filter(|code| *code != 0) {
            status = code;
        } else if task.status != TaskStatus::Completed {
            status = 1;
        }
    }
    Ok(status)
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
