//! What a secret is to hold: from arguments and files.
//!
//! Contract: `core/secrets/createsecret.go` of Juju.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::call::{Call, Stop};
use crate::context::clean;
use crate::go::{quote, string_map};
use crate::state::Content;

/// The most bytes of encoded content, of one value and of all.
const LIMIT: usize = 1_000_000;

/// Reads `key=value`, `key#base64=…` and `key#file=path`. The last of equal keys wins.
pub(super) fn from_args(call: &Call<'_>, args: &[String]) -> Result<Content, Stop> {
    let mut data = BTreeMap::new();
    for argument in args {
        // Signs at the end may be base64 padding: they do not separate.
        let stripped = argument.trim_end_matches('=');
        let Some(at) = stripped.find('=').filter(|at| *at > 0) else {
            return Err(Stop::Usage(format!(
                "key value {} not valid",
                quote(argument)
            )));
        };
        let (key, value) = (&argument[..at], &argument[at + 1..]);
        match key.strip_suffix("#file") {
            None => drop(data.insert(key.to_owned(), value.as_bytes().to_vec())),
            Some(key) => {
                let content = read(call, value)?.map_err(|error| {
                    let key = quote(key);
                    Stop::Usage(format!("reading content for secret key {key}: {error}"))
                })?;
                data.insert(key.to_owned(), content);
            }
        }
    }
    encode(data)
}

/// Reads a file of keys and values, JSON or YAML.
pub(super) fn from_file(call: &Call<'_>, path: &str) -> Result<Content, Stop> {
    let content = read(call, path)?.map_err(Stop::Usage)?;
    let json: Result<BTreeMap<String, Option<String>>, _> = serde_json::from_slice(&content);
    let data = match json {
        Ok(json) => json
            .into_iter()
            .map(|(k, v)| (k, v.unwrap_or_default()))
            .collect(),
        Err(_) => string_map(&String::from_utf8_lossy(&content), "secrets.SecretData")
            .map_err(Stop::Usage)?,
    };
    encode(
        data.into_iter()
            .map(|(key, value)| (key, value.into_bytes()))
            .collect(),
    )
}

/// The agent opens the file itself: the caller's directory does not count.
fn read(call: &Call<'_>, path: &str) -> Result<Result<Vec<u8>, String>, Stop> {
    let path = clean(path);
    let absolute = if path.starts_with('/') {
        path.clone()
    } else {
        format!("/{path}")
    };
    let content = call.files.read(&absolute).map_err(|error| {
        let verb = if error == "is a directory" {
            "read"
        } else {
            "open"
        };
        format!("{verb} {path}: {error}")
    });
    if let Ok(content) = &content
        && content.len() > LIMIT
    {
        let text = format!(
            "secret content in file {} too large: {} bytes",
            quote(&path),
            content.len()
        );
        return Err(Stop::Usage(text));
    }
    Ok(content)
}

fn encode(data: BTreeMap<String, Vec<u8>>) -> Result<Content, Stop> {
    let mut content = BTreeMap::new();
    let mut total = 0;
    for (key, value) in data {
        let (key, value) = match key.strip_suffix("#base64") {
            Some(key) => (key.to_owned(), String::from_utf8_lossy(&value).into_owned()),
            None => (key, STANDARD.encode(value)),
        };
        if !is_key(&key) {
            return Err(Stop::Usage(format!("key {} not valid", quote(&key))));
        }
        if value.len() > LIMIT {
            return Err(Stop::Usage(format!(
                "base64 encoded secret content for key {} too large: {} bytes",
                quote(&key),
                value.len()
            )));
        }
        total += value.len();
        content.insert(key, value);
    }
    if total > LIMIT {
        let text = format!("base64 encoded secret content too large: {total} bytes");
        return Err(Stop::Usage(text));
    }
    Ok(Content(content))
}

/// `^([a-z](?:-?[a-z0-9]){2,})$`
fn is_key(key: &str) -> bool {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let counted = key.bytes().filter(|c| legal(*c)).count();
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|c| legal(c) || c == b'-')
        && !key.contains("--")
        && !key.ends_with('-')
        && counted >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_three_characters_and_single_dashes() {
        for (key, legal) in [
            ("password", true),
            ("a-b-c", true),
            ("abc", true),
            ("a1-", false),
            ("ab", false),
            ("a-b", false),
            ("a--bc", false),
            ("1abc", false),
            ("Abc", false),
            ("a.b.c", false),
        ] {
            assert_eq!(is_key(key), legal, "{key}");
        }
    }
}
