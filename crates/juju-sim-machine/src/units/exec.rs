//! How processes of a unit are run: the keys that services and sockets share. Contract: systemd.exec(5), systemd.kill(5).

use std::collections::BTreeMap;

use super::calls::Calls;
use super::{Problem, value};

/// One line of `ExecStart=` and its kin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CommandLine {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    /// `@`: what the program sees as its own name.
    pub(crate) argument_zero: Option<String>,
    /// `-`: a failure counts as success.
    pub(crate) ignore_failure: bool,
    /// `+`, `!`: run as root, whatever `User=` says.
    pub(crate) privileged: bool,
    /// `:`: variables are not substituted.
    pub(crate) literal: bool,
}

impl CommandLine {
    /// Parses one or, separated by a lone `;`, several command lines.
    pub(super) fn parse(
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<Vec<Self>, Problem> {
        value::word_groups(text)?
            .into_iter()
            .map(|words| Self::of(&words, expand))
            .collect()
    }

    fn of(
        words: &[String],
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<Self, Problem> {
        let mut line = Self::default();
        let mut named = false;
        let mut words = words.iter().map(String::as_str);
        let mut program = words.next().unwrap_or_default();
        while let Some(prefix) = program.chars().next() {
            match prefix {
                '@' => named = true,
                '-' => line.ignore_failure = true,
                '+' | '!' => line.privileged = true,
                ':' => line.literal = true,
                _ => break,
            }
            program = program.get(1..).unwrap_or_default();
        }
        if program.is_empty() {
            return Err(Problem::Malformed(
                String::new(),
                "the program of a command line",
            ));
        }
        line.program = expand(program)?;
        if named {
            line.argument_zero = words.next().map(expand).transpose()?;
        }
        line.arguments = words.map(expand).collect::<Result<_, _>>()?;
        Ok(line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DirectoryKind {
    Runtime,
    State,
    Cache,
    Logs,
    Configuration,
}

impl DirectoryKind {
    pub(crate) fn base(self) -> &'static str {
        match self {
            Self::Runtime => "/run",
            Self::State => "/var/lib",
            Self::Cache => "/var/cache",
            Self::Logs => "/var/log",
            Self::Configuration => "/etc",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Runtime => "RUNTIME_DIRECTORY",
            Self::State => "STATE_DIRECTORY",
            Self::Cache => "CACHE_DIRECTORY",
            Self::Logs => "LOGS_DIRECTORY",
            Self::Configuration => "CONFIGURATION_DIRECTORY",
        }
    }
}

/// `StateDirectory=` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManagedDirectory {
    pub(crate) names: Vec<String>,
    pub(crate) mode: u32,
}

impl Default for ManagedDirectory {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            mode: 0o755,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Output {
    #[default]
    Inherit,
    Journal,
    Null,
    Append(String),
    Truncate(String),
    File(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ProtectSystem {
    #[default]
    No,
    Yes,
    Full,
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ProtectHome {
    #[default]
    No,
    Yes,
    ReadOnly,
    Tmpfs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Preserve {
    #[default]
    No,
    Yes,
    Restart,
}

/// Everything that shapes a process before its program runs.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes-or-no key of its own"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExecConfig {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) supplementary_groups: Vec<String>,
    pub(crate) working_directory: Option<String>,
    pub(crate) working_directory_optional: bool,
    pub(crate) umask: Option<u32>,
    pub(crate) environment: Vec<(String, String)>,
    /// Path, and whether it may be absent.
    pub(crate) environment_files: Vec<(String, bool)>,
    pub(crate) unset_environment: Vec<String>,
    pub(crate) directories: BTreeMap<DirectoryKind, ManagedDirectory>,
    pub(crate) preserve_runtime: Preserve,
    /// Name as in `/proc/self/limits`' man page, soft and hard value.
    pub(crate) limits: BTreeMap<String, (Option<u64>, Option<u64>)>,
    pub(crate) nice: Option<i32>,
    pub(crate) is_idle: bool,
    pub(crate) oom_score_adjust: Option<i32>,
    pub(crate) no_new_privileges: bool,
    pub(crate) private_tmp: bool,
    pub(crate) private_devices: bool,
    pub(crate) protect_system: ProtectSystem,
    pub(crate) protect_home: ProtectHome,
    pub(crate) protect_kernel_tunables: bool,
    pub(crate) protect_kernel_modules: bool,
    pub(crate) protect_kernel_logs: bool,
    pub(crate) protect_control_groups: bool,
    pub(crate) protect_clock: bool,
    pub(crate) protect_hostname: bool,
    /// `ProtectProc=`, in the words of proc(5)'s `hidepid`.
    pub(crate) hide_processes: Option<String>,
    /// `ProcSubset=pid`.
    pub(crate) only_processes: bool,
    pub(crate) calls: Calls,
    pub(crate) read_write_paths: Vec<String>,
    pub(crate) read_only_paths: Vec<String>,
    pub(crate) inaccessible_paths: Vec<String>,
    /// `None`: all. Numbers of capabilities(7).
    pub(crate) capability_bounding_set: Option<Vec<u8>>,
    pub(crate) ambient_capabilities: Vec<u8>,
    pub(crate) standard_output: Output,
    pub(crate) standard_error: Output,
    pub(crate) syslog_identifier: Option<String>,
}

const LIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NOFILE",
    "AS",
    "NPROC",
    "MEMLOCK",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

impl ExecConfig {
    /// Takes one setting over. `Ok(false)`: not a key of this table.
    pub(super) fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<bool, Problem> {
        if let Some(limit) = key
            .strip_prefix("Limit")
            .filter(|name| LIMITS.contains(name))
        {
            let (soft, hard) = text.split_once(':').unwrap_or((text, text));
            self.limits
                .insert(limit.to_owned(), (value::size(soft)?, value::size(hard)?));
            return Ok(true);
        }
        if self.apply_directory(key, text, expand)?
            || self.apply_sandbox(key, text, expand)?
            || self.calls.apply(key, text)?
        {
            return Ok(true);
        }
        match key {
            "User" => self.user = some(expand(text)?),
            "Group" => self.group = some(expand(text)?),
            "SupplementaryGroups" => list(&mut self.supplementary_groups, text, expand)?,
            "WorkingDirectory" => {
                let (optional, path) = text.strip_prefix('-').map_or((false, text), |p| (true, p));
                self.working_directory_optional = optional;
                self.working_directory = match path {
                    "" => None,
                    "~" => Some("~".to_owned()),
                    path => Some(value::path(&expand(path)?)?),
                };
            }
            "UMask" => self.umask = Some(value::mode(text)?),
            "Environment" => {
                if text.is_empty() {
                    self.environment.clear();
                }
                for word in value::words(text)? {
                    let word = expand(&word)?;
                    let (name, value) = word
                        .split_once('=')
                        .ok_or_else(|| Problem::Malformed(word.clone(), "an assignment"))?;
                    self.environment.push((name.to_owned(), value.to_owned()));
                }
            }
            "EnvironmentFile" => {
                if text.is_empty() {
                    self.environment_files.clear();
                    return Ok(true);
                }
                let (optional, path) = text.strip_prefix('-').map_or((false, text), |p| (true, p));
                self.environment_files
                    .push((value::path(&expand(path)?)?, optional));
            }
            "UnsetEnvironment" => list(&mut self.unset_environment, text, expand)?,
            "Nice" => self.nice = Some(value::integer(text)?),
            "CPUWeight" if text == "1" => self.is_idle = true,
            "OOMScoreAdjust" => self.oom_score_adjust = Some(value::integer(text)?),
            "StandardInput" if text == "null" => {}
            "StandardOutput" => self.standard_output = output(text, expand)?,
            "StandardError" => self.standard_error = output(text, expand)?,
            "SyslogIdentifier" => self.syslog_identifier = some(expand(text)?),
            "CPUWeight" | "StandardInput" => {
                return Err(Problem::ValueNotHonoured(text.to_owned()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_directory(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<bool, Problem> {
        let kind = |name| match name {
            "RuntimeDirectory" => Some(DirectoryKind::Runtime),
            "StateDirectory" => Some(DirectoryKind::State),
            "CacheDirectory" => Some(DirectoryKind::Cache),
            "LogsDirectory" => Some(DirectoryKind::Logs),
            "ConfigurationDirectory" => Some(DirectoryKind::Configuration),
            _ => None,
        };
        if let Some(kind) = kind(key) {
            let names = &mut self.directories.entry(kind).or_default().names;
            list(names, text, expand)?;
            if names.iter().any(|name| {
                name.starts_with('/')
                    || name.contains([':'])
                    || name.split('/').any(|part| part == "..")
            }) {
                return Err(Problem::ValueNotHonoured(text.to_owned()));
            }
        } else if let Some(kind) = key.strip_suffix("Mode").and_then(kind) {
            self.directories.entry(kind).or_default().mode = value::mode(text)?;
        } else if key == "RuntimeDirectoryPreserve" {
            self.preserve_runtime = match text {
                "restart" => Preserve::Restart,
                other if value::boolean(other)? => Preserve::Yes,
                _ => Preserve::No,
            };
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn apply_sandbox(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<bool, Problem> {
        let flag = match key {
            "NoNewPrivileges" => Some(&mut self.no_new_privileges),
            "PrivateTmp" => Some(&mut self.private_tmp),
            "PrivateDevices" => Some(&mut self.private_devices),
            "ProtectKernelTunables" => Some(&mut self.protect_kernel_tunables),
            "ProtectKernelModules" => Some(&mut self.protect_kernel_modules),
            "ProtectKernelLogs" => Some(&mut self.protect_kernel_logs),
            "ProtectControlGroups" => Some(&mut self.protect_control_groups),
            "ProtectClock" => Some(&mut self.protect_clock),
            "ProtectHostname" => Some(&mut self.protect_hostname),
            _ => None,
        };
        if let Some(flag) = flag {
            *flag = value::boolean(text).map_err(|_| Problem::ValueNotHonoured(text.to_owned()))?;
            return Ok(true);
        }
        match key {
            "ProtectSystem" => {
                self.protect_system = match text {
                    "full" => ProtectSystem::Full,
                    "strict" => ProtectSystem::Strict,
                    other if value::boolean(other)? => ProtectSystem::Yes,
                    _ => ProtectSystem::No,
                };
            }
            "ProtectHome" => {
                self.protect_home = match text {
                    "read-only" => ProtectHome::ReadOnly,
                    "tmpfs" => ProtectHome::Tmpfs,
                    other if value::boolean(other)? => ProtectHome::Yes,
                    _ => ProtectHome::No,
                };
            }
            "ProtectProc" => {
                self.hide_processes = match text {
                    "default" => None,
                    "invisible" => Some("invisible".to_owned()),
                    "noaccess" => Some("noaccess".to_owned()),
                    "ptraceable" => Some("ptraceable".to_owned()),
                    _ => return Err(Problem::ValueNotHonoured(text.to_owned())),
                };
            }
            "ProcSubset" => {
                self.only_processes = match text {
                    "pid" => true,
                    "all" => false,
                    _ => return Err(Problem::ValueNotHonoured(text.to_owned())),
                };
            }
            "ReadWritePaths" => list(&mut self.read_write_paths, text, expand)?,
            "ReadOnlyPaths" => list(&mut self.read_only_paths, text, expand)?,
            "InaccessiblePaths" => list(&mut self.inaccessible_paths, text, expand)?,
            "CapabilityBoundingSet" => {
                let (inverted, words) = capabilities(text)?;
                let before = self.capability_bounding_set.take();
                self.capability_bounding_set = Some(match (text.is_empty(), inverted, before) {
                    (true, _, _) => Vec::new(),
                    (false, false, before) => before.into_iter().flatten().chain(words).collect(),
                    (false, true, before) => before
                        .unwrap_or_else(|| (0..=LAST_CAPABILITY).collect())
                        .into_iter()
                        .filter(|capability| !words.contains(capability))
                        .collect(),
                });
            }
            "AmbientCapabilities" => {
                let (inverted, words) = capabilities(text)?;
                if inverted {
                    return Err(Problem::ValueNotHonoured(text.to_owned()));
                }
                if text.is_empty() {
                    self.ambient_capabilities.clear();
                }
                self.ambient_capabilities.extend(words);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the bounding set is in the end, with what the `Protect…` keys take away; `None` when nothing is taken away.
    pub(crate) fn bounding_set(&self) -> Option<Vec<u8>> {
        let mut taken = Vec::new();
        let mut take = |condition: bool, names: &[&str]| {
            if condition {
                taken.extend(names.iter().filter_map(|name| capability(name)));
            }
        };
        take(self.private_devices, &["CAP_MKNOD", "CAP_SYS_RAWIO"]);
        take(self.protect_kernel_modules, &["CAP_SYS_MODULE"]);
        take(self.protect_kernel_logs, &["CAP_SYSLOG"]);
        take(self.protect_clock, &["CAP_SYS_TIME", "CAP_WAKE_ALARM"]);
        if self.capability_bounding_set.is_none() && taken.is_empty() {
            return None;
        }
        let all = || (0..=LAST_CAPABILITY).collect();
        let mut kept: Vec<u8> = self.capability_bounding_set.clone().unwrap_or_else(all);
        kept.retain(|capability| !taken.contains(capability));
        Some(kept)
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A list of words that an empty value resets.
pub(super) fn list(
    target: &mut Vec<String>,
    text: &str,
    expand: &dyn Fn(&str) -> Result<String, Problem>,
) -> Result<(), Problem> {
    if text.is_empty() {
        target.clear();
    }
    for word in value::words(text)? {
        target.push(expand(&word)?);
    }
    Ok(())
}

fn output(text: &str, expand: &dyn Fn(&str) -> Result<String, Problem>) -> Result<Output, Problem> {
    if let Some((how, path)) = text.split_once(':') {
        let path = value::path(&expand(path)?)?;
        return match how {
            "append" => Ok(Output::Append(path)),
            "truncate" => Ok(Output::Truncate(path)),
            "file" => Ok(Output::File(path)),
            _ => Err(Problem::ValueNotHonoured(text.to_owned())),
        };
    }
    match text {
        "inherit" => Ok(Output::Inherit),
        "journal" | "journal+console" | "syslog" => Ok(Output::Journal),
        "null" => Ok(Output::Null),
        _ => Err(Problem::ValueNotHonoured(text.to_owned())),
    }
}

/// The names of capabilities(7), in the order of their numbers.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
/// The highest number in [`CAPABILITIES`].
pub(crate) const LAST_CAPABILITY: u8 = 40;

fn capability(name: &str) -> Option<u8> {
    CAPABILITIES
        .iter()
        .position(|known| *known == name)
        .and_then(|index| u8::try_from(index).ok())
}

fn capabilities(text: &str) -> Result<(bool, Vec<u8>), Problem> {
    let (inverted, names) = text
        .strip_prefix('~')
        .map_or((false, text), |rest| (true, rest));
    let numbers = names
        .split_whitespace()
        .map(|name| {
            capability(name).ok_or_else(|| Problem::Malformed(name.to_owned(), "a capability"))
        })
        .collect::<Result<_, _>>()?;
    Ok((inverted, numbers))
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, ExecConfig, LAST_CAPABILITY};

    #[expect(clippy::unnecessary_wraps, reason = "the type is that of an expansion")]
    fn verbatim(text: &str) -> Result<String, super::Problem> {
        Ok(text.to_owned())
    }

    #[test]
    fn command_prefixes_and_separators_are_understood() {
        let text = r#"-@/bin/sh shell -c "a ; b" ; +/bin/true \; y"#;
        let lines = CommandLine::parse(text, &verbatim).unwrap();
        assert_eq!(lines[0].argument_zero.as_deref(), Some("shell"));
        assert!(lines[0].ignore_failure && !lines[0].privileged);
        assert_eq!(lines[0].arguments, ["-c", "a ; b"]);
        assert!(lines[1].privileged);
        assert_eq!(lines[1].arguments, [";", "y"]);
    }

    #[test]
    fn bounding_sets_are_kept_or_inverted() {
        for (texts, expected) in [
            (vec![""], Some(vec![])),
            (vec!["CAP_CHOWN CAP_KILL"], Some(vec![0, 5])),
            (vec!["~CAP_CHOWN"], Some((1..=LAST_CAPABILITY).collect())),
        ] {
            let mut config = ExecConfig::default();
            for text in texts {
                config
                    .apply("CapabilityBoundingSet", text, &verbatim)
                    .unwrap();
            }
            assert_eq!(config.bounding_set(), expected);
        }
        assert_eq!(ExecConfig::default().bounding_set(), None);
    }
}
