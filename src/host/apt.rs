//! Packages of the distribution.

use super::exec::{self, ExecError};

/// Installs packages without asking. Fetches the package lists first only if the packages cannot
/// be installed without: a machine whose image brings them needs no mirror.
///
/// A lock held by another process is a failure, not a wait: the next hook tries again.
///
/// # Errors
///
/// `apt-get` failed.
pub fn install(packages: &[String], proxies: &[(&str, &str)]) -> Result<(), ExecError> {
    let mut environment = vec![("DEBIAN_FRONTEND", "noninteractive"), ("LC_ALL", "C")];
    environment.extend(proxies);
    let mut arguments = vec!["--yes", "--no-install-recommends", "install", "--"];
    arguments.extend(packages.iter().map(String::as_str));
    match exec::run("apt-get", &arguments, &environment) {
        Ok(_) => Ok(()),
        Err(ExecError::Failed { ref message, .. }) if is_outdated(message) => {
            exec::run("apt-get", &["--quiet", "update"], &environment)?;
            exec::run("apt-get", &arguments, &environment).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// The failure is one that newer package lists may cure.
fn is_outdated(message: &str) -> bool {
    [
        "Unable to locate package",
        "has no installation candidate",
        "Unable to fetch",
        "Failed to fetch",
        "apt-get update",
    ]
    .iter()
    .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_or_moved_packages_ask_for_new_lists() {
        assert!(is_outdated(
            "E: Unable to locate package openjdk-17-jre-headless"
        ));
        assert!(is_outdated(
            "E: Failed to fetch http://x/y.deb  404  Not Found"
        ));
        assert!(!is_outdated(
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)"
        ));
    }
}
