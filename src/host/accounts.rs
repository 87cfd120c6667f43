//! System users and groups: names and numbers of the local files, and the programs that change
//! them.

use std::collections::BTreeMap;
use std::path::Path;

use super::exec::{self, ExecError};
use super::fs::{self, FsError};

/// Names and numbers, both ways.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    /// Reads `etc/passwd` and `etc/group` below `root`. Only local accounts matter: ours are, and
    /// asking a directory service in each hook would make us wait for it.
    ///
    /// # Errors
    ///
    /// A file is there and cannot be read.
    pub fn read(root: &Path) -> Result<Self, FsError> {
        let entries = |name: &str| -> Result<BTreeMap<String, u32>, FsError> {
            let text = fs::read(&root.join(name))?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&text)
                .lines()
                .filter_map(|line| {
                    let mut fields = line.split(':');
                    let name = fields.next()?;
                    let number = fields.nth(1)?.parse().ok()?;
                    Some((name.to_owned(), number))
                })
                .collect())
        };
        Ok(Self {
            users: entries("etc/passwd")?,
            groups: entries("etc/group")?,
        })
    }

    /// A user's number.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// A group's number.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    /// A user's name, or its number as text.
    #[must_use]
    pub fn user_name(&self, number: u32) -> String {
        name_of(&self.users, number)
    }

    /// A group's name, or its number as text.
    #[must_use]
    pub fn group_name(&self, number: u32) -> String {
        name_of(&self.groups, number)
    }
}

fn name_of(names: &BTreeMap<String, u32>, number: u32) -> String {
    names
        .iter()
        .find(|(_, candidate)| **candidate == number)
        .map_or_else(|| number.to_string(), |(name, _)| name.clone())
}

/// Creates a system user and its group of the same name, without home or shell.
///
/// # Errors
///
/// `useradd` failed.
pub fn create(name: &str) -> Result<(), ExecError> {
    let arguments = [
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
        name,
    ];
    exec::run("useradd", &arguments, &[]).map(drop)
}

/// Deletes a system user, and its group with it.
///
/// # Errors
///
/// `userdel` failed, as it does while a process of the user runs.
pub fn delete(name: &str) -> Result<(), ExecError> {
    exec::run("userdel", &[name], &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Accounts::read(root.path()).unwrap().user("root"), None);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nbroken\nkc:x:990:980::/:/bin/false\n",
        )
        .unwrap();
        std::fs::write(root.path().join("etc/group"), "root:x:0:\nkc:x:980:\n").unwrap();
        let accounts = Accounts::read(root.path()).unwrap();
        assert_eq!(accounts.user("kc"), Some(990));
        assert_eq!(accounts.group("kc"), Some(980));
        assert_eq!(accounts.user_name(0), "root");
        assert_eq!(accounts.group_name(77), "77");
    }
}
