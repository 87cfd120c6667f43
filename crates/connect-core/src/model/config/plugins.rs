//! Options about plugins: what one may cost, and what is let in.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::Reader;
use crate::model::admission::{Allowed, PluginLimits};

const MAX_MIB: &str = "plugin-max-mib";
const LIMITS: &str = "plugin-limits";
const HOSTS: &str = "plugin-allowed-hosts";
const SHA256: &str = "plugin-allowed-sha256";

/// Keys of `plugin-limits`, with the least and the most that each may be. Each entry and each path
/// is remembered while a plugin is unpacked, and the kernel takes paths of 4096 bytes.
const KEYS: [(&str, u64, u64); 7] = [
    ("served-mib", 1, 1 << 16),
    ("unpacked-mib", 1, 1 << 16),
    ("file-mib", 1, 1 << 16),
    ("entries", 1, 200_000),
    ("ratio", 1, 10_000),
    ("path-bytes", 16, 2048),
    ("depth", 1, 256),
];

impl Reader<'_> {
    pub(super) fn plugin_limits(&mut self) -> PluginLimits {
        let size = self
            .number(MAX_MIB, 1024, 1, 1 << 16)
            .saturating_mul(1 << 20);
        let mut limits = PluginLimits {
            served_bytes: size,
            unpacked_bytes: size,
            file_bytes: size,
            // As `Limits::default()` of connect-plugins, which says why.
            entries: 20_000,
            ratio: 200,
            path_bytes: 512,
            depth: 32,
        };
        let text = self.text(LIMITS, "");
        let parts = text.split(['\n', ',']).map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let pair = part.split_once('=');
            let Some((key, value)) = pair.map(|(key, value)| (key.trim(), value.trim())) else {
                let fault = format!("`{}` is not key=value", part.escape_debug());
                self.problem(LIMITS, &fault);
                continue;
            };
            let Some((key, least, most)) = KEYS.iter().find(|(known, _, _)| *known == key) else {
                let known: Vec<&str> = KEYS.iter().map(|(known, _, _)| *known).collect();
                let fault = format!("`{}` is none of {}", key.escape_debug(), known.join(", "));
                self.problem(LIMITS, &fault);
                continue;
            };
            let number = value.parse().ok();
            let Some(number) = number.filter(|number| (least..=most).contains(&number)) else {
                self.problem(
                    LIMITS,
                    &format!("{key} must be a number from {least} to {most}"),
                );
                continue;
            };
            let bytes = number.saturating_mul(1 << 20);
            match *key {
                "served-mib" => limits.served_bytes = bytes,
                "unpacked-mib" => limits.unpacked_bytes = bytes,
                "file-mib" => limits.file_bytes = bytes,
                "entries" => limits.entries = number,
                "ratio" => limits.ratio = number,
                "path-bytes" => limits.path_bytes = number,
                _ => limits.depth = number,
            }
        }
        limits
    }

    /// Lists that cannot be read close rather than open.
    pub(super) fn plugin_allowed(&mut self) -> Allowed {
        Allowed {
            hosts: self.listed(HOSTS, "the name or address of a host, without a port", host),
            sha256: self.listed(SHA256, "a SHA-256 of 64 hex digits", digest),
        }
    }

    /// A list separated by commas or white space; none where the option is empty.
    fn listed(
        &mut self,
        option: &str,
        what: &str,
        read: fn(&str) -> Option<String>,
    ) -> Option<BTreeSet<String>> {
        let text = self.text(option, "");
        if text.is_empty() && !self.has_problem(option) {
            return None;
        }
        let words: Vec<&str> = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty())
            .collect();
        let mut all = BTreeSet::new();
        for word in &words {
            if let Some(word) = read(word) {
                all.insert(word);
            } else {
                let shown: String = word.chars().take(40).collect();
                self.problem(option, &format!("`{}` is not {what}", shown.escape_debug()));
            }
        }
        if words.is_empty() && !self.has_problem(option) {
            self.problem(option, &format!("holds not one entry; each is {what}"));
        }
        Some(all)
    }
}

/// A host as URLs spell it.
fn host(word: &str) -> Option<String> {
    let bare = word
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(word);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let name = word.strip_prefix('.').unwrap_or(word);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| word.to_ascii_lowercase())
}

fn digest(word: &str) -> Option<String> {
    let hex = word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, text};
    use super::*;

    const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn a_bad_option_about_plugins_names_itself_and_opens_nothing() {
        for (option, value, fault) in [
            (LIMITS, "many", "`many` is not key=value"),
            (
                LIMITS,
                "entries=0",
                "entries must be a number from 1 to 200000",
            ),
            (
                LIMITS,
                "depth=8\nratio=-1",
                "ratio must be a number from 1 to 10000",
            ),
            (
                LIMITS,
                "size=1",
                "`size` is none of served-mib, unpacked-mib, file-mib, entries, ratio, path-bytes, depth",
            ),
            (
                HOSTS,
                "http://repo.example.com",
                "`http://repo.example.com` is not the name or address of a host, without a port",
            ),
            (
                HOSTS,
                "a.example,repo:8080",
                "`repo:8080` is not the name or address of a host, without a port",
            ),
            (
                HOSTS,
                " , ",
                "holds not one entry; each is the name or address of a host, without a port",
            ),
            (
                SHA256,
                "5891b5",
                "`5891b5` is not a SHA-256 of 64 hex digits",
            ),
        ] {
            let (config, problems) = read(option, text(value));
            let faults: Vec<(&str, &str)> = problems
                .iter()
                .map(|problem| (problem.option.as_str(), problem.fault.as_str()))
                .collect();
            assert_eq!(faults, [(option, fault)], "{value:?}");
            let allowed = &config.plugin_allowed;
            assert_eq!(allowed.hosts.is_some(), option == HOSTS, "{value:?}");
            assert_eq!(allowed.sha256.is_some(), option == SHA256, "{value:?}");
        }
    }

    #[test]
    fn lists_and_limits_are_read() {
        let (config, problems) = read(LIMITS, text("entries = 7, depth=3\n\nfile-mib=2"));
        assert!(problems.is_empty(), "{problems:?}");
        let limits = config.plugin_limits;
        assert_eq!(
            (limits.entries, limits.depth, limits.file_bytes),
            (7, 3, 2 << 20)
        );
        assert_eq!((limits.served_bytes, limits.ratio), (1 << 30, 200));
        let hosts = |value| read(HOSTS, text(value)).0.plugin_allowed.hosts;
        assert_eq!(hosts(""), None);
        let expected = [".intern.example", "10.0.0.7", "[fd00::4]", "repo"];
        let given = "Repo, .intern.EXAMPLE\n10.0.0.7 FD00:0::4,[fd00::4]";
        assert!(hosts(given).unwrap().iter().eq(expected));
        let (config, problems) = read(SHA256, text(&DIGEST.to_uppercase()));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(config.plugin_allowed.sha256.unwrap().iter().eq([DIGEST]));
    }
}
