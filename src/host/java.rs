//! Java runtimes on this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use connect_core::fingerprint;

use super::{exec, fs};

/// A runtime: the program's path and a fingerprint of its release.
pub type Java = (String, String);

/// The first runtime of at least version `least`: the one on `PATH`, those of the distribution's
/// directory, then those below `own`.
#[must_use]
pub fn find(root: &Path, own: &Path, least: u32) -> Option<Java> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        candidates.extend(std::env::split_paths(&path).map(|directory| directory.join("java")));
    }
    for directory in [root.join("usr/lib/jvm"), own.to_owned()] {
        let names = fs::names(&directory).unwrap_or_default();
        candidates.extend(
            names
                .iter()
                .filter(|name| !name.starts_with('.'))
                .map(|name| directory.join(name).join("bin/java")),
        );
    }
    candidates
        .iter()
        .filter_map(|candidate| judge(candidate))
        .find(|(_, version)| *version >= least)
        .map(|(java, _)| java)
}

/// A runtime says its version in a file; starting it to ask would cost each hook more than all the
/// rest.
fn judge(program: &Path) -> Option<(Java, u32)> {
    let real = program.canonicalize().ok()?;
    let metadata = real.metadata().ok()?;
    if !metadata.is_file() || metadata.len() == 0 || metadata.permissions().mode() & 0o111 == 0 {
        return None;
    }
    let home = real.parent()?.parent()?;
    let text = match fs::read(&home.join("release")) {
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(None) | Err(_) => exec::run(
            real.to_str()?,
            &["-XshowSettings:properties", "--version"],
            &[],
        )
        .ok()?,
    };
    // The program's own path, not the one on PATH: an update of the alternatives does not change
    // what the worker was started with.
    let java = (
        real.to_str()?.to_owned(),
        fingerprint::short(text.as_bytes()),
    );
    Some((java, major(&text)?))
}

/// Of a `release` file (`JAVA_VERSION="17.0.15"`) or of `java --version` (`openjdk 17.0.15 …`).
fn major(text: &str) -> Option<u32> {
    let version = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("JAVA_VERSION="))
        .or_else(|| text.split_whitespace().nth(1))?
        .trim_matches('"');
    let mut parts = version.split(['.', '-', '+', '_']);
    let first = parts.next()?.parse().ok()?;
    // Up to 8 they were called 1.x.
    if first == 1 {
        return parts.next()?.parse().ok();
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_old_and_new() {
        for (text, expected) in [
            ("IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"17.0.15\"\n", 17),
            ("JAVA_VERSION=\"25\"", 25),
            ("JAVA_VERSION=\"1.8.0_402\"", 8),
            ("openjdk 21.0.2 2024-01-16\n", 21),
            ("openjdk 22-ea 2024-03-19\n", 22),
        ] {
            assert_eq!(major(text), Some(expected), "{text}");
        }
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_runtime_that_is_too_old_or_masked_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let make = |home: &str, version: &str, program: &str| {
            let home = root.path().join("own").join(home);
            std::fs::create_dir_all(home.join("bin")).unwrap();
            std::fs::write(home.join("release"), format!("JAVA_VERSION=\"{version}\"")).unwrap();
            std::fs::write(home.join("bin/java"), program).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(home.join("bin/java"), mode).unwrap();
        };
        make("a", "97", "");
        make("b", "8.0.1", "x");
        make("c", "98.1", "x");
        let own = root.path().join("own");
        let (path, release) = find(root.path(), &own, 90).unwrap();
        make("c", "98.2", "x");
        let (_, updated) = find(root.path(), &own, 90).unwrap();
        assert_ne!(release, updated);
        assert!(path.ends_with("/c/bin/java"), "{path}");
        assert_eq!(find(root.path(), &own, 99), None);
    }
}
