//! Every decision about a single archive entry. No IO: names and kinds in, a verdict out.
//!
//! What is refused, and why: absolute paths, `..`, names that are not UTF-8 or hold control
//! characters or backslashes (they mean different files to different programs) or invisible ones
//! (they mean different files to different people); **every** symbolic and hard link (class loaders need none, and without links nothing can lead outside); devices,
//! fifos, sparse and unknown kinds; files with setuid or setgid; a name that comes twice, is both
//! file and directory, or differs from another by case alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{Limit, Limits};

/// What kind of thing an archive says an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    SymbolicLink,
    HardLink,
    Device,
    Fifo,
    Sparse,
    Other,
}

/// One entry as the archive describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: EntryKind,
    /// Permission bits, if the archive has any.
    pub(crate) mode: u32,
    /// Declared size; what is written is counted anyway.
    pub(crate) size: u64,
}

/// What to do with an entry. Paths are relative, clean, and have at least one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The root directory itself: nothing to do.
    Root,
    /// Make this directory (again).
    Directory(String),
    /// Write this file.
    File(String),
}

/// Why an entry is refused. The name is shortened and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The entry's name, fit to print.
    pub name: String,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry `{}` {}", self.name, self.reason)
    }
}

/// Why the pass ends at an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused(Refusal),
    Limit(Limit),
}

/// What the archive has shown so far.
#[derive(Debug)]
pub(crate) struct Ledger<'l> {
    limits: &'l Limits,
    /// Case-folded path → the path as spelled, and whether it is a directory.
    seen: BTreeMap<String, (String, bool)>,
    declared: u64,
}

impl<'l> Ledger<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            seen: BTreeMap::new(),
            declared: 0,
        }
    }

    /// Judges the next entry.
    pub(crate) fn judge(&mut self, entry: &Entry<'_>) -> Result<Verdict, Stop> {
        let refuse = |reason| {
            Stop::Refused(Refusal {
                name: printable(entry.name),
                reason: Cow::Borrowed(reason),
            })
        };
        if entry.name.len() > self.limits.path {
            return Err(Stop::Limit(Limit::Path(self.limits.path)));
        }
        let name =
            std::str::from_utf8(entry.name).map_err(|_| refuse("has a name that is not UTF-8"))?;
        let components = components(name).map_err(&refuse)?;
        let directory = match entry.kind {
            EntryKind::Directory => true,
            // Before tar had a kind for directories, a trailing slash was the sign.
            EntryKind::File if name.ends_with('/') && entry.size == 0 => true,
            EntryKind::File if name.ends_with('/') => {
                return Err(refuse("is a directory with content"));
            }
            EntryKind::File => false,
            EntryKind::SymbolicLink => return Err(refuse("is a symbolic link")),
            EntryKind::HardLink => return Err(refuse("is a hard link")),
            EntryKind::Device => return Err(refuse("is a device")),
            EntryKind::Fifo => return Err(refuse("is a fifo")),
            EntryKind::Sparse => return Err(refuse("is a sparse file")),
            EntryKind::Other => return Err(refuse("is of an unknown kind")),
        };
        if components.is_empty() {
            return if directory {
                Ok(Verdict::Root)
            } else {
                Err(refuse("has no name"))
            };
        }
        if components.len() > self.limits.depth {
            return Err(Stop::Limit(Limit::Depth(self.limits.depth)));
        }
        // Some packers set setgid on directories; modes are ours there, and it means no execution.
        if !directory && entry.mode & 0o6000 != 0 {
            return Err(refuse("is setuid or setgid"));
        }
        if entry.size > self.limits.file {
            return Err(Stop::Limit(Limit::File(self.limits.file)));
        }
        self.declared = self.declared.saturating_add(entry.size);
        if self.declared > self.limits.unpacked {
            return Err(Stop::Limit(Limit::Unpacked(self.limits.unpacked)));
        }
        let mut path = String::with_capacity(name.len());
        for (index, component) in components.iter().enumerate() {
            let last = index + 1 == components.len();
            if index > 0 {
                path.push('/');
            }
            path.push_str(component);
            self.enter(&path, directory || !last, last)
                .map_err(|stop| match stop {
                    Clash::Refused(reason) => refuse(reason),
                    Clash::TooMany => Stop::Limit(Limit::Entries(self.limits.entries)),
                })?;
        }
        Ok(if directory {
            Verdict::Directory(path)
        } else {
            Verdict::File(path)
        })
    }

    fn enter(&mut self, path: &str, directory: bool, last: bool) -> Result<(), Clash> {
        // Upper case first: it folds what has no single lower-case partner, such as ß and SS.
        let folded = path.to_uppercase().to_lowercase();
        match self.seen.get(&folded) {
            None => {
                if self.seen.len() as u64 >= self.limits.entries {
                    return Err(Clash::TooMany);
                }
                self.seen.insert(folded, (path.to_owned(), directory));
                Ok(())
            }
            Some((spelled, _)) if spelled != path => {
                Err(Clash::Refused("differs from another entry by case alone"))
            }
            Some((_, true)) if directory => Ok(()),
            Some((_, false)) if !directory && last => Err(Clash::Refused("comes twice")),
            Some(_) => Err(Clash::Refused("is both a file and a directory")),
        }
    }
}

enum Clash {
    Refused(&'static str),
    TooMany,
}

/// The components of a path that stays where it is put. `.` and doubled slashes mean nothing.
fn components(name: &str) -> Result<Vec<&str>, &'static str> {
    if name.is_empty() {
        return Err("has no name");
    }
    if name.starts_with('/') {
        return Err("has an absolute path");
    }
    if name.contains('\\') {
        return Err("has a backslash in its name");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    if name.chars().any(is_invisible) {
        return Err("has an invisible character in its name");
    }
    let mut components = Vec::new();
    for component in name.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err("leaves the bundle"),
            // NAME_MAX of every file system we may meet.
            long if long.len() > 255 => return Err("has a name longer than 255 bytes"),
            plain => components.push(plain),
        }
    }
    Ok(components)
}

/// Characters without a shape of their own: they turn the direction of the text around them, or
/// make two names look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A name cut to what a status line can carry, with anything unprintable replaced.
pub(crate) fn printable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let clean = |c: char| {
        if c.is_control() || is_invisible(c) || c == '`' {
            '?'
        } else {
            c
        }
    };
    let short: String = text.chars().take(60).map(clean).collect();
    if text.chars().nth(60).is_some() {
        format!("{short}…")
    } else {
        short
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, EntryKind, Ledger, Stop, Verdict};
    use crate::limits::{Limit, Limits};

    fn file(name: &str) -> Entry<'_> {
        Entry {
            name: name.as_bytes(),
            kind: EntryKind::File,
            mode: 0o644,
            size: 1,
        }
    }

    fn reason(entries: &[Entry<'_>]) -> Result<Verdict, String> {
        let limits = Limits {
            entries: 6,
            depth: 4,
            path: 40,
            file: 100,
            unpacked: 150,
            ..Limits::default()
        };
        let mut ledger = Ledger::new(&limits);
        let mut last = Ok(Verdict::Root);
        for entry in entries {
            last = ledger.judge(entry);
        }
        last.map_err(|stop| match stop {
            Stop::Refused(refusal) => refusal.reason.into_owned(),
            Stop::Limit(limit) => limit.to_string(),
        })
    }

    #[test]
    fn clean_names_pass() {
        for (name, path) in [
            ("a.jar", "a.jar"),
            ("./a/b.jar", "a/b.jar"),
            ("a//b/./c.jar", "a/b/c.jar"),
            ("…/ü.jar", "…/ü.jar"),
            ("a/..b/c...jar", "a/..b/c...jar"),
        ] {
            assert_eq!(
                reason(&[file(name)]),
                Ok(Verdict::File(path.to_owned())),
                "{name}"
            );
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        for (name, expect) in [
            ("/etc/passwd", "has an absolute path"),
            ("../x", "leaves the bundle"),
            ("a/../../x", "leaves the bundle"),
            ("a/..", "leaves the bundle"),
            ("a/../b", "leaves the bundle"),
            ("..", "leaves the bundle"),
            ("a\\..\\b", "has a backslash in its name"),
            ("a\nb", "has a control character in its name"),
            ("a\u{202e}b", "has an invisible character in its name"),
            ("a\0b", "has a control character in its name"),
            ("", "has no name"),
            (".", "has no name"),
            ("a/b/c/d/e", "a path is deeper than 4 levels"),
            (
                "a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                "a path is longer than 40 bytes",
            ),
            ("dir/", "is a directory with content"),
        ] {
            assert_eq!(reason(&[file(name)]), Err(expect.to_owned()), "{name:?}");
        }
        let latin = Entry {
            name: b"caf\xe9.jar",
            ..file("")
        };
        assert_eq!(
            reason(&[latin]),
            Err("has a name that is not UTF-8".to_owned())
        );
    }

    #[test]
    fn only_files_and_directories_pass() {
        for (kind, expect) in [
            (EntryKind::SymbolicLink, "is a symbolic link"),
            (EntryKind::HardLink, "is a hard link"),
            (EntryKind::Device, "is a device"),
            (EntryKind::Fifo, "is a fifo"),
            (EntryKind::Sparse, "is a sparse file"),
            (EntryKind::Other, "is of an unknown kind"),
        ] {
            assert_eq!(
                reason(&[Entry { kind, ..file("x") }]),
                Err(expect.to_owned())
            );
        }
        let setuid = Entry {
            mode: 0o4755,
            ..file("x")
        };
        assert_eq!(reason(&[setuid]), Err("is setuid or setgid".to_owned()));
        let directory = Entry {
            kind: EntryKind::Directory,
            mode: 0o2755,
            size: 0,
            ..file("d/")
        };
        assert_eq!(reason(&[directory]), Ok(Verdict::Directory("d".to_owned())));
        assert_eq!(
            reason(&[Entry {
                name: b"./",
                ..directory
            }]),
            Ok(Verdict::Root)
        );
    }

    #[test]
    fn names_must_not_clash() {
        let directory = Entry {
            kind: EntryKind::Directory,
            size: 0,
            ..file("a")
        };
        for (entries, expect) in [
            (vec![file("a"), file("a")], Err("comes twice")),
            (vec![file("a"), file("./a")], Err("comes twice")),
            (
                vec![file("A.jar"), file("a.JAR")],
                Err("differs from another entry by case alone"),
            ),
            (
                vec![file("Lib/a"), file("lib/b")],
                Err("differs from another entry by case alone"),
            ),
            (
                vec![file("straße"), file("STRASSE")],
                Err("differs from another entry by case alone"),
            ),
            (
                vec![file("a"), file("a/b")],
                Err("is both a file and a directory"),
            ),
            (
                vec![file("a/b"), file("a")],
                Err("is both a file and a directory"),
            ),
            (
                vec![file("a"), directory],
                Err("is both a file and a directory"),
            ),
            (
                vec![directory, directory],
                Ok(Verdict::Directory("a".to_owned())),
            ),
            (
                vec![file("a/b"), directory],
                Ok(Verdict::Directory("a".to_owned())),
            ),
        ] {
            assert_eq!(
                reason(&entries),
                expect.map_err(str::to_owned),
                "{entries:?}"
            );
        }
    }

    #[test]
    fn counts_are_limited() {
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| file(name)).collect();
        assert_eq!(reason(&many), Err(Limit::Entries(6).to_string()));
        let implied = [file("a/b/c/1"), file("d/e/f/2")];
        assert_eq!(reason(&implied), Err(Limit::Entries(6).to_string()));
        assert_eq!(
            reason(&[Entry {
                size: 101,
                ..file("x")
            }]),
            Err(Limit::File(100).to_string())
        );
        let two = [
            Entry {
                size: 99,
                ..file("x")
            },
            Entry {
                size: 99,
                ..file("y")
            },
        ];
        assert_eq!(reason(&two), Err(Limit::Unpacked(150).to_string()));
    }
}
