//! Options in GNU style.
//!
//! Contract: juju/gnuflag. Options and arguments mix; values are checked in the order they come,
//! which decides what is complained about first.

use std::collections::BTreeMap;

use super::call::Stop;
use crate::context::{HookContext, HookKind};
use crate::go::{atoi, quote};
use crate::state::Model;

/// An option.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its spellings, without dashes. The first is what its value is kept under.
    names: &'static [&'static str],
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bool,
    Text,
    Int,
    Format(&'static [&'static str]),
    Relation,
    Storage,
}

impl Flag {
    pub(super) const fn bool(names: &'static [&'static str]) -> Self {
        Self {
            names,
            kind: Kind::Bool,
        }
    }

    pub(super) const fn text(names: &'static [&'static str]) -> Self {
        Self {
            names,
            kind: Kind::Text,
        }
    }

    pub(super) const fn int(names: &'static [&'static str]) -> Self {
        Self {
            names,
            kind: Kind::Int,
        }
    }

    const fn storage_id(names: &'static [&'static str]) -> Self {
        Self {
            names,
            kind: Kind::Storage,
        }
    }
}

/// `--format`, smart by default.
pub(super) const SMART: Flag = Flag {
    names: &["format"],
    kind: Kind::Format(&["smart", "yaml", "json"]),
};
/// `--format` without smart.
pub(super) const PLAIN: Flag = Flag {
    names: &["format"],
    kind: Kind::Format(&["yaml", "json"]),
};
/// `-o`.
pub(super) const OUTPUT: Flag = Flag::text(&["o", "output"]);
/// `-r`.
pub(super) const RELATION: Flag = Flag {
    names: &["r", "relation"],
    kind: Kind::Relation,
};
/// `-s`.
pub(super) const STORAGE: Flag = Flag::storage_id(&["s"]);

/// A parsed command line.
#[derive(Debug, Default)]
pub(super) struct Options {
    texts: BTreeMap<&'static str, String>,
    bools: BTreeMap<&'static str, bool>,
    format: &'static str,
    /// What `-r` names, else the hook's relation.
    pub(super) relation: Option<u32>,
    /// What `-s` names, else the hook's storage.
    pub(super) storage: Option<String>,
    /// Arguments.
    pub(super) args: Vec<String>,
}

impl Options {
    /// An option's text; empty when it was not given.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// An option's text, if it was given.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.bools.get(name).copied().unwrap_or(false)
    }

    pub(super) fn format(&self) -> &'static str {
        self.format
    }
}

/// A name as it is complained about.
fn dashed(name: &str) -> String {
    if name.len() > 1 {
        format!("--{name}")
    } else {
        format!("-{name}")
    }
}

pub(super) fn parse(
    context: &mut HookContext,
    model: &Model,
    flags: &[Flag],
    args: &[String],
) -> Result<Options, Stop> {
    let mut options = Options {
        relation: default_relation(context),
        ..Options::default()
    };
    if let HookKind::Storage { id } = &context.spec().kind {
        options.storage = Some(id.clone());
    }
    for flag in flags {
        if let Kind::Format(formats) = flag.kind {
            options.format = formats.first().copied().unwrap_or_default();
        }
    }
    let mut rest = args.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            options.args.extend(rest.cloned());
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some(("", _)) => {
                    let text = format!("empty option in argument {}", quote(argument));
                    return Err(Stop::Usage(text));
                }
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let flag = find(flags, name)?;
            let value = match (value, &flag.kind) {
                (None, Kind::Bool) => "true".to_owned(),
                (None, _) => next(&mut rest, name)?,
                (Some(value), _) => value,
            };
            set(context, model, &mut options, flag, name, value)?;
            continue;
        }
        let Some(mut short) = argument.strip_prefix('-').filter(|short| !short.is_empty()) else {
            options.args.push(argument.clone());
            continue;
        };
        while let Some(first) = short.chars().next() {
            let (name, after) = short.split_at(first.len_utf8());
            let flag = find(flags, name)?;
            if matches!(flag.kind, Kind::Bool) && !after.starts_with('=') {
                set(context, model, &mut options, flag, name, "true".to_owned())?;
                short = after;
                continue;
            }
            let value = if after.is_empty() {
                next(&mut rest, name)?
            } else {
                after.to_owned()
            };
            set(context, model, &mut options, flag, name, value)?;
            break;
        }
    }
    Ok(options)
}

fn default_relation(context: &HookContext) -> Option<u32> {
    context
        .spec()
        .relation()
        .filter(|id| context.knows_relation(*id))
}

fn find<'f>(flags: &'f [Flag], name: &str) -> Result<&'f Flag, Stop> {
    let known = flags.iter().find(|flag| flag.names.contains(&name));
    known.ok_or_else(|| match name {
        "help" | "h" => Stop::Help,
        _ => Stop::Usage(format!("option provided but not defined: {}", dashed(name))),
    })
}

fn next<'a>(rest: &mut impl Iterator<Item = &'a String>, name: &str) -> Result<String, Stop> {
    let missing = || Stop::Usage(format!("option needs an argument: {}", dashed(name)));
    rest.next().cloned().ok_or_else(missing)
}

fn set(
    context: &mut HookContext,
    model: &Model,
    options: &mut Options,
    flag: &Flag,
    name: &str,
    value: String,
) -> Result<(), Stop> {
    let key = flag.names.first().copied().unwrap_or_default();
    let refuse = |why: &str| {
        let (value, name) = (quote(&value), dashed(name));
        Stop::Usage(format!("invalid value {value} for option {name}: {why}"))
    };
    match flag.kind {
        Kind::Text => drop(options.texts.insert(key, value)),
        Kind::Bool => {
            let parsed = match value.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
                "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
                _ => {
                    let value = quote(&value);
                    let why = format!("strconv.ParseBool: parsing {value}: invalid syntax");
                    return Err(refuse(&why));
                }
            };
            options.bools.insert(key, parsed);
        }
        Kind::Int => {
            let parsed = parse_int(&value).map_err(|why| refuse(&why))?;
            options.texts.insert(key, parsed.to_string());
        }
        Kind::Format(formats) => {
            let known = formats.iter().find(|format| **format == value);
            let known =
                known.ok_or_else(|| refuse(&format!("unknown format {}", quote(&value))))?;
            options.format = known;
        }
        Kind::Relation => {
            let number = value.rsplit(':').next().unwrap_or_default();
            let number = atoi(number).map_err(|_| refuse("invalid relation id"))?;
            let id = u32::try_from(number)
                .ok()
                .filter(|id| context.knows_relation(*id));
            options.relation = Some(id.ok_or_else(|| refuse("relation not found"))?);
        }
        Kind::Storage => {
            super::storage::check_id(context, model, &value).map_err(|why| refuse(&why))?;
            options.storage = Some(value);
        }
    }
    Ok(())
}

/// `strconv.ParseInt` with base 0.
fn parse_int(text: &str) -> Result<i64, String> {
    let failed = |why: &str| format!("strconv.ParseInt: parsing {}: {why}", quote(text));
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(failed("invalid syntax"));
    }
    let value = i64::from_str_radix(digits, base).map_err(|_| failed("value out of range"))?;
    Ok(if negative { -value } else { value })
}
