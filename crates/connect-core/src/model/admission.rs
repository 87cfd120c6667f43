//! On what terms a plugin is let in: what it may cost this machine, and what the operator allows.

use std::collections::BTreeSet;

use crate::fingerprint;

/// What one plugin may cost. **Contract:** the fields of `Limits` in `connect-plugins` that an
/// operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Bytes as served.
    pub served_bytes: u64,
    /// Bytes unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files and directories.
    pub entries: u64,
    /// Unpacked bytes per served byte.
    pub ratio: u64,
    /// Bytes of one path.
    pub path_bytes: u64,
    /// Components of one path.
    pub depth: u64,
}

/// What the operator lets in of what clients name. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Hosts to fetch from, lower case: names and addresses, or `.example.com` for all below it.
    /// None: any.
    pub hosts: Option<BTreeSet<String>>,
    /// SHA-256 of archives, lower-case hex. None: any.
    pub sha256: Option<BTreeSet<String>>,
}

impl Allowed {
    /// Why a plugin that is here already would not be let in any more, if it would not. A redirect's
    /// target is only known to whoever follows it.
    #[must_use]
    pub fn objection(&self, url: &str, digest: &str) -> Option<String> {
        let refuses = |list: &Option<BTreeSet<String>>, allows: &dyn Fn(&String) -> bool| {
            list.as_ref().is_some_and(|list| !list.iter().any(allows))
        };
        let host = host(url);
        let option = if refuses(&self.sha256, &|allowed| allowed == digest) {
            "plugin-allowed-sha256"
        } else if refuses(&self.hosts, &|allowed| covers(allowed, &host)) {
            "plugin-allowed-hosts"
        } else {
            return None;
        };
        Some(format!("not in {option}; what is here already stays"))
    }
}

/// The terms of one fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What it may cost.
    pub limits: PluginLimits,
    /// What is let in.
    pub allowed: Allowed,
    /// CA certificates to trust besides the machine's, PEM.
    pub authorities: Vec<String>,
}

impl Terms {
    /// Changes with anything that may make a refused plugin acceptable.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint::short(format!("{self:?}").as_bytes())
    }
}

/// Whether an allowed host, or domain with a leading dot, is or has `host`; both in lower case.
fn covers(allowed: &str, host: &str) -> bool {
    host == allowed || allowed.starts_with('.') && host.ends_with(allowed)
}

/// The host in a URL that the schema let through, in lower case; an IPv6 address in its brackets.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    let host = match place.split_once(']') {
        Some((address, _)) => return format!("{}]", address.to_ascii_lowercase()),
        None => place.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_objected_to_by_the_option_that_leaves_it_out() {
        let set =
            |text: &str| (text != "any").then(|| text.split(' ').map(ToOwned::to_owned).collect());
        let here = "http://user:p%40ss@Repo.Example.com:8080/p?x=@evil.example";
        for (url, hosts, sha256, expected) in [
            (here, "any", "any", None),
            (here, "repo.example.com", "aa bb", None),
            (here, ".example.com", "any", None),
            (here, "example.com", "any", Some("plugin-allowed-hosts")),
            (here, "xample.com", "any", Some("plugin-allowed-hosts")),
            (here, "evil.example", "any", Some("plugin-allowed-hosts")),
            (
                here,
                "repo.example.com",
                "bb",
                Some("plugin-allowed-sha256"),
            ),
            ("https://[FD00::4]:8080/p", "[fd00::4]", "any", None),
            ("http://10.0.0.7#sha256=aa", "10.0.0.7", "aa", None),
            (
                "http://10.0.0.70/",
                "10.0.0.7",
                "aa",
                Some("plugin-allowed-hosts"),
            ),
        ] {
            let allowed = Allowed {
                hosts: set(hosts),
                sha256: set(sha256),
            };
            let objection = allowed.objection(url, "aa");
            let option = objection.as_deref().and_then(|text| {
                let rest = text.strip_prefix("not in ")?;
                rest.split(';').next()
            });
            assert_eq!(option, expected, "{url} {hosts} {sha256}");
        }
    }
}
