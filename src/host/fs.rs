//! Files and directories. Every error says what was being done to which path.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Something could not be done to a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FsError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Turns an IO error into one that names the path.
pub fn failed(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> FsError {
    let path = path.into();
    move |source| FsError {
        action,
        path,
        source,
    }
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A file's content, or nothing if there is none.
///
/// # Errors
///
/// It is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    found(fs::read(path)).map_err(failed("read", path))
}

/// The last `bytes` of a file as text, or nothing if there is none. What somebody else could put in
/// its place, a link or a pipe, is none.
///
/// # Errors
///
/// It is there and cannot be read.
pub fn read_tail(path: &Path, bytes: u64) -> Result<Option<String>, FsError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::LOOP) => return Ok(None),
        opened => found(opened.map_err(io::Error::from)).map_err(failed("open", path))?,
    };
    let Some(mut file) = file.map(File::from) else {
        return Ok(None);
    };
    if !file.metadata().map_err(failed("read", path))?.is_file() {
        return Ok(None);
    }
    let mut read = || {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        (&file).take(bytes).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().map_err(failed("read", path))?;
    Ok(Some(String::from_utf8_lossy(&tail).into_owned()))
}

/// What a path is, links not followed, or nothing if there is nothing.
///
/// # Errors
///
/// The directory above cannot be searched.
pub fn metadata(path: &Path) -> Result<Option<Metadata>, FsError> {
    found(path.symlink_metadata()).map_err(failed("look at", path))
}

/// The names in a directory, sorted; none if there is no such directory. Names that are not UTF-8
/// are not ours and left out.
///
/// # Errors
///
/// It is there and cannot be listed.
pub fn names(directory: &Path) -> Result<Vec<String>, FsError> {
    let Some(entries) = found(fs::read_dir(directory)).map_err(failed("list", directory))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", directory))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Mode and numeric owner of what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// User's number.
    pub user: u32,
    /// Group's number.
    pub group: u32,
}

/// Writes a file by rename: whoever looks sees the old one or the new one, and the new one has its
/// mode and owner from the first moment.
///
/// # Errors
///
/// The directory is missing or full, or we may not write there.
pub fn write(path: &Path, content: &[u8], access: Access) -> Result<(), FsError> {
    replace(path, access, |file| file.write_all(content))
}

/// Copies a program, its modification time included, as [`write()`] does.
///
/// # Errors
///
/// The source cannot be read, or the target not written.
pub fn copy(from: &Path, to: &Path, access: Access) -> Result<(), FsError> {
    let mut source = File::open(from).map_err(failed("open", from))?;
    let modified = source
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(failed("look at", from))?;
    replace(to, access, |file| {
        io::copy(&mut source, file)?;
        file.set_modified(modified)
    })
}

/// The directory that a path is in.
#[must_use]
pub fn above(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

fn replace(
    path: &Path,
    access: Access,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FsError> {
    let directory = above(path);
    // Born readable by root alone; widened once it has its owner.
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory)
        .map_err(failed("create a file beside", path))?;
    let make = || {
        let handle = file.as_file_mut();
        std::os::unix::fs::fchown(&*handle, Some(access.user), Some(access.group))?;
        handle.set_permissions(Permissions::from_mode(access.mode))?;
        fill(handle)?;
        handle.sync_all()
    };
    make().map_err(failed("write", path))?;
    file.persist(path)
        .map_err(|error| failed("put in place", path)(error.error))?;
    sync_directory(directory)
}

/// Makes a directory or corrects its mode and owner. Missing ones above it are made as any program
/// would.
///
/// # Errors
///
/// Something that is not a directory is in the way, or we may not write there.
pub fn make_directory(path: &Path, access: Access) -> Result<(), FsError> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).map_err(failed("create", above))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("create", path)(error)),
    }
    let there = path.symlink_metadata().map_err(failed("look at", path))?;
    if !there.is_dir() {
        return Err(failed("use as a directory", path)(
            io::ErrorKind::NotADirectory.into(),
        ));
    }
    std::os::unix::fs::lchown(path, Some(access.user), Some(access.group))
        .map_err(failed("set the owner of", path))?;
    fs::set_permissions(path, Permissions::from_mode(access.mode))
        .map_err(failed("set the mode of", path))
}

/// Whether mode and owner are as wanted.
#[must_use]
pub fn has_access(metadata: &Metadata, access: Access) -> bool {
    metadata.mode() & 0o7777 == access.mode
        && metadata.uid() == access.user
        && metadata.gid() == access.group
}

/// Removes a file if it is there.
///
/// # Errors
///
/// It is there and cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), FsError> {
    found(fs::remove_file(path))
        .map(drop)
        .map_err(failed("remove", path))
}

/// Removes a directory with everything below it, if it is there; a link is removed itself.
///
/// # Errors
///
/// Something below cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), FsError> {
    match metadata(path)? {
        None => Ok(()),
        Some(there) if there.is_dir() => found(fs::remove_dir_all(path))
            .map(drop)
            .map_err(failed("remove", path)),
        Some(_) => remove_file(path),
    }
}

/// Moves a directory within one file system; a target in the way, such as one that a crash left
/// half removed, is removed first.
///
/// # Errors
///
/// The source is not there, or the move is not possible.
pub fn move_directory(from: &Path, to: &Path) -> Result<(), FsError> {
    remove_tree(to)?;
    fs::rename(from, to).map_err(failed("move", from))?;
    for directory in [from.parent(), to.parent()].into_iter().flatten() {
        sync_directory(directory)?;
    }
    Ok(())
}

/// Makes what happened in a directory last through a crash of the machine.
///
/// # Errors
///
/// It cannot be opened or synced.
pub fn sync_directory(path: &Path) -> Result<(), FsError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(mode: u32) -> Access {
        let there = tempfile::tempdir().unwrap();
        let metadata = there.path().metadata().unwrap();
        Access {
            mode,
            user: metadata.uid(),
            group: metadata.gid(),
        }
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write(&path, b"one", ours(0o640)).unwrap();
        write(&path, b"two", ours(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"two"[..]));
        assert!(has_access(&path.metadata().unwrap(), ours(0o600)));
        assert_eq!(names(root.path()).unwrap(), ["file"]);
    }

    #[test]
    fn a_tail_is_of_a_regular_file() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("file"), "one two").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        let tail = |name: &str| read_tail(&path(name), 3).unwrap();
        assert_eq!(tail("file").as_deref(), Some("two"));
        for other in ["none", "link", "pipe", ""] {
            assert_eq!(tail(other), None, "{other}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_debris() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write(&path, b"old", ours(0o644)).unwrap();
        let error = replace(&path, ours(0o644), |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(error.unwrap_err().to_string().starts_with("cannot write"));
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(names(root.path()).unwrap(), ["file"]);
    }

    #[test]
    fn a_directory_is_made_or_corrected_and_a_link_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        make_directory(&path, ours(0o750)).unwrap();
        make_directory(&path, ours(0o700)).unwrap();
        assert!(has_access(&path.metadata().unwrap(), ours(0o700)));
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(make_directory(&link, ours(0o755)).is_err());
        assert!(has_access(&path.metadata().unwrap(), ours(0o700)));
    }

    #[test]
    fn absent_is_not_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("no/such");
        assert!(read(&path).unwrap().is_none());
        assert!(read_tail(&path, 10).unwrap().is_none());
        assert!(metadata(&path).unwrap().is_none());
        assert!(names(&path).unwrap().is_empty());
        remove_file(&path).unwrap();
        remove_tree(&path).unwrap();
        let file = root.path().join("file");
        fs::write(&file, "0123456789").unwrap();
        assert_eq!(read_tail(&file, 3).unwrap().as_deref(), Some("789"));
    }
}
