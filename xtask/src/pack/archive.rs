//! The zip: sorted names, one time, two modes, one compression.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// Deflate's middle way; said here so that a library's changed default changes no bytes.
const LEVEL: i64 = 6;

/// How Juju unpacks a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    Executable,
}

impl Mode {
    const fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Executable => 0o755,
        }
    }
}

/// One file of the charm.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) content: Vec<u8>,
}

impl Entry {
    pub(super) fn read(path: &Path, name: String, mode: Mode) -> Result<Self> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            name,
            mode,
            content,
        })
    }
}

/// Juju never adds the execute bit to `dispatch`; a checkout that lost it is told so here.
pub(super) fn demand_executable(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.permissions().mode() & 0o111 == 0 {
        bail!("cannot pack {}: it is not executable", path.display());
    }
    Ok(())
}

/// Appends every file below `directory`, named below `name`.
pub(super) fn read_tree(directory: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let context = || format!("cannot list {}", directory.display());
    for found in fs::read_dir(directory).with_context(context)? {
        let found = found.with_context(context)?;
        let Ok(file) = found.file_name().into_string() else {
            bail!(
                "cannot pack {}: its name is not UTF-8",
                found.path().display()
            );
        };
        let name = format!("{name}/{file}");
        let kind = found.file_type().with_context(context)?;
        if kind.is_dir() {
            read_tree(&found.path(), &name, entries)?;
        } else if kind.is_file() {
            entries.push(Entry::read(&found.path(), name, Mode::Plain)?);
        } else {
            bail!(
                "cannot pack {}: neither a file nor a directory",
                found.path().display()
            );
        }
    }
    Ok(())
}

/// The archive's bytes. The order of `entries` does not matter.
pub(super) fn write(mut entries: Vec<Entry>) -> Result<Vec<u8>> {
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            // The earliest time a zip can hold: 1 January 1980.
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .unix_permissions(entry.mode.bits());
        let context = || format!("cannot pack {}", entry.name);
        zip.start_file(&*entry.name, options)
            .with_context(context)?;
        zip.write_all(&entry.content).with_context(context)?;
    }
    Ok(zip
        .finish()
        .context("cannot finish the archive")?
        .into_inner())
}
