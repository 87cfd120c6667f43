//! Who may come in: the parsed users file and the check of HTTP basic credentials.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_core::gateway::{Access, Credential, Users};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::limits;

/// Why a users file cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A name that HTTP basic authentication cannot carry.
    #[error("cannot use `{0}` as a user name")]
    Name(String),
    /// One name twice.
    #[error("cannot tell two users with the name `{0}` apart")]
    Twice(String),
    /// Not the lower-case hexadecimal SHA-256 of a non-empty password.
    #[error("cannot use a password hash of user `{0}`")]
    Hash(String),
    /// No password, or too many.
    #[error("cannot use the number of passwords of user `{0}`")]
    Passwords(String),
    /// An empty owner would tag nothing.
    #[error("cannot use the owner of user `{0}`")]
    Owner(String),
}

/// SHA-256 of nothing: the hash of an empty password, which is never accepted.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

type Hashes = [[u8; 32]; limits::PASSWORDS_PER_USER];

#[derive(Debug)]
struct Entry {
    hashes: Hashes,
    owner: Option<String>,
    access: Access,
}

/// The users served now.
#[derive(Debug, Default)]
pub struct UserTable {
    /// Fingerprint of the file's users; empty before the first good file.
    pub generation: String,
    entries: HashMap<String, Entry>,
}

/// Somebody whose password was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub name: String,
    /// The owner tag of what the user creates; none for an operator.
    pub owner: Option<String>,
    /// Which connectors the user may see and change.
    pub access: Access,
}

impl UserTable {
    /// Reads the parsed file.
    ///
    /// # Errors
    /// [`UsersError`] if any user is not usable: a file is served whole or not at all.
    pub fn new(users: &Users) -> Result<Self, UsersError> {
        let mut entries = HashMap::with_capacity(users.users.len());
        for user in &users.users {
            let name = &user.name;
            if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
                return Err(UsersError::Name(name.clone()));
            }
            let given = &user.passwords_sha256;
            if given.is_empty() || given.len() > limits::PASSWORDS_PER_USER {
                return Err(UsersError::Passwords(name.clone()));
            }
            // Unused places hold a hash that nothing usable has, so every check costs the same.
            let mut hashes = [EMPTY; limits::PASSWORDS_PER_USER];
            for (place, text) in hashes.iter_mut().zip(given) {
                *place = parse_hash(text)
                    .filter(|hash| *hash != EMPTY)
                    .ok_or_else(|| UsersError::Hash(name.clone()))?;
            }
            // Without an owner, everything that has none would be the user's.
            let unowned = user.access == Access::Own && user.owner.is_none();
            if unowned || user.owner.as_ref().is_some_and(String::is_empty) {
                return Err(UsersError::Owner(name.clone()));
            }
            let entry = Entry {
                hashes,
                owner: user.owner.clone(),
                access: user.access,
            };
            if entries.insert(name.clone(), entry).is_some() {
                return Err(UsersError::Twice(name.clone()));
            }
        }
        Ok(Self {
            generation: users.generation.clone(),
            entries,
        })
    }

    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody may come in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The caller, if the password is right. An unknown user costs as much as a wrong password.
    #[must_use]
    pub fn check(&self, login: &Login) -> Option<Caller> {
        const NOBODY: Hashes = [EMPTY; limits::PASSWORDS_PER_USER];
        let entry = self.entries.get(&login.username);
        let digest: [u8; 32] = Sha256::digest(login.password.as_bytes()).into();
        let hashes = entry.map_or(&NOBODY, |entry| &entry.hashes);
        let mut right = Choice::from(0);
        for hash in hashes {
            right |= digest.ct_eq(hash);
        }
        right &= !digest.ct_eq(&EMPTY);
        if !bool::from(right) {
            return None;
        }
        entry.map(|entry| Caller {
            name: login.username.clone(),
            owner: entry.owner.clone(),
            access: entry.access,
        })
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (place, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        *place = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(hash)
}

/// User name and password as a request carried them. Has no `Debug` on purpose.
pub struct Login {
    /// The name, up to the first colon.
    pub username: String,
    password: String,
}

impl Login {
    /// Reads the one `Authorization` header, if it is a well-formed `Basic` one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// The credential shared by all units' workers and gateways, ready for use. Has no `Debug`.
pub struct Internal {
    /// The `Authorization` header that our worker and the peers accept.
    pub authorization: HeaderValue,
    username: String,
    digest: [u8; 32],
}

impl Internal {
    /// Prepares the header and the hash; `None` if HTTP basic cannot carry the credential.
    #[must_use]
    pub fn new(credential: &Credential) -> Option<Self> {
        let Credential { username, password } = credential;
        if username.is_empty() || username.contains(':') || password.is_empty() {
            return None;
        }
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let mut authorization = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
        authorization.set_sensitive(true);
        let digest = Sha256::digest(password.as_bytes()).into();
        Some(Self {
            authorization,
            username: username.clone(),
            digest,
        })
    }

    /// Whether the login is the internal user's.
    #[must_use]
    pub fn check(&self, login: &Login) -> bool {
        let digest: [u8; 32] = Sha256::digest(login.password.as_bytes()).into();
        let name = login.username.as_bytes().ct_eq(self.username.as_bytes());
        bool::from(name & digest.ct_eq(&self.digest))
    }

    /// Whether the name is the internal user's, which the client door never lets in.
    #[must_use]
    pub fn is_name(&self, username: &str) -> bool {
        self.username == username
    }
}

#[cfg(test)]
mod tests {
    use connect_core::gateway::User;

    use super::*;

    fn hash(password: &str) -> String {
        Sha256::digest(password)
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn user(name: &str, passwords: &[&str]) -> User {
        User {
            name: name.into(),
            passwords_sha256: passwords.iter().map(|password| hash(password)).collect(),
            passwords_argon2id: Vec::new(),
            owner: Some("m:a:1".into()),
            access: Access::All,
        }
    }

    fn table(users: Vec<User>) -> Result<UserTable, UsersError> {
        UserTable::new(&Users {
            generation: "g".into(),
            users,
        })
    }

    fn login(value: &str) -> Option<Login> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Login::of(&headers)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_login_is_let_in_by_name_and_password_only() {
        let table = table(vec![
            user("relation-1", &["old:", "n ü\"'%"]),
            user("relation-10", &["x"]),
        ])
        .unwrap();
        let rows = [
            ("relation-1:old:", true),
            ("relation-1:n ü\"'%", true),
            ("relation-1:x", false),
            ("relation-1:", false),
            ("relation-1:old", false),
            ("relation-10:x", true),
            ("relation-10:", false),
            ("relation-1", false),
            ("nobody:x", false),
            ("nobody:", false),
            (":", false),
        ];
        for (text, expect) in rows {
            let found = login(&basic(text)).and_then(|login| table.check(&login));
            assert_eq!(found.is_some(), expect, "{text}");
        }
    }

    #[test]
    fn only_one_well_formed_basic_header_is_a_login() {
        assert!(login(&basic("a:b").replace("Basic", "bAsIc")).is_some());
        for value in [
            "Basic %%%",
            "Basic",
            "Basic ",
            "Bearer YTpi",
            "YTpi",
            "Basic YTpi YTpi",
            "Basic /w==",
        ] {
            assert!(login(value).is_none(), "{value}");
        }
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(AUTHORIZATION, HeaderValue::from_str(&basic("a:b")).unwrap());
        }
        assert!(Login::of(&headers).is_none());
    }

    #[test]
    fn a_file_with_one_bad_user_is_not_served() {
        let mut upper = user("a", &["x"]);
        upper.passwords_sha256[0].make_ascii_uppercase();
        let mut unowned = user("a", &["x"]);
        unowned.owner = Some(String::new());
        let mut of_nobody = user("a", &["x"]);
        (of_nobody.owner, of_nobody.access) = (None, Access::Own);
        let rows = [
            (vec![user("", &["x"])], UsersError::Name(String::new())),
            (vec![user("a:b", &["x"])], UsersError::Name("a:b".into())),
            (
                vec![user("a", &["x"]), user("a", &["y"])],
                UsersError::Twice("a".into()),
            ),
            (vec![user("a", &[""])], UsersError::Hash("a".into())),
            (vec![upper], UsersError::Hash("a".into())),
            (vec![user("a", &[])], UsersError::Passwords("a".into())),
            (
                vec![user("a", &["1", "2", "3", "4", "5"])],
                UsersError::Passwords("a".into()),
            ),
            (vec![unowned], UsersError::Owner("a".into())),
            (vec![of_nobody], UsersError::Owner("a".into())),
        ];
        for (users, expect) in rows {
            assert_eq!(table(users).unwrap_err(), expect);
        }
    }

    #[test]
    fn the_internal_credential_needs_both_halves() {
        let internal = Internal::new(&Credential {
            username: "internal".into(),
            password: "p".into(),
        })
        .unwrap();
        for (text, expect) in [
            ("internal:p", true),
            ("internal:q", false),
            ("other:p", false),
        ] {
            assert_eq!(
                internal.check(&login(&basic(text)).unwrap()),
                expect,
                "{text}"
            );
        }
        assert!(
            Internal::new(&Credential {
                username: "a".into(),
                password: String::new()
            })
            .is_none()
        );
    }
}
