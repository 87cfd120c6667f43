//! Makes `.charm` files: a zip whose bytes depend on its files' content and nothing else.
//!
//! Contract: Juju's charm archive (entries at the root, Unix modes in the zip, a manifest with a
//! base); the layout is the one `charmcraft.yaml` describes.

mod archive;
mod elf;
mod manifest;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use archive::{Entry, Mode};
pub use elf::{Glibc, highest_glibc};
pub use manifest::{Architecture, BASE};

/// The C library of the base: Ubuntu 24.04 has no newer symbols.
pub const GLIBC_LIMIT: Glibc = Glibc(2, 39);

/// What goes into one charm.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The charm's name, first part of the file's name.
    pub name: &'static str,
    /// Directory with the charm's YAML files and `hooks/dispatch`, below the checkout's root.
    pub source: &'static str,
    /// Programs of the release profile that go to `bin/`.
    pub programs: &'static [&'static str],
    /// Directories below `source`, packed with everything in them.
    pub directories: &'static [&'static str],
    /// Files below `source` that the charm carries beside the YAML files.
    pub files: &'static [&'static str],
}

/// The charms of this repository.
#[must_use]
pub fn recipes() -> Vec<Recipe> {
    vec![
        Recipe {
            name: "kafka-connect",
            source: ".",
            programs: &["kafka-connect-charm", "kafka-connect-gateway"],
            directories: &["schemas"],
            files: &["README.md", "LICENSE", "icon.svg"],
        },
        Recipe {
            name: "connect-integrator",
            source: "integrator",
            programs: &["connect-integrator"],
            directories: &[],
            files: &["README.md"],
        },
    ]
}

/// A charm that was written.
#[derive(Debug)]
pub struct Packed {
    /// Where it is.
    pub path: PathBuf,
    /// Size of the archive in bytes.
    pub bytes: u64,
    /// The newest C library symbol that one of the programs needs; none for static programs.
    pub glibc: Option<Glibc>,
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tenths of a MiB, in integers.
        let tenths = self.bytes * 10 / (1024 * 1024);
        write!(
            f,
            "{}: {}.{} MiB",
            self.path.display(),
            tenths / 10,
            tenths % 10
        )?;
        match self.glibc {
            Some(glibc) => write!(f, ", needs {glibc} (the base has {GLIBC_LIMIT})"),
            None => write!(f, ", needs no C library"),
        }
    }
}

/// Packs `recipe` from the checkout at `root` and the programs in `target`/release into
/// `target`/pack. An existing file is replaced in one step, and only when the content differs.
///
/// # Errors
/// A file is missing or not readable, `dispatch` is not executable, a program is of another
/// architecture than this build, or needs a newer C library than the base has.
pub fn pack(root: &Path, target: &Path, recipe: &Recipe) -> Result<Packed> {
    let architecture = Architecture::of_this_build()?;
    let source = root.join(recipe.source);
    let mut entries = vec![Entry {
        name: "manifest.yaml".to_owned(),
        mode: Mode::Plain,
        content: manifest::render(architecture).into_bytes(),
    }];
    for file in ["metadata.yaml", "config.yaml", "actions.yaml"]
        .iter()
        .chain(recipe.files)
    {
        entries.push(Entry::read(
            &source.join(file),
            (*file).to_owned(),
            Mode::Plain,
        )?);
    }
    let dispatch = source.join("hooks/dispatch");
    archive::demand_executable(&dispatch)?;
    entries.push(Entry::read(
        &dispatch,
        "dispatch".to_owned(),
        Mode::Executable,
    )?);
    for directory in recipe.directories {
        archive::read_tree(&source.join(directory), directory, &mut entries)?;
    }
    let mut glibc = None;
    for program in recipe.programs {
        let path = target.join("release").join(program);
        let entry = Entry::read(&path, format!("bin/{program}"), Mode::Executable)
            .with_context(|| format!("cannot find {program}: build it first"))?;
        glibc = glibc.max(check_program(program, &entry.content, architecture)?);
        entries.push(entry);
    }
    let path = target
        .join("pack")
        .join(format!("{}_{BASE}-{architecture}.charm", recipe.name));
    let content = archive::write(entries)?;
    replace(&path, &content)?;
    Ok(Packed {
        path,
        bytes: content.len() as u64,
        glibc,
    })
}

fn check_program(name: &str, content: &[u8], architecture: Architecture) -> Result<Option<Glibc>> {
    if elf::machine(content) != Some(architecture.elf_machine()) {
        bail!("cannot pack {name}: it is not a program for {architecture}");
    }
    let needed = highest_glibc(content);
    if let Some(needed) = needed.filter(|needed| *needed > GLIBC_LIMIT) {
        bail!("cannot pack {name}: it needs {needed}, and the base has {GLIBC_LIMIT}");
    }
    Ok(needed)
}

/// Leaves an equal file alone, so that its time tells when the charm really changed.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let directory = path
        .parent()
        .expect("the path was joined from a directory and a name");
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let fresh = path.with_extension("charm.new");
    fs::write(&fresh, content).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot replace {}", path.display()))
}
