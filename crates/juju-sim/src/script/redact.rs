//! Replaces what changes from run to run by its name.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names for the values seen so far.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    fixed: BTreeMap<String, String>,
    secrets: std::cell::RefCell<Vec<String>>,
}

impl Redactor {
    /// Learns the model's id and the units' addresses from `status --format json`.
    pub(super) fn learn(&mut self, status: &str) {
        let Ok(status) = serde_json::from_str::<Value>(status) else {
            return;
        };
        if let Some(uuid) = status["model"]["uuid"].as_str() {
            self.fixed
                .insert(uuid.to_owned(), "[MODEL_UUID]".to_owned());
        }
        for (_, application) in status["applications"].as_object().into_iter().flatten() {
            for (name, unit) in application["units"].as_object().into_iter().flatten() {
                if let Some(address) = unit["public-address"].as_str().filter(|a| !a.is_empty()) {
                    self.fixed
                        .insert(address.to_owned(), format!("[UNIT_IP {name}]"));
                }
            }
        }
    }

    /// The text with names in place of values.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut redacted = String::new();
        // Words of the characters that values are made of; everything else is copied.
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !part_of_value(c)).unwrap_or(rest.len());
            if end == 0 {
                let end = rest.find(part_of_value).unwrap_or(rest.len());
                redacted.push_str(&rest[..end]);
                rest = &rest[end..];
            } else {
                redacted.push_str(&self.word(&rest[..end]));
                rest = &rest[end..];
            }
        }
        redacted
    }

    fn word(&self, word: &str) -> String {
        // The colon that ends a key is not the value's.
        if let Some(word) = word.strip_suffix(':') {
            return format!("{}:", self.word(word));
        }
        if is_time(word) {
            return "[TIME]".to_owned();
        }
        if let Some(name) = self.secret(word) {
            return name;
        }
        let mut word = word.to_owned();
        for (value, name) in self.fixed.iter().rev() {
            if let Some(at) = word.find(value.as_str()) {
                let next = word[at + value.len()..].chars().next();
                if !next.is_some_and(|c| c.is_ascii_digit()) {
                    word = word.replace(value.as_str(), name);
                }
            }
        }
        word
    }

    fn secret(&self, word: &str) -> Option<String> {
        let bare = word.rsplit(['/', ':']).next()?;
        let id = bare.len() == 20
            && bare
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'v').contains(&b))
            && bare.bytes().any(|b| b.is_ascii_digit());
        if !id {
            return None;
        }
        let mut secrets = self.secrets.borrow_mut();
        let at = secrets
            .iter()
            .position(|known| known == bare)
            .unwrap_or_else(|| {
                secrets.push(bare.to_owned());
                secrets.len() - 1
            });
        let kind = if word.starts_with("secret:") {
            "SECRET_URI"
        } else {
            "SECRET_ID"
        };
        Some(format!("[{kind} {}]", at + 1))
    }
}

fn part_of_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '/')
}

/// `12:34:56`, `2026-01-02`, `2026-01-02T12:34:56Z` and the like.
fn is_time(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let colons = word.matches(':').count();
    let dashes = word.matches('-').count();
    let plain = word
        .bytes()
        .all(|b| b.is_ascii_digit() || b":-.TZ".contains(&b));
    plain && ((colons == 2 && digits >= 6) || (colons == 0 && dashes == 2 && digits == 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_names() {
        let mut redactor = Redactor::default();
        redactor.learn(
            r#"{"model": {"uuid": "5a4c3b2a-1111-4222-8333-444455556666"},
                "applications": {"kc": {"units": {"kc/0": {"public-address": "10.0.0.1"}}}}}"#,
        );
        for (text, expected) in [
            (
                "http://10.0.0.1:80 10.0.0.12",
                "http://[UNIT_IP kc/0]:80 10.0.0.12",
            ),
            (
                "secret://5a4c3b2a-1111-4222-8333-444455556666/d0000000000000000010",
                "[SECRET_URI 1]",
            ),
            (
                "\"secret:d0000000000000000020\",d0000000000000000010",
                "\"[SECRET_URI 2]\",[SECRET_ID 1]",
            ),
            ("d0000000000000000010:", "[SECRET_ID 1]:"),
            ("at 12:34:56 of 2026-01-02", "at [TIME] of [TIME]"),
            ("kc/0 active", "kc/0 active"),
        ] {
            assert_eq!(redactor.apply(text), expected);
        }
    }
}
