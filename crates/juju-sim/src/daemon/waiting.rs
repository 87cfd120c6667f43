//! `wait-for`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::state::{State, TaskStatus};
use super::world::Shared;
use crate::agent;
use crate::cli::args::WaitFor;
use crate::clock;
use crate::link::Client;
use crate::show;

/// Waits for a level, never for an edge: what holds already is found at once.
pub(crate) fn wait_for(world: &Shared, client: &mut Client, given: &WaitFor) -> Result<i32> {
    let limit = clock::duration(&given.timeout)
        .with_context(|| format!("cannot read the timeout {:?}", given.timeout))?;
    let end = Instant::now() + limit;
    let mut state = world.state();
    loop {
        match holds(&state, given)? {
            None => return Ok(0),
            Some(missing) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    drop(state);
                    writeln!(client.stderr, "ERROR timed out: {missing}")
                        .context("cannot answer")?;
                    return Ok(1);
                }
                state = world.wait(state, left.min(Duration::from_secs(1)));
            }
        }
        if client.gone_within(Duration::ZERO) {
            bail!("the client left");
        }
    }
}

/// What is still missing.
fn holds(state: &State, given: &WaitFor) -> Result<Option<String>> {
    if let Some(busy) = given.idle.then(|| busy(state)).flatten() {
        return Ok(Some(busy));
    }
    let Some(name) = given.words.last() else {
        if given.idle {
            return Ok(None);
        }
        bail!("name a unit or an application, or say --idle");
    };
    let units: Vec<&str> = if name.contains('/') {
        vec![name]
    } else {
        state.model.units_of(name)
    };
    let exists = if name.contains('/') {
        state.model.units.contains_key(name)
    } else {
        state.model.applications.contains_key(name)
    };
    if given.gone {
        return Ok(exists.then(|| format!("{name} is still there")));
    }
    if given.status.is_empty() && given.message.is_none() {
        return Ok((!exists).then(|| format!("{name} is not there")));
    }
    if units.is_empty() {
        return Ok(Some(format!("{name} has no units")));
    }
    for unit in units {
        let Some(unit) = state.model.units.get(unit) else {
            return Ok(Some(format!("{unit} is not there")));
        };
        let row = show::status::workload(unit);
        let status = row.status.as_str();
        let right = given.status.is_empty() || given.status.iter().any(|wanted| wanted == status);
        if !right
            || !given
                .message
                .as_ref()
                .is_none_or(|part| matches(part, &row.message))
        {
            return Ok(Some(format!("{} is {status}: {}", unit.name, row.message)));
        }
    }
    Ok(None)
}

/// `.*` stands for anything, `^` and `$` anchor; everything else is taken as it is.
fn matches(pattern: &str, text: &str) -> bool {
    let (start, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (end, pattern) = match pattern.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut rest = text;
    let parts: Vec<&str> = pattern.split(".*").collect();
    for (number, part) in parts.iter().enumerate() {
        let last = number + 1 == parts.len();
        let found = if last && end {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match found {
            Some(at) if number > 0 || !start || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

fn busy(state: &State) -> Option<String> {
    if let Some(task) = state
        .tasks
        .values()
        .find(|task| matches!(task.status, TaskStatus::Pending | TaskStatus::Running))
    {
        return Some(format!(
            "task {} of {} is {}",
            task.id,
            task.unit,
            task.status.name()
        ));
    }
    state.units.keys().find_map(|unit| agent::busy(state, unit))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn messages_are_matched_by_parts() {
        for (pattern, text, found) in [
            ("abc", "xabcx", true),
            ("^abc", "xabc", false),
            ("abc$", "abcx", false),
            ("a.*c", "abbc", true),
            ("^a.*c$", "abcd", false),
            ("^$", "", true),
            ("^$", "x", false),
        ] {
            assert_eq!(matches(pattern, text), found, "{pattern} {text}");
        }
    }
}
