//! Units that start another unit: sockets, paths and timers. Contract: systemd.socket(5), systemd.path(5), systemd.timer(5).

use std::time::Duration;

use super::{Problem, value};

type Expand<'a> = &'a dyn Fn(&str) -> Result<String, Problem>;

/// Where a socket unit listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SocketFile {
    Unix(String),
    Abstract(String),
    /// Address and port; a port alone listens on every address.
    Internet(std::net::SocketAddr),
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes-or-no key of its own"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketConfig {
    /// What to listen on, and whether the sockets are datagram sockets.
    pub(crate) listen: Vec<(SocketFile, bool)>,
    pub(crate) service: Option<String>,
    pub(crate) descriptor_name: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mode: u32,
    pub(crate) directory_mode: u32,
    pub(crate) backlog: i32,
    pub(crate) ipv6_only: Option<bool>,
    pub(crate) reuse_port: bool,
    pub(crate) no_delay: bool,
    pub(crate) keep_alive: bool,
    pub(crate) free_bind: bool,
    pub(crate) remove_on_stop: bool,
    pub(crate) trigger_interval: Duration,
    pub(crate) trigger_burst: u32,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            service: None,
            descriptor_name: None,
            user: None,
            group: None,
            mode: 0o666,
            directory_mode: 0o755,
            backlog: 4096,
            ipv6_only: None,
            reuse_port: false,
            no_delay: false,
            keep_alive: false,
            free_bind: false,
            remove_on_stop: false,
            trigger_interval: Duration::from_secs(2),
            trigger_burst: 20,
        }
    }
}

impl SocketConfig {
    pub(super) fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: Expand<'_>,
    ) -> Result<(), Problem> {
        let refuse = || Err(Problem::ValueNotHonoured(text.to_owned()));
        match key {
            "ListenStream" | "ListenDatagram" if text.is_empty() => self.listen.clear(),
            "ListenStream" => self.listen.push((socket(&expand(text)?)?, false)),
            "ListenDatagram" => self.listen.push((socket(&expand(text)?)?, true)),
            "Accept" if value::boolean(text)? => return refuse(),
            "Accept" => {}
            "Service" => self.service = Some(expand(text)?),
            "FileDescriptorName" => self.descriptor_name = Some(expand(text)?),
            "SocketUser" => self.user = Some(expand(text)?),
            "SocketGroup" => self.group = Some(expand(text)?),
            "SocketMode" => self.mode = value::mode(text)?,
            "DirectoryMode" => self.directory_mode = value::mode(text)?,
            "Backlog" => self.backlog = value::integer(text)?,
            "BindIPv6Only" => {
                self.ipv6_only = match text {
                    "default" => None,
                    "both" => Some(false),
                    "ipv6-only" => Some(true),
                    _ => return refuse(),
                };
            }
            "ReusePort" => self.reuse_port = value::boolean(text)?,
            "NoDelay" => self.no_delay = value::boolean(text)?,
            "KeepAlive" => self.keep_alive = value::boolean(text)?,
            "FreeBind" => self.free_bind = value::boolean(text)?,
            "RemoveOnStop" => self.remove_on_stop = value::boolean(text)?,
            "TriggerLimitIntervalSec" => self.trigger_interval = value::span(text)?,
            "TriggerLimitBurst" => self.trigger_burst = value::integer(text)?,
            _ => return Err(Problem::NotHonoured),
        }
        Ok(())
    }
}

fn socket(text: &str) -> Result<SocketFile, Problem> {
    let malformed = || Problem::Malformed(text.to_owned(), "an address to listen on");
    if let Some(name) = text.strip_prefix('@') {
        return Ok(SocketFile::Abstract(name.to_owned()));
    }
    if text.starts_with('/') {
        return value::path(text).map(SocketFile::Unix);
    }
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketFile::Internet(
            (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
        ));
    }
    text.parse()
        .map(SocketFile::Internet)
        .map_err(|_| malformed())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchKind {
    Exists,
    ExistsGlob,
    Changed,
    Modified,
    DirectoryNotEmpty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathWatch {
    pub(crate) kind: WatchKind,
    pub(crate) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathConfig {
    pub(crate) watches: Vec<PathWatch>,
    pub(crate) unit: Option<String>,
    pub(crate) make_directory: bool,
    pub(crate) directory_mode: u32,
    pub(crate) trigger_interval: Duration,
    pub(crate) trigger_burst: u32,
}

impl Default for PathConfig {
    fn default() -> Self {
        Self {
            watches: Vec::new(),
            unit: None,
            make_directory: false,
            directory_mode: 0o755,
            trigger_interval: Duration::from_secs(2),
            trigger_burst: 200,
        }
    }
}

impl PathConfig {
    pub(super) fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: Expand<'_>,
    ) -> Result<(), Problem> {
        let kind = match key {
            "PathExists" => WatchKind::Exists,
            "PathExistsGlob" => WatchKind::ExistsGlob,
            "PathChanged" => WatchKind::Changed,
            "PathModified" => WatchKind::Modified,
            "DirectoryNotEmpty" => WatchKind::DirectoryNotEmpty,
            "Unit" => {
                self.unit = Some(expand(text)?);
                return Ok(());
            }
            "MakeDirectory" => {
                self.make_directory = value::boolean(text)?;
                return Ok(());
            }
            "DirectoryMode" => {
                self.directory_mode = value::mode(text)?;
                return Ok(());
            }
            "TriggerLimitIntervalSec" => {
                self.trigger_interval = value::span(text)?;
                return Ok(());
            }
            "TriggerLimitBurst" => {
                self.trigger_burst = value::integer(text)?;
                return Ok(());
            }
            _ => return Err(Problem::NotHonoured),
        };
        if text.is_empty() {
            self.watches.clear();
        } else {
            self.watches.push(PathWatch {
                kind,
                path: value::path(&expand(text)?)?,
            });
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimerConfig {
    pub(crate) on_active: Vec<Duration>,
    pub(crate) on_boot: Vec<Duration>,
    pub(crate) on_unit_active: Vec<Duration>,
    pub(crate) on_unit_inactive: Vec<Duration>,
    pub(crate) random_delay: Duration,
    pub(crate) unit: Option<String>,
    pub(crate) remain_after_elapse: bool,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            on_active: Vec::new(),
            on_boot: Vec::new(),
            on_unit_active: Vec::new(),
            on_unit_inactive: Vec::new(),
            random_delay: Duration::ZERO,
            unit: None,
            remain_after_elapse: true,
        }
    }
}

impl TimerConfig {
    pub(super) fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: Expand<'_>,
    ) -> Result<(), Problem> {
        let spans = match key {
            "OnActiveSec" => &mut self.on_active,
            // A machine's boot and its manager's start are the same moment.
            "OnBootSec" | "OnStartupSec" => &mut self.on_boot,
            "OnUnitActiveSec" => &mut self.on_unit_active,
            "OnUnitInactiveSec" => &mut self.on_unit_inactive,
            // Every timer here is exact, which is within any accuracy asked for.
            "AccuracySec" => return value::span(text).map(|_| ()),
            "RandomizedDelaySec" => {
                self.random_delay = value::span(text)?;
                return Ok(());
            }
            // Only calendar timers remember their last run, and those are refused.
            "Persistent" | "WakeSystem" => return value::boolean(text).map(|_| ()),
            "RemainAfterElapse" => {
                self.remain_after_elapse = value::boolean(text)?;
                return Ok(());
            }
            "Unit" => {
                self.unit = Some(expand(text)?);
                return Ok(());
            }
            _ => return Err(Problem::NotHonoured),
        };
        if text.is_empty() {
            spans.clear();
        } else {
            spans.push(value::span(text)?);
        }
        Ok(())
    }
}
