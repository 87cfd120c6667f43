//! Release archives: Kafka's jars and Java runtimes out of a tar.gz.
//!
//! What comes here was attached by the operator or checked against a pinned digest, so the limits
//! are against accidents. (Plugins of clients are `connect_plugins`' matter.)

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::Archive;

use super::fs::{FsError, failed, move_directory};

/// Largest unpacked archive in bytes: about ten times a Kafka release or a JRE.
const LARGEST: u64 = 2 << 30;

/// Why an archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A path of ours could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is not a readable tar.gz.
    #[error("cannot read {} as a tar.gz", path.display())]
    Malformed {
        /// The archive.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("cannot find {what} in {}", path.display())]
    Lacks {
        /// What was looked for.
        what: &'static str,
        /// The archive.
        path: PathBuf,
    },
    /// It is far too large.
    #[error("cannot unpack {}: it is larger than {LARGEST} bytes", path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
    },
}

/// Unpacks the jars of a Kafka release: `libs/*.jar`, at the top or one directory below, become
/// `<directory>/libs/*.jar`. The directory appears by one rename.
///
/// # Errors
///
/// See [`ArchiveError`].
pub fn unpack_kafka(path: &Path, directory: &Path) -> Result<(), ArchiveError> {
    let staging = staging(directory)?;
    let libs = staging.path().join("libs");
    fs::create_dir(&libs).map_err(failed("create", &libs))?;
    open_up(&libs)?;
    let malformed = |source| malformed(path, source);
    let mut archive = open(path)?;
    let mut jars = 0_u32;
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Some(name) = jar(&entry.path().map_err(malformed)?) else {
            continue;
        };
        let target = libs.join(name);
        let mut file = File::create(&target).map_err(failed("create", &target))?;
        io::copy(&mut entry, &mut file).map_err(malformed)?;
        file.set_permissions(Permissions::from_mode(0o644))
            .and_then(|()| file.sync_all())
            .map_err(failed("write", &target))?;
        jars += 1;
    }
    exhausted(path, &archive.into_inner())?;
    if jars == 0 {
        return Err(ArchiveError::Lacks {
            what: "libs/*.jar",
            path: path.to_owned(),
        });
    }
    open_up(staging.path())?;
    Ok(move_directory(&staging.keep(), directory)?)
}

/// Unpacks a Java runtime so that `<directory>/bin/java` exists. The directory appears by one
/// rename.
///
/// # Errors
///
/// See [`ArchiveError`].
pub fn unpack_jre(path: &Path, directory: &Path) -> Result<(), ArchiveError> {
    let staging = staging(directory)?;
    let malformed = |source| malformed(path, source);
    let mut archive = open(path)?;
    // Nobody but root may change what root's services run.
    archive.set_mask(0o022);
    let mut homes: Vec<PathBuf> = Vec::new();
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link()) {
            continue;
        }
        let name = entry.path().map_err(malformed)?.into_owned();
        // Nothing is written outside of the directory, through a link or otherwise.
        entry.unpack_in(staging.path()).map_err(malformed)?;
        if name.ends_with("bin/java")
            && let Some(home) = name.parent().and_then(Path::parent)
        {
            homes.push(home.components().filter(is_name).collect());
        }
    }
    exhausted(path, &archive.into_inner())?;
    // A JDK of old has a second one below `jre`.
    let home = homes
        .into_iter()
        .min_by_key(|home| home.components().count())
        .ok_or_else(|| ArchiveError::Lacks {
            what: "bin/java",
            path: path.to_owned(),
        })?;
    let home = staging.path().join(home);
    open_up(&home)?;
    Ok(move_directory(&home, directory)?)
}

fn is_name(component: &Component<'_>) -> bool {
    matches!(component, Component::Normal(_))
}

fn jar(path: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    let (name, above) = parts.split_last()?;
    let ([libs] | [Component::Normal(_), libs]) = above else {
        return None;
    };
    let name: &Path = name.as_ref();
    (libs.as_os_str() == "libs" && name.extension()? == "jar").then(|| name.to_owned())
}

type Tgz = Archive<io::Take<MultiGzDecoder<File>>>;

fn open(path: &Path) -> Result<Tgz, ArchiveError> {
    let file = File::open(path).map_err(failed("open", path))?;
    Ok(Archive::new(MultiGzDecoder::new(file).take(LARGEST)))
}

fn exhausted(path: &Path, reader: &io::Take<MultiGzDecoder<File>>) -> Result<(), ArchiveError> {
    if reader.limit() == 0 {
        return Err(ArchiveError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn malformed(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Malformed {
        path: path.to_owned(),
        source,
    }
}

/// A directory beside the target that deletes itself unless it is kept.
fn staging(directory: &Path) -> Result<tempfile::TempDir, FsError> {
    let above = super::fs::above(directory);
    tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(above)
        .map_err(failed("create a directory in", above))
}

fn open_up(directory: &Path) -> Result<(), FsError> {
    fs::set_permissions(directory, Permissions::from_mode(0o755))
        .map_err(failed("set the mode of", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn tgz(root: &Path, entries: &[(&str, &str)]) -> PathBuf {
        let path = root.join("archive.tgz");
        let gzip = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        let mut tar = tar::Builder::new(gzip);
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o777);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            tar.append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
        path
    }

    #[test]
    fn only_jars_of_libs_are_kept() {
        for top in ["kafka_2.13-4.1.2/", "", "./"] {
            let root = tempfile::tempdir().unwrap();
            let entries = [
                (format!("{top}libs/kafka-clients-4.1.2.jar"), "a"),
                (format!("{top}libs/deep/x.jar"), "b"),
                (format!("{top}bin/x.jar"), "c"),
                (format!("{top}libs/x.txt"), "d"),
            ];
            let entries: Vec<(&str, &str)> = entries
                .iter()
                .map(|(name, text)| (&**name, *text))
                .collect();
            let archive = tgz(root.path(), &entries);
            let target = root.path().join("kafka");
            unpack_kafka(&archive, &target).unwrap();
            unpack_kafka(&archive, &target).unwrap();
            let names = super::super::fs::names(&target.join("libs")).unwrap();
            assert_eq!(names, ["kafka-clients-4.1.2.jar"], "{top}");
            let mode = target.join("libs").metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
            assert_eq!(super::super::fs::names(root.path()).unwrap().len(), 2);
        }
    }

    #[test]
    fn a_runtime_is_found_at_any_depth() {
        let root = tempfile::tempdir().unwrap();
        let archive = tgz(
            root.path(),
            &[
                ("some/jdk-21/jre/bin/java", "deep"),
                ("some/jdk-21/bin/java", "java"),
                ("some/jdk-21/release", "JAVA_VERSION=\"21\""),
            ],
        );
        let target = root.path().join("jre");
        unpack_jre(&archive, &target).unwrap();
        let program = target.join("bin/java");
        assert_eq!(fs::read_to_string(&program).unwrap(), "java");
        assert_eq!(
            program.metadata().unwrap().permissions().mode() & 0o777,
            0o755
        );
    }

    #[test]
    fn what_is_not_such_an_archive_is_refused_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("t");
        let text = root.path().join("text");
        fs::write(&text, "<html>").unwrap();
        assert!(matches!(
            unpack_kafka(&text, &target),
            Err(ArchiveError::Malformed { .. })
        ));
        let archive = tgz(root.path(), &[("a/b", "c")]);
        assert!(matches!(
            unpack_kafka(&archive, &target),
            Err(ArchiveError::Lacks { .. })
        ));
        assert!(matches!(
            unpack_jre(&archive, &target),
            Err(ArchiveError::Lacks { .. })
        ));
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
        assert!(unpack_jre(&archive, &target).is_err());
        assert_eq!(super::super::fs::names(root.path()).unwrap().len(), 2);
    }
}
