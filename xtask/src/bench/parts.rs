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

    /// The packed charm, whatever the architecture.
    pub(super) fn charm(&self) -> Result<String> {
        let directory = self.path("pack")?;
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        let mut names = entries.flatten().map(|entry| entry.file_name());
        let found = names.find_map(|name| {
            let name = name.to_string_lossy().into_owned();
            (name.starts_with("kafka-connect_") && name.ends_with(".charm")).then_some(name)
        });
        let found = found.context("the packed charm is missing: run `make demo-parts`")?;
        Ok(directory.join(found).display().to_string())
    }
}
