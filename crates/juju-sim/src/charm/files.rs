//! Getting a charm's files to their place, modes included.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use super::{CharmError, Result};

/// Reads a file at the charm's root; nothing if it is not there.
pub(super) fn read(directory: &Path, name: &str) -> Result<Option<String>> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CharmError::NotACharm { path, source }),
    }
}

fn writing<T>(path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| CharmError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Copies a charm directory, without version control and hidden files at its root.
pub(super) fn copy_directory(source: &Path, target: &Path) -> Result<Vec<String>> {
    let mut written = Vec::new();
    copy_below(source, target, Path::new(""), &mut written)?;
    Ok(written)
}

fn copy_below(source: &Path, target: &Path, below: &Path, written: &mut Vec<String>) -> Result<()> {
    let from = source.join(below);
    writing(target, fs::create_dir_all(target.join(below)))?;
    let not_a_charm = |error| CharmError::NotACharm {
        path: from.clone(),
        source: error,
    };
    for entry in fs::read_dir(&from).map_err(not_a_charm)? {
        let entry = entry.map_err(not_a_charm)?;
        let relative = below.join(entry.file_name());
        let kind = entry.file_type().map_err(not_a_charm)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if below.as_os_str().is_empty() && hidden {
            continue;
        }
        let to = target.join(&relative);
        if kind.is_dir() {
            copy_below(source, target, &relative, written)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).map_err(not_a_charm)?;
            check_link(&relative, &link)?;
            replace(&to)?;
            writing(&to, symlink(link, &to))?;
            written.push(relative.to_string_lossy().into_owned());
        } else if kind.is_file() {
            replace(&to)?;
            writing(&to, fs::copy(entry.path(), &to))?;
            let mode = writing(&to, to.metadata())?.permissions().mode();
            settle(&to, mode)?;
            written.push(relative.to_string_lossy().into_owned());
        } else {
            return Err(refused(&relative, "unknown file type"));
        }
    }
    Ok(())
}

/// Unpacks an archive.
pub(super) fn unpack_archive(source: &Path, target: &Path) -> Result<Vec<String>> {
    let path = source.to_owned();
    let file = fs::File::open(source).map_err(|source| CharmError::NotACharm {
        path: path.clone(),
        source,
    })?;
    let archive = |source| CharmError::Archive {
        path: path.clone(),
        source,
    };
    let mut zip = zip::ZipArchive::new(file).map_err(archive)?;
    writing(target, fs::create_dir_all(target))?;
    let mut written = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(archive)?;
        let relative = PathBuf::from(entry.name().map_err(archive)?.into_owned());
        if !stays_inside(Path::new(""), &relative) {
            return Err(refused(&relative, "path leaves the charm"));
        }
        let to = target.join(&relative);
        if entry.is_dir() {
            writing(&to, fs::create_dir_all(&to))?;
            continue;
        }
        if let Some(parent) = to.parent() {
            writing(parent, fs::create_dir_all(parent))?;
        }
        replace(&to)?;
        let mode = entry.unix_mode().unwrap_or(0);
        if mode & 0o170_000 == 0o120_000 {
            let link = writing(&to, io::read_to_string(&mut entry))?;
            check_link(&relative, Path::new(&link))?;
            writing(&to, symlink(link, &to))?;
        } else {
            let mut out = writing(&to, fs::File::create(&to))?;
            writing(&to, io::copy(&mut entry, &mut out))?;
            // An archive without Unix modes gives files nobody may execute, as with Juju.
            let mut mode = match mode & 0o777 {
                0 => 0o644,
                mode => mode,
            };
            if relative.parent() == Some(Path::new("hooks")) {
                mode |= 0o100;
            }
            writing(&to, fs::set_permissions(&to, Permissions::from_mode(mode)))?;
            drop(out);
            settle(&to, mode)?;
        }
        written.push(relative.to_string_lossy().into_owned());
    }
    Ok(written)
}

/// Makes a program safe to execute at once.
///
/// The daemon has many threads, and one of them may be starting a process just while this one had
/// the file open for writing: until that process has become its program it holds the file too, and
/// executing it fails with "text file busy". A copy that another process made was never open here.
fn settle(path: &Path, mode: u32) -> Result<()> {
    if mode & 0o111 == 0 {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    writing(path, fs::rename(path, &aside))?;
    let copy = std::process::Command::new("cp")
        .arg("-p")
        .arg(&aside)
        .arg(path)
        .output();
    let copy = writing(path, copy)?;
    if !copy.status.success() {
        let words = String::from_utf8_lossy(&copy.stderr).trim().to_owned();
        return writing(path, Err(io::Error::other(words)));
    }
    writing(&aside, fs::remove_file(&aside))
}

/// Each file is unlinked and born anew, so that a running program keeps its old inode.
fn replace(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => writing(path, Err(error)),
        _ => Ok(()),
    }
}

fn check_link(at: &Path, link: &Path) -> Result<()> {
    let base = at.parent().unwrap_or_else(|| Path::new(""));
    if stays_inside(base, link) {
        Ok(())
    } else {
        Err(refused(at, "symbolic link leaves the charm"))
    }
}

fn stays_inside(base: &Path, relative: &Path) -> bool {
    let mut depth = base.components().count();
    relative.components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let inside = depth > 0;
            depth = depth.saturating_sub(1);
            inside
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

fn refused(entry: &Path, fault: &'static str) -> CharmError {
    CharmError::Entry {
        entry: entry.display().to_string(),
        fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn archive(entries: &[(&str, u32, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        for (name, mode, text) in entries {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
            if *mode == 0o777 {
                zip.add_symlink(*name, *text, options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap();
        file
    }

    #[test]
    fn modes_and_links_survive_unpacking() {
        let file = archive(&[
            ("dispatch", 0o755, "x"),
            ("a/b", 0o600, "y"),
            ("a/l", 0o777, "../dispatch"),
        ]);
        let target = tempfile::tempdir().unwrap();
        let written = unpack_archive(file.path(), target.path()).unwrap();
        assert_eq!(written, ["dispatch", "a/b", "a/l"]);
        let mode = |name: &str| {
            fs::metadata(target.path().join(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(
            (mode("dispatch"), mode("a/b"), mode("a/l")),
            (0o755, 0o600, 0o755)
        );
    }

    #[test]
    fn nothing_leaves_the_charm() {
        for entries in [
            [("../x", 0o644, "x")],
            [("/x", 0o644, "x")],
            [("l", 0o777, "../x")],
            [("a/l", 0o777, "/etc/passwd")],
        ] {
            let file = archive(&entries);
            let target = tempfile::tempdir().unwrap();
            assert!(
                unpack_archive(file.path(), target.path()).is_err(),
                "{entries:?}"
            );
        }
    }
}
