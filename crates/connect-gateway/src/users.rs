//! Who may come in: the parsed users file and the check of HTTP basic credentials.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_core::gateway::{Access, Credential, Users};
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::limits;
use crate::login::Login;
use crate::slow::SlowHash;

/// Why a users file cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A name that HTTP basic authentication cannot carry.
    #[error("cannot use `{0}` as a user name")]
    Name(String),
    /// One name twice.
    #[error("cannot tell two users with the name `{0}` apart")]
    Twice(String),
    /// Neither the lower-case hexadecimal SHA-256 of a non-empty password nor Argon2id within limits.
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
    slow: Vec<Arc<SlowHash>>,
    owner: Option<String>,
    access: Access,
}

impl Entry {
    fn caller(&self, name: &str) -> Caller {
        Caller {
            name: name.to_owned(),
            owner: self.owner.clone(),
            access: self.access,
        }
    }
}

/// Whether a password is right.
pub enum Check<T> {
    /// It is, and this is known of whoever has it.
    Right(T),
    /// It is not.
    Wrong,
    /// It takes a while to tell.
    Slow(Box<dyn FnOnce() -> Option<T> + Send>),
}

/// The users served now.
#[derive(Debug, Default)]
pub struct UserTable {
    /// Fingerprint of the file's users; empty before the first good file.
    pub generation: String,
    entries: HashMap<String, Entry>,
    slow: bool,
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
            let passwords = given.len() + user.passwords_argon2id.len();
            if !(1..=limits::PASSWORDS_PER_USER).contains(&passwords) {
                return Err(UsersError::Passwords(name.clone()));
            }
            // Unused places hold a hash that nothing usable has, so every check costs the same.
            let mut hashes = [EMPTY; limits::PASSWORDS_PER_USER];
            for (place, text) in hashes.iter_mut().zip(given) {
                *place = parse_hash(text)
                    .filter(|hash| *hash != EMPTY)
                    .ok_or_else(|| UsersError::Hash(name.clone()))?;
            }
            let slow = user.passwords_argon2id.iter();
            let slow = slow.map(|text| SlowHash::parse(text).map(Arc::new));
            let slow: Option<Vec<_>> = slow.collect();
            let slow = slow.ok_or_else(|| UsersError::Hash(name.clone()))?;
            // Without an owner, everything that has none would be the user's.
            let unowned = user.access == Access::Own && user.owner.is_none();
            if unowned || user.owner.as_ref().is_some_and(String::is_empty) {
                return Err(UsersError::Owner(name.clone()));
            }
            let entry = Entry {
                hashes,
                slow,
                owner: user.owner.clone(),
                access: user.access,
            };
            if entries.insert(name.clone(), entry).is_some() {
                return Err(UsersError::Twice(name.clone()));
            }
        }
        Ok(Self {
            generation: users.generation.clone(),
            slow: entries.values().any(|entry| !entry.slow.is_empty()),
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

    /// Whether any password is hashed slowly.
    #[must_use]
    pub fn has_slow(&self) -> bool {
        self.slow
    }

    /// Keeps what is known of the passwords that stay the same.
    pub fn remember(&mut self, old: &Self) {
        for (name, entry) in &mut self.entries {
            let Some(old) = old.entries.get(name) else {
                continue;
            };
            for slow in &mut entry.slow {
                if let Some(same) = old.slow.iter().find(|old| old.is(slow)) {
                    *slow = Arc::clone(same);
                }
            }
        }
    }

    /// The caller, if the password is right. An unknown user costs as much as a wrong password of a
    /// user without slow hashes.
    #[must_use]
    pub fn check(&self, login: &Login) -> Check<Caller> {
        const NOBODY: Hashes = [EMPTY; limits::PASSWORDS_PER_USER];
        let Login { username, password } = login;
        let entry = self.entries.get(username);
        let digest: [u8; 32] = Sha256::digest(password.as_bytes()).into();
        let hashes = entry.map_or(&NOBODY, |entry| &entry.hashes);
        let mut right = Choice::from(0);
        for hash in hashes {
            right |= digest.ct_eq(hash);
        }
        right &= !digest.ct_eq(&EMPTY);
        let Some(entry) = entry.filter(|_| !password.is_empty()) else {
            return Check::Wrong;
        };
        let caller = entry.caller(username);
        let recalled = |slow: &Arc<SlowHash>| slow.recall(password);
        if bool::from(right) || entry.slow.iter().any(|slow| recalled(slow) == Some(true)) {
            return Check::Right(caller);
        }
        let unknown = entry.slow.iter().filter(|slow| recalled(slow).is_none());
        let unknown: Vec<_> = unknown.cloned().collect();
        if unknown.is_empty() {
            return Check::Wrong;
        }
        let password = password.clone();
        Check::Slow(Box::new(move || {
            let right = unknown.iter().any(|slow| slow.verify(&password));
            right.then_some(caller)
        }))
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
    use hyper::HeaderMap;
    use hyper::header::AUTHORIZATION;

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

    /// However long it takes.
    fn enters(table: &UserTable, login: &Login) -> bool {
        match table.check(login) {
            Check::Right(_) => true,
            Check::Wrong => false,
            Check::Slow(work) => work().is_some(),
        }
    }

    /// Of `a:b ü`, as cheap as it goes.
    fn slow_user() -> User {
        let params = argon2::Params::new(8, 1, 1, Some(16)).unwrap();
        let argon2 =
            argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut hash = [0; 16];
        let password = "a:b ü";
        argon2
            .hash_password_into(password.as_bytes(), b"saltsalt", &mut hash)
            .unwrap();
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        let (salt, hash) = (encode(b"saltsalt"), encode(&hash));
        User {
            passwords_argon2id: vec![format!("$argon2id$v=19$m=8,t=1,p=1${salt}${hash}")],
            owner: None,
            ..user("operator", &["fast"])
        }
    }

    #[test]
    fn a_chosen_password_costs_its_hash_once_and_survives_a_reload() {
        let slow = |table: &UserTable, text: &str| {
            let check = table.check(&login(&basic(text)).unwrap());
            matches!(check, Check::Slow(_))
        };
        let enters = |table: &UserTable, text: &str| enters(table, &login(&basic(text)).unwrap());
        let first = table(vec![slow_user(), user("relation-1", &["x"])]).unwrap();
        assert!(first.has_slow());
        assert!(enters(&first, "operator:fast") && !slow(&first, "operator:fast"));
        assert!(!enters(&first, "operator:") && !slow(&first, "operator:"));
        assert!(!slow(&first, "relation-1:y") && !slow(&first, "nobody:y"));
        assert!(slow(&first, "operator:a:b ü"));
        assert!(!enters(&first, "operator:a:b u") && slow(&first, "operator:a:b u"));
        assert!(enters(&first, "operator:a:b ü"));
        assert!(enters(&first, "operator:a:b ü") && !slow(&first, "operator:a:b ü"));
        assert!(!enters(&first, "operator:a:b u") && !slow(&first, "operator:a:b u"));

        let mut second = table(vec![slow_user()]).unwrap();
        assert!(slow(&second, "operator:a:b ü"));
        second.remember(&first);
        assert!(enters(&second, "operator:a:b ü") && !slow(&second, "operator:a:b ü"));
        // Another user with the same hash is somebody else.
        let other = User {
            name: "other".into(),
            ..slow_user()
        };
        let mut third = table(vec![other]).unwrap();
        third.remember(&first);
        assert!(slow(&third, "other:a:b ü") && !enters(&third, "operator:a:b ü"));
    }

    #[test]
    fn a_thousand_users_are_one_look_up() {
        let users = (0..1000).map(|id| user(&format!("relation-{id}"), &[&format!("p{id}")]));
        let users = Users {
            generation: "g".into(),
            users: users.collect(),
        };
        let bytes = serde_json::to_vec(&users).unwrap();
        assert!(
            bytes.len() as u64 * 4 < limits::FILE_BYTES,
            "{}",
            bytes.len()
        );
        let table = UserTable::new(&users).unwrap();
        assert!(size_of::<Entry>() <= 256);
        for id in 0..1000 {
            let text = |password: usize| basic(&format!("relation-{id}:p{password}"));
            assert!(enters(&table, &login(&text(id)).unwrap()));
            assert!(!enters(&table, &login(&text(id + 1)).unwrap()));
        }
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
            let found = login(&basic(text)).is_some_and(|login| enters(&table, &login));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn a_file_with_one_bad_user_is_not_served() {
        let mut upper = user("a", &["x"]);
        upper.passwords_sha256[0].make_ascii_uppercase();
        let mut unowned = user("a", &["x"]);
        unowned.owner = Some(String::new());
        let (mut crowded, mut dear) = (slow_user(), slow_user());
        crowded.passwords_argon2id = vec![slow_user().passwords_argon2id.remove(0); 4];
        dear.passwords_argon2id[0] = dear.passwords_argon2id[0].replace("m=8", "m=999999");
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
            (vec![crowded], UsersError::Passwords("operator".into())),
            (vec![dear], UsersError::Hash("operator".into())),
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
