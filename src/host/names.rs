//! What this machine is called.

use std::collections::BTreeSet;
use std::path::Path;

use super::fs::{self, FsError};

/// The host name, and longer names that `/etc/hosts` has for it: what `hostname --fqdn` would say
/// without asking the network.
///
/// # Errors
///
/// A file is there and cannot be read.
pub fn names(root: &Path) -> Result<BTreeSet<String>, FsError> {
    let read = |path: &Path| -> Result<String, FsError> {
        let bytes = fs::read(path)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let host = read(Path::new("/proc/sys/kernel/hostname"))?;
    let hosts = read(&root.join("etc/hosts"))?;
    Ok(longer(host.trim(), &hosts))
}

fn longer(host: &str, hosts: &str) -> BTreeSet<String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 253
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    let own = format!("{host}.");
    let longer = hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(|line| line.split_whitespace().skip(1))
        .filter(|name| name.starts_with(&own));
    std::iter::once(host)
        .chain(longer)
        .filter(|name| is_name(name) && *name != "localhost")
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::longer;

    #[test]
    fn names_of_this_machine_are_found_and_no_others() {
        let hosts =
            "127.0.0.1 localhost\n127.0.1.1 juju-1.lxd juju-1 # juju-1.no\n10.0.0.1 juju-10.lxd\n";
        let names: Vec<String> = longer("juju-1", hosts).into_iter().collect();
        assert_eq!(names, ["juju-1", "juju-1.lxd"]);
        assert!(longer("localhost", "127.0.0.1 localhost").is_empty());
        assert!(longer("", "").is_empty());
    }
}
