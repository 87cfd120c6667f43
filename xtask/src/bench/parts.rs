//! What `make demo-parts` built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder that it built them in.
pub(super) struct Parts<'a> {
    target: &'a Path,
}

impl<'a> Parts<'a> {
    /// The parts below `target`.
    pub(super) fn new(target: &'a Path) -> Self {
        Self { target }
    }

    /// An absolute path below the folder, there or not.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        std::path::absolute(self.target.join(name)).context("cannot tell the current directory")
    }

    /// A part that has to be there.
    pub(super) fn get(&self, name: &str) -> Result<String> {
        let path = self.path(name)?;
        if !path.exists() {
            bail!("{} is missing: run `make demo-parts`", path.display());
        }
        Ok(path.display().to_string())
    }

    /// A packed charm, whatever the architecture.
    pub(super) fn charm(&self, charm: &str) -> Result<String> {
        let directory = self.path("pack")?;
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        let found = paths.find(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy());
            let ours = name.is_some_and(|name| name.starts_with(&format!("{charm}_")));
            ours && path.extension().is_some_and(|end| end == "charm")
        });
        let found =
            found.with_context(|| format!("{charm} is not packed: run `make demo-parts`"))?;
        Ok(found.display().to_string())
    }
}
