//! `Condition…=` and `Assert…=`: facts about files that a start needs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Problem;
use super::value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    ExistsGlob,
    IsDirectory,
    IsSymbolicLink,
    DirectoryNotEmpty,
    FileNotEmpty,
    FileIsExecutable,
}

/// One condition; an assertion is a condition whose failure is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    test: Test,
    path: String,
    negated: bool,
    triggering: bool,
    pub(crate) assertion: bool,
}

impl Condition {
    /// `None` when the key is no condition known here.
    pub(super) fn parse(key: &str, text: &str) -> Option<Result<Self, Problem>> {
        let (assertion, what) = match key.strip_prefix("Condition") {
            Some(what) => (false, what),
            None => (true, key.strip_prefix("Assert")?),
        };
        let test = match what {
            "PathExists" => Test::Exists,
            "PathExistsGlob" => Test::ExistsGlob,
            "PathIsDirectory" => Test::IsDirectory,
            "PathIsSymbolicLink" => Test::IsSymbolicLink,
            "DirectoryNotEmpty" => Test::DirectoryNotEmpty,
            "FileNotEmpty" => Test::FileNotEmpty,
            "FileIsExecutable" => Test::FileIsExecutable,
            _ => return None,
        };
        let (triggering, text) = text
            .strip_prefix('|')
            .map_or((false, text), |rest| (true, rest));
        let (negated, text) = text
            .strip_prefix('!')
            .map_or((false, text), |rest| (true, rest));
        Some(value::path(text).map(|path| Self {
            test,
            path,
            negated,
            triggering,
            assertion,
        }))
    }

    fn holds(&self) -> bool {
        let path = Path::new(&self.path);
        let seen = match self.test {
            Test::Exists => path.exists(),
            Test::ExistsGlob => glob_matches(&self.path),
            Test::IsDirectory => path.is_dir(),
            Test::IsSymbolicLink => path.is_symlink(),
            Test::DirectoryNotEmpty => directory_not_empty(path),
            Test::FileNotEmpty => path
                .metadata()
                .is_ok_and(|facts| facts.is_file() && facts.len() > 0),
            Test::FileIsExecutable => path
                .metadata()
                .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0),
        };
        seen != self.negated
    }

    /// All that are not triggering hold, and of the triggering ones, if any, at least one.
    pub(crate) fn all_hold<'a>(conditions: impl Iterator<Item = &'a Self> + Clone) -> bool {
        let mut triggering = conditions
            .clone()
            .filter(|condition| condition.triggering)
            .peekable();
        conditions
            .filter(|condition| !condition.triggering)
            .all(Self::holds)
            && (triggering.peek().is_none() || triggering.any(Self::holds))
    }
}

pub(crate) fn directory_not_empty(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether some file matches a shell pattern of `*`, `?` and `[…]`, component by component.
pub(crate) fn glob_matches(pattern: &str) -> bool {
    let mut found = vec![std::path::PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if !part.contains(['*', '?', '[']) {
                let path = directory.join(part);
                if path.symlink_metadata().is_ok() {
                    next.push(path);
                }
                continue;
            }
            let entries = std::fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten();
            next.extend(
                entries
                    .filter(|entry| {
                        let name = entry.file_name();
                        let name = name.to_string_lossy();
                        (!name.starts_with('.') || part.starts_with('.'))
                            && matches(part.as_bytes(), name.as_bytes())
                    })
                    .map(|entry| entry.path()),
            );
        }
        found = next;
    }
    !found.is_empty()
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, name) || matches!(name, [_, after @ ..] if matches(pattern, after))
        }
        ([b'?', rest @ ..], [_, after @ ..]) => matches(rest, after),
        ([b'[', rest @ ..], [first, after @ ..]) => {
            let Some(end) = rest.iter().skip(1).position(|byte| *byte == b']') else {
                return false;
            };
            let (set, rest) = rest.split_at(end + 1);
            let rest = rest.get(1..).unwrap_or_default();
            let (negated, set) = match set {
                [b'!' | b'^', set @ ..] => (true, set),
                set => (false, set),
            };
            let mut inside = false;
            let mut index = 0;
            while let Some(low) = set.get(index) {
                if let (Some(b'-'), Some(high)) = (set.get(index + 1), set.get(index + 2)) {
                    inside |= (low..=high).contains(&first);
                    index += 3;
                } else {
                    inside |= low == first;
                    index += 1;
                }
            }
            inside != negated && matches(rest, after)
        }
        ([literal, rest @ ..], [first, after @ ..]) => literal == first && matches(rest, after),
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, matches};

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn negation_and_triggers_combine() {
        let parse = |text| {
            Condition::parse("ConditionPathExists", text)
                .unwrap()
                .unwrap()
        };
        for (texts, expected) in [
            (vec!["/"], true),
            (vec!["!/"], false),
            (vec!["/no/such"], false),
            (vec!["|/no/such", "|/"], true),
            (vec!["|/no/such", "/"], false),
        ] {
            let conditions: Vec<_> = texts.iter().map(|text| parse(text)).collect();
            assert_eq!(
                Condition::all_hold(conditions.iter()),
                expected,
                "{texts:?}"
            );
        }
        assert!(Condition::parse("ConditionVirtualization", "vm").is_none());
    }
}
