//! What a service may ask of the kernel: the keys that become filters of system calls. Contract: systemd.exec(5), sections
//! Sandboxing and System Call Filtering.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Problem, value};

/// The system calls that a process may make.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes-or-no key of its own"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// `RestrictAddressFamilies=`: the only families of sockets, or the ones refused.
    pub(crate) families: Option<List<u64>>,
    /// `MemoryDenyWriteExecute=`.
    pub(crate) no_write_execute: bool,
    /// `RestrictRealtime=`.
    pub(crate) no_realtime: bool,
    /// `RestrictSUIDSGID=`.
    pub(crate) no_suid: bool,
    /// `RestrictNamespaces=`.
    pub(crate) no_namespaces: bool,
    /// `LockPersonality=`.
    pub(crate) no_personality: bool,
    /// `SystemCallArchitectures=native`.
    pub(crate) native_only: bool,
    /// `SystemCallFilter=`: names of system calls.
    pub(crate) filter: Option<List<String>>,
    /// `SystemCallErrorNumber=`: what a call that the filter refuses gets; else it ends the process.
    pub(crate) error: Option<u32>,
}

/// What a list allows, or what it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct List<T: Ord> {
    pub(crate) allows: bool,
    pub(crate) members: BTreeSet<T>,
}

impl<T: Ord> List<T> {
    /// The first line says which kind of list it is; further ones add to it, or with the other sign take away from it.
    fn merge(list: &mut Option<Self>, allows: bool, members: impl IntoIterator<Item = T>) {
        let list = list.get_or_insert_with(|| Self {
            allows,
            members: BTreeSet::new(),
        });
        for member in members {
            if list.allows == allows {
                list.members.insert(member);
            } else {
                list.members.remove(&member);
            }
        }
    }
}

/// Address families by name, as `address_families(7)` has them.
const FAMILIES: [(&str, u64); 6] = [
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
    ("AF_PACKET", 17),
    ("AF_VSOCK", 40),
];

/// Errors by name: errno(3).
const ERRORS: [(&str, u32); 4] = [
    ("EPERM", 1),
    ("EACCES", 13),
    ("ENOSYS", 38),
    ("EUCLEAN", 117),
];

impl Calls {
    /// Takes one setting over. `Ok(false)`: not a key of this table.
    pub(super) fn apply(&mut self, key: &str, text: &str) -> Result<bool, Problem> {
        let refuse = || Problem::ValueNotHonoured(text.to_owned());
        let flag = match key {
            "MemoryDenyWriteExecute" => Some(&mut self.no_write_execute),
            "RestrictRealtime" => Some(&mut self.no_realtime),
            "RestrictSUIDSGID" => Some(&mut self.no_suid),
            "RestrictNamespaces" => Some(&mut self.no_namespaces),
            "LockPersonality" => Some(&mut self.no_personality),
            _ => None,
        };
        if let Some(flag) = flag {
            // Lists of namespaces are not known here.
            *flag = value::boolean(text).map_err(|_| refuse())?;
            return Ok(true);
        }
        let (allows, words) = match text.strip_prefix('~') {
            Some(rest) => (false, rest),
            None => (true, text),
        };
        let words = words.split_whitespace();
        match key {
            "RestrictAddressFamilies" if text.is_empty() => self.families = None,
            "RestrictAddressFamilies" if text == "none" => {
                List::merge(&mut self.families, true, []);
            }
            "RestrictAddressFamilies" => {
                let known = words.map(|word| named(&FAMILIES, word).ok_or_else(refuse));
                let known = known.collect::<Result<Vec<u64>, _>>()?;
                List::merge(&mut self.families, allows, known);
            }
            "SystemCallArchitectures" => match text {
                "" => self.native_only = false,
                "native" => self.native_only = true,
                _ => return Err(refuse()),
            },
            "SystemCallFilter" if text.is_empty() => self.filter = None,
            "SystemCallFilter" => {
                let mut names = BTreeSet::new();
                for word in words {
                    expand(word, &mut names).ok_or_else(refuse)?;
                }
                if allows && self.filter.is_none() {
                    expand("@default", &mut names).ok_or_else(refuse)?;
                }
                List::merge(&mut self.filter, allows, names);
            }
            "SystemCallErrorNumber" => {
                self.error = match text {
                    "" | "kill" => None,
                    name => Some(named(&ERRORS, name).ok_or_else(refuse)?),
                };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// Adds a system call, or those of a set; nothing where there is no such set.
fn expand(word: &str, names: &mut BTreeSet<String>) -> Option<()> {
    if !word.starts_with('@') {
        let is_name = word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if is_name {
            names.insert(word.to_owned());
        }
        return is_name.then_some(());
    }
    let members = include_str!("system-call-sets.txt")
        .lines()
        .find_map(|line| {
            let (name, members) = line.split_once(' ')?;
            (name == word).then_some(members)
        })?;
    members
        .split(' ')
        .try_for_each(|member| expand(member, names))
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn the_first_line_of_a_filter_says_which_kind_it_is() {
        let filter = |lines: &[&str]| {
            let mut calls = Calls::default();
            for line in lines {
                calls.apply("SystemCallFilter", line).unwrap();
            }
            calls.filter
        };
        let list = filter(&["@system-service", "~@privileged @resources"]).unwrap();
        let has = |name: &str| list.members.contains(name);
        assert!(list.allows && has("read") && has("execve") && has("clone3"));
        assert!(!has("mount") && !has("chown") && !has("setpriority"));
        let list = filter(&["~@mount", "umount2"]).unwrap();
        assert!(!list.allows && list.members.contains("mount"));
        assert!(!list.members.contains("umount2"));
        assert_eq!(filter(&["@mount", ""]), None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (key, text) in [
            ("SystemCallFilter", "@no-such-set"),
            ("SystemCallFilter", "read:EPERM"),
            ("SystemCallErrorNumber", "ENONE"),
            ("SystemCallArchitectures", "x86"),
            ("RestrictAddressFamilies", "AF_NONE"),
            ("RestrictNamespaces", "net"),
        ] {
            assert!(Calls::default().apply(key, text).is_err(), "{key}={text}");
        }
    }
}
