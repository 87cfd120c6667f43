//! Files that a tool reads or writes, through whoever drives the model.

/// The file system as a unit's agent sees it. Paths are absolute.
pub trait Files {
    /// A file's content.
    ///
    /// # Errors
    /// The system's words, such as `no such file or directory`; see [`os_error`].
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// Creates or replaces a file (`-o`).
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    fn write(&self, path: &str, content: &[u8]) -> Result<(), String>;
}

/// An error in the words Go uses for it.
#[must_use]
pub fn os_error(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let said = error.to_string();
    let said = said.split(" (os error").next().unwrap_or_default();
    let known = [
        (ErrorKind::NotFound, "no such file or directory"),
        (ErrorKind::PermissionDenied, "permission denied"),
        (ErrorKind::IsADirectory, "is a directory"),
        (ErrorKind::NotADirectory, "not a directory"),
    ];
    let known = known.into_iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| said.to_lowercase(), |(_, text)| text.to_owned())
}

/// Where a path leads from a directory.
pub(crate) fn absolute(directory: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    };
    clean(&joined)
}

/// The shortest equal path, as Go's `filepath.Clean` gives it.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_in_the_callers_directory() {
        assert_eq!(absolute("/charm", "a.yaml"), "/charm/a.yaml");
        assert_eq!(absolute("/charm", "../x/./a"), "/x/a");
        assert_eq!(absolute("/charm", "/etc//a"), "/etc/a");
        assert_eq!(clean(""), ".");
    }
}
