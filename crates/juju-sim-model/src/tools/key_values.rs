//! `key=value` arguments and files of them.

use std::collections::BTreeMap;

use super::call::{Call, Stop, usage};
use crate::go::{quote, string_map};

/// Splits arguments at their first `=`, edges trimmed. Empty values are allowed.
pub(super) fn parse(args: &[String]) -> Result<BTreeMap<String, String>, Stop> {
    let mut pairs = BTreeMap::new();
    for argument in args.iter().filter(|argument| !argument.is_empty()) {
        let Some((key, value)) = argument.split_once('=') else {
            return usage(format!("expected \"key=value\", got {}", quote(argument)));
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return usage(format!("expected \"key=value\", got \"={value}\""));
        }
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return usage(format!("key {} specified more than once", quote(key)));
        }
    }
    Ok(pairs)
}

/// Adds what `--file` names under what the arguments say.
pub(super) fn with_file(
    call: &Call<'_>,
    path: &str,
    arguments: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Stop> {
    if path.is_empty() {
        return Ok(arguments);
    }
    let content = call.file_or_stdin(path)?;
    let content = String::from_utf8_lossy(&content);
    let mut pairs = string_map(&content, "map[string]string").map_err(Stop::Failed)?;
    pairs.extend(arguments);
    Ok(pairs)
}
