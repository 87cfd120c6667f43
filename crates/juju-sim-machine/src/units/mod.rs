//! Unit files: found, parsed, and turned into what they mean. Knows nothing of processes.

mod calls;
mod conditions;
mod exec;
mod loader;
mod service;
mod specifiers;
mod syntax;
mod triggers;
mod unit;
pub(crate) mod value;

pub(crate) use calls::{Calls, List};
pub(crate) use conditions::{Condition, directory_not_empty, glob_matches};
pub(crate) use exec::{
    CommandLine, DirectoryKind, ExecConfig, LAST_CAPABILITY, Output, Preserve, ProtectHome,
    ProtectSystem,
};
pub(crate) use loader::{Found, Loader, entries};
pub(crate) use service::{
    KillMode, NotifyAccess, RestartPolicy, ServiceConfig, ServiceType, StatusSet,
};
pub(crate) use triggers::{
    PathConfig, PathWatch, SocketConfig, SocketFile, TimerConfig, WatchKind,
};
pub(crate) use unit::{Install, Kind, Relations, UnitConfig, template_of, type_of};

/// Why a unit cannot be loaded; names file, section and key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {section}.{key}: {problem}")]
pub(crate) struct UnitError {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) problem: Problem,
}

/// What is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("this key is not honoured by the systemctl stand-in")]
    NotHonoured,
    #[error("the value `{0}` is not honoured by the systemctl stand-in")]
    ValueNotHonoured(String),
    #[error("cannot read `{0}` as {1}")]
    Malformed(String, &'static str),
    #[error("this line is outside of any section or has no `=`")]
    NotASetting,
    #[error("a unit of this type needs it")]
    Missing,
    #[error("cannot read the file: {0}")]
    Unreadable(String),
}
