//! Options that a worker reads at its start, and the values that it does not bear.
//!
//! Each unit remembers in the peer relation the values that its worker ran with last. When it exits
//! with new ones, the unit says so, and every unit plans with the last good values until the
//! operator changes the options again: so bad values reach one worker only. Juju stays the only
//! memory; nothing depends on files that were kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::peer::{Peers, UnitData};
use crate::fingerprint;
use crate::observation::ConfigValue;

/// The options, each with the worker property or the words that a worker would name it by.
const START: [(&str, &str); 12] = [
    ("group-id", "group.id"),
    ("config-topic", "config.storage.topic"),
    ("offset-topic", "offset.storage.topic"),
    ("status-topic", "status.storage.topic"),
    ("worker-config", ""),
    ("log-level", ""),
    ("profile", ""),
    ("kafka-version", ""),
    ("heap-mib", "heap"),
    ("session-timeout-ms", "session.timeout.ms"),
    ("heartbeat-interval-ms", "heartbeat.interval.ms"),
    ("rebalance-delay-ms", "scheduled.rebalance.max.delay.ms"),
];

/// Values of those options; one that is absent has none.
pub type Values = BTreeMap<String, Value>;

/// What a worker ran with and was healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// Options.
    pub options: Values,
    /// Digests of its plugins.
    pub plugins: BTreeSet<String>,
}

/// Values with which a worker exits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Their fingerprint.
    pub fingerprint: String,
    /// The options that are to blame, as far as can be told.
    pub options: String,
    /// Why, from the worker's log.
    pub cause: String,
}

/// Values that are not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The other unit that tried them; none if it was ours.
    pub by: Option<u32>,
    /// The values.
    pub rejected: Rejected,
}

/// The values of the options that a worker reads at its start.
#[must_use]
pub fn of(config: &BTreeMap<String, ConfigValue>) -> Values {
    START
        .iter()
        .filter_map(|(name, _)| Some(((*name).to_owned(), json(config.get(*name)?))))
        .collect()
}

/// Their fingerprint.
#[must_use]
pub fn fingerprint(values: &Values) -> String {
    let lines: Vec<String> = values
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    fingerprint::short(lines.join("\n").as_bytes())
}

/// The options to plan with: those of the model, or, where a worker does not bear them, with the
/// last good values of what it reads at its start.
#[must_use]
pub fn effective(
    config: &BTreeMap<String, ConfigValue>,
    peers: Option<&Peers>,
) -> (BTreeMap<String, ConfigValue>, Option<Rejection>) {
    let current = of(config);
    let found = peers.and_then(|peers| {
        let fingerprint = fingerprint(&current);
        let rejection = units(peers).find_map(|(number, unit)| {
            let rejected = unit.rejected.as_ref()?;
            (rejected.fingerprint == fingerprint).then(|| Rejection {
                by: number,
                rejected: rejected.clone(),
            })
        })?;
        let good = units(peers).find_map(|(_, unit)| {
            let good = unit.good.as_ref()?;
            (self::fingerprint(&good.options) != fingerprint).then_some(&good.options)
        })?;
        Some((rejection, good))
    });
    let Some((rejection, good)) = found else {
        return (config.clone(), None);
    };
    let mut mixed = config.clone();
    for (name, _) in START {
        match good.get(name).and_then(raw) {
            Some(value) => mixed.insert(name.to_owned(), value),
            None => mixed.remove(name),
        };
    }
    (mixed, Some(rejection))
}

/// Whether a worker of ours ran well with these values, and if none did, what one did run well with.
#[must_use]
pub fn proof<'a>(values: &Values, peers: &'a Peers) -> (bool, Option<&'a Values>) {
    let good = || units(peers).filter_map(|(_, unit)| Some(&unit.good.as_ref()?.options));
    (
        good().any(|good| good == values),
        good().find(|good| *good != values),
    )
}

/// Names the options that changed and may be to blame for `cause`.
#[must_use]
pub fn blame(good: &Values, values: &Values, cause: &str) -> String {
    let changed: Vec<(&str, &str)> = START
        .iter()
        .copied()
        .filter(|(name, _)| good.get(*name) != values.get(*name))
        .collect();
    let named: Vec<String> = changed
        .iter()
        .filter_map(|(option, word)| {
            if *option == "worker-config" {
                let keys = changed_keys(good.get(*option), values.get(*option));
                let key = keys.into_iter().find(|key| cause.contains(key.as_str()))?;
                return Some(format!("{option} ({key})"));
            }
            (!word.is_empty() && cause.contains(word)).then(|| (*option).to_owned())
        })
        .collect();
    if named.is_empty() {
        let changed: Vec<&str> = changed.iter().map(|(option, _)| *option).collect();
        return changed.join(", ");
    }
    named.join(", ")
}

fn changed_keys(before: Option<&Value>, after: Option<&Value>) -> BTreeSet<String> {
    let pairs = |value: Option<&Value>| -> BTreeSet<(String, String)> {
        let lines = value.and_then(Value::as_str).unwrap_or_default().lines();
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .filter(|(key, _)| !key.is_empty())
            .collect()
    };
    let (before, after) = (pairs(before), pairs(after));
    before
        .symmetric_difference(&after)
        .map(|(key, _)| key.clone())
        .collect()
}

/// Our own unit first.
fn units(peers: &Peers) -> impl Iterator<Item = (Option<u32>, &UnitData)> {
    let others = peers.others.iter().filter(|(_, unit)| !unit.leaving);
    std::iter::once((None, &peers.ours)).chain(others.map(|(number, unit)| (Some(*number), unit)))
}

fn json(value: &ConfigValue) -> Value {
    match value {
        ConfigValue::Text(text) => Value::from(text.as_str()),
        ConfigValue::Integer(number) => Value::from(*number),
        ConfigValue::Boolean(value) => Value::from(*value),
        ConfigValue::Float(number) => Value::from(*number),
    }
}

fn raw(value: &Value) -> Option<ConfigValue> {
    match value {
        Value::String(text) => Some(ConfigValue::Text(text.clone())),
        Value::Bool(value) => Some(ConfigValue::Boolean(*value)),
        Value::Number(number) => number
            .as_i64()
            .map(ConfigValue::Integer)
            .or_else(|| number.as_f64().map(ConfigValue::Float)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect()
    }

    #[test]
    fn blame_falls_on_what_changed_and_is_named() {
        let good = values(&[("worker-config", "a.b=1\nc.d=2"), ("heap-mib", "256")]);
        for (changed, cause, expected) in [
            (vec![("heap-mib", "0")], "", "heap-mib"),
            (
                vec![("worker-config", "a.b=1\nc.d=x")],
                "Invalid value x",
                "worker-config",
            ),
            (
                vec![("worker-config", "a.b=1\nc.d=x")],
                "Invalid value x for configuration c.d",
                "worker-config (c.d)",
            ),
            (
                vec![("worker-config", "a.b=1"), ("heap-mib", "128")],
                "OutOfMemoryError: Java heap space",
                "heap-mib",
            ),
            (
                vec![("worker-config", ""), ("log-level", "DEBUG")],
                "no",
                "worker-config, log-level",
            ),
        ] {
            let mut now = good.clone();
            now.extend(values(&changed));
            assert_eq!(blame(&good, &now, cause), expected, "{changed:?}");
        }
    }

    #[test]
    fn values_go_through_a_databag_unchanged() {
        let config = BTreeMap::from([
            ("heap-mib".to_owned(), ConfigValue::Integer(512)),
            (
                "worker-config".to_owned(),
                ConfigValue::Text("a=\"1\"\n".to_owned()),
            ),
            ("rest-port".to_owned(), ConfigValue::Integer(8083)),
        ]);
        let text = serde_json::to_string(&of(&config)).unwrap();
        let back: Values = serde_json::from_str(&text).unwrap();
        assert_eq!(back.len(), 2);
        for (name, value) in &back {
            assert_eq!(raw(value).as_ref(), config.get(name));
        }
    }
}
