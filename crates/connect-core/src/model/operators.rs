//! REST users that an operator named and gave passwords, in the user secret of `system-users`.
//!
//! **Flow.** The leader reads the operator's secret and keeps each password hashed in a secret of
//! the application; the peer databag says that there is one, and every unit's gateway takes the
//! hashes from it. So the slow hash is computed once for each change, on one unit, and a password
//! that a person chose is on no disk.

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;

use crate::fingerprint;
use crate::limits;
use crate::plan::Entropy;
use crate::plan::internal::USERS;
use crate::secret::Secret;

/// The option that names the operator's secret.
pub const SYSTEM_USERS: &str = "system-users";
/// The key of the application's secret that holds them.
const KEY: &str = "operators";

/// Operators' users with their hashed passwords.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Operators {
    /// Fingerprint of the operator's secret that they were made of. Like a fast hash of the
    /// passwords, so it stays in the secret.
    of: String,
    /// Argon2id hash, as a PHC string, by user name.
    users: BTreeMap<String, String>,
}

impl std::fmt::Debug for Operators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.users.keys()).finish()
    }
}

impl Operators {
    /// Hashes what the operator's secret holds.
    ///
    /// # Errors
    ///
    /// A name or password that cannot be used: the operator's move. The text names the user and
    /// holds no password.
    pub fn hash(
        content: &BTreeMap<String, Secret<String>>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, String> {
        check(content)?;
        let users = content
            .iter()
            .map(|(name, password)| {
                let mut salt = [0; limits::SALT_BYTES];
                entropy.fill(&mut salt);
                let hash = hash(password, &salt)
                    .ok_or_else(|| format!("cannot hash the password of `{name}`"))?;
                Ok((name.clone(), hash))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            of: of(content),
            users,
        })
    }

    /// Whether they are made of this content of the operator's secret.
    #[must_use]
    pub fn are_of(&self, content: &BTreeMap<String, Secret<String>>) -> bool {
        self.of == of(content)
    }

    /// Reads the application's secret; absent if it holds something else.
    #[must_use]
    pub fn read(content: &BTreeMap<String, Secret<String>>) -> Option<Self> {
        serde_json::from_str(content.get(KEY)?.expose()).ok()
    }

    /// The content of the application's secret.
    #[must_use]
    pub fn content(&self) -> BTreeMap<String, Secret<String>> {
        let text = serde_json::json!({ "of": self.of, "users": self.users }).to_string();
        BTreeMap::from([(KEY.to_owned(), Secret::new(text))])
    }

    /// Names these users with these passwords. Made of the salted hashes, so it may be shown.
    #[must_use]
    pub fn generation(&self) -> String {
        let all: Vec<String> = self.users.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        fingerprint::short(all.join("\n").as_bytes())
    }

    /// Name and Argon2id hash of each user.
    pub fn users(&self) -> impl Iterator<Item = (&str, &str)> {
        self.users.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// Whether every name and password can be used; the text names the user and holds no password.
fn check(content: &BTreeMap<String, Secret<String>>) -> Result<(), String> {
    if content.is_empty() {
        return Err("names no user".to_owned());
    }
    for (name, password) in content {
        let number = name.strip_prefix("relation-");
        let is_client = number.is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit()));
        if is_client || USERS.contains(&name.as_str()) {
            return Err(format!("user `{name}`: the charm uses this name itself"));
        }
        let legal = |b: u8| b.is_ascii_graphic() && b != b':';
        if name.is_empty() || !name.bytes().all(legal) {
            let name = name.escape_debug();
            return Err(format!("user `{name}`: not a user name"));
        }
        let password = password.expose();
        if password.chars().any(char::is_control) {
            return Err(format!("user `{name}`: control character in the password"));
        }
        let least = limits::CHOSEN_PASSWORD_LENGTH;
        if password.chars().count() < least {
            let fault = format!("the password is shorter than {least} characters");
            return Err(format!("user `{name}`: {fault}"));
        }
    }
    Ok(())
}

fn of(content: &BTreeMap<String, Secret<String>>) -> String {
    // Neither names nor passwords hold a line feed.
    let mut all = String::new();
    for (name, password) in content {
        all.push_str(name);
        all.push('\n');
        all.push_str(password.expose());
        all.push('\n');
    }
    let of = fingerprint::sha256(all.as_bytes());
    drop(Secret::new(all));
    of
}

/// The PHC string; absent only for a password of gigabytes.
fn hash(password: &Secret<String>, salt: &[u8]) -> Option<String> {
    let (memory, passes, lanes) = limits::ARGON2;
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.expose().as_bytes(), salt, &mut hash)
        .ok()?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Some(format!(
        "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u8);
    impl Entropy for Counter {
        fn fill(&mut self, buffer: &mut [u8]) {
            self.0 += 1;
            buffer.fill(self.0);
        }
    }

    fn content(rows: &[(&str, &str)]) -> BTreeMap<String, Secret<String>> {
        rows.iter()
            .map(|(name, password)| ((*name).to_owned(), Secret::new((*password).to_owned())))
            .collect()
    }

    #[test]
    fn hashes_come_back_and_show_no_password() {
        let chosen = content(&[("admin", "correct horse"), ("eve", "correct horse")]);
        let operators = Operators::hash(&chosen, &mut Counter(0)).expect("both can be used");
        assert!(operators.are_of(&chosen));
        assert!(!operators.are_of(&content(&[("admin", "correct horse")])));
        assert_eq!(
            Operators::read(&operators.content()),
            Some(operators.clone())
        );
        let users: Vec<(&str, &str)> = operators.users().collect();
        assert_eq!((users[0].0, users[1].0), ("admin", "eve"));
        assert!(users[0].1.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        // One password, two salts.
        assert_ne!(users[0].1, users[1].1);
        assert_eq!(format!("{operators:?}"), r#"["admin", "eve"]"#);
        let again = Operators::hash(&chosen, &mut Counter(9)).expect("both can be used");
        assert_ne!(again.generation(), operators.generation());
    }

    #[test]
    fn what_cannot_be_used_is_named_without_the_password() {
        let rows = [
            (content(&[]), "names no user"),
            (
                content(&[("admin", "short")]),
                "user `admin`: the password is shorter than 8 characters",
            ),
            (
                content(&[("admin", "")]),
                "user `admin`: the password is shorter than 8 characters",
            ),
            (
                content(&[("admin", "two\nlines of it")]),
                "user `admin`: control character in the password",
            ),
            (
                content(&[("relation-7", "long enough")]),
                "user `relation-7`: the charm uses this name itself",
            ),
            (
                content(&[(USERS[1], "long enough")]),
                "the charm uses this name itself",
            ),
            (
                content(&[("a:b", "long enough")]),
                "user `a:b`: not a user name",
            ),
        ];
        for (content, expected) in rows {
            let fault = Operators::hash(&content, &mut Counter(0)).expect_err(expected);
            assert!(fault.ends_with(expected), "{fault}");
        }
        for good in ["relation-x", "relations-7"] {
            Operators::hash(&content(&[(good, "pässwörd")]), &mut Counter(0)).expect(good);
        }
    }
}
