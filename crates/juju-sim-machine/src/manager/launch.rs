//! From a unit's settings to a process: names looked up, files read, variables put in.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{Group, User};

use super::environment::substitute;
use crate::exec::{Launch, Sandbox};
use crate::units::{
    CommandLine, DirectoryKind, ExecConfig, Output, Preserve, ProtectHome, ProtectSystem,
};

/// The search path of services, with what merged-/usr systems do not need kept for those that are not.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A process cannot be described: the exit code that systemd has for it, and the reason.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) reason: String,
}

/// User and groups of a unit's processes.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    groups: Vec<u32>,
    pub(super) name: String,
    pub(super) home: String,
    pub(super) shell: String,
}

pub(super) fn refuse<T>(code: i32, reason: String) -> Result<T, Refusal> {
    Err(Refusal { code, reason })
}

fn user(name: &str) -> Result<User, Refusal> {
    let found = match name.parse::<u32>() {
        Ok(uid) => User::from_uid(uid.into()),
        Err(_) => User::from_name(name),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) | Err(_) => refuse(217, format!("there is no user `{name}`")),
    }
}

/// The number of a group.
pub(super) fn group(name: &str) -> Result<u32, Refusal> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) | Err(_) => refuse(216, format!("there is no group `{name}`")),
    }
}

/// The number of a user.
pub(super) fn user_id(name: &str) -> Result<u32, Refusal> {
    user(name).map(|user| user.uid.as_raw())
}

pub(super) fn account(exec: &ExecConfig) -> Result<Account, Refusal> {
    let mut account = Account {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        name: "root".into(),
        home: "/root".into(),
        shell: "/bin/sh".into(),
    };
    if let Some(name) = &exec.user {
        let user = user(name)?;
        account.uid = user.uid.as_raw();
        account.gid = user.gid.as_raw();
        account.home = user.dir.display().to_string();
        account.shell = user.shell.display().to_string();
        if let Ok(name) = std::ffi::CString::new(user.name.as_str()) {
            let groups = nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default();
            account.groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        }
        account.name = user.name;
    }
    if let Some(name) = &exec.group {
        account.gid = group(name)?;
        if !account.groups.contains(&account.gid) {
            account.groups.push(account.gid);
        }
    }
    for name in &exec.supplementary_groups {
        account.groups.push(group(name)?);
    }
    Ok(account)
}

/// Makes `RuntimeDirectory=` and its kin, owned by the unit's user.
pub(super) fn make_directories(exec: &ExecConfig, account: &Account) -> io::Result<()> {
    for (kind, directory) in &exec.directories {
        for name in &directory.names {
            let path = Path::new(kind.base()).join(name);
            fs::create_dir_all(&path)?;
            if *kind != DirectoryKind::Configuration {
                let facts = path.metadata()?;
                if (facts.uid(), facts.gid()) != (account.uid, account.gid) {
                    give(&path, account)?;
                }
            }
            fs::set_permissions(&path, Permissions::from_mode(directory.mode))?;
        }
    }
    Ok(())
}

fn give(path: &Path, account: &Account) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), account)?;
        }
    }
    Ok(())
}

/// Removes what does not outlive the unit: its runtime directories and its private temporary ones.
pub(super) fn remove_directories(exec: &ExecConfig, invocation: &str, restarting: bool) {
    let keep = match exec.preserve_runtime {
        Preserve::No => false,
        Preserve::Yes => true,
        Preserve::Restart => restarting,
    };
    if let Some(directory) = exec
        .directories
        .get(&DirectoryKind::Runtime)
        .filter(|_| !keep)
    {
        for name in &directory.names {
            let _ = fs::remove_dir_all(Path::new("/run").join(name));
        }
    }
    if exec.private_tmp && !invocation.is_empty() {
        for base in ["/tmp", "/var/tmp"] {
            let _ = fs::remove_dir_all(private_tmp(base, invocation));
        }
    }
}

fn private_tmp(base: &str, invocation: &str) -> String {
    format!("{base}/systemd-private-{invocation}")
}

fn make_private_tmp(base: &str, invocation: &str) -> io::Result<String> {
    let outer = private_tmp(base, invocation);
    let inner = format!("{outer}/tmp");
    fs::create_dir_all(&inner)?;
    fs::set_permissions(&outer, Permissions::from_mode(0o700))?;
    fs::set_permissions(&inner, Permissions::from_mode(0o1777))?;
    Ok(inner)
}

fn find_program(name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    PATH.split(':')
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| name.to_owned())
}

/// Describes the process of one command line.
pub(super) fn describe(
    exec: &ExecConfig,
    line: &CommandLine,
    account: &Account,
    environment: Vec<(String, String)>,
    invocation: &str,
) -> io::Result<Launch> {
    let program = find_program(&line.program);
    let arguments = if line.literal {
        line.arguments.clone()
    } else {
        substitute(&line.arguments, &environment)
    };
    let home =
        Some(account.home.clone()).filter(|_| exec.working_directory.as_deref() == Some("~"));
    let directory = home
        .or_else(|| exec.working_directory.clone())
        .unwrap_or_else(|| "/".into());
    let mut launch = Launch {
        argument_zero: line
            .argument_zero
            .clone()
            .unwrap_or_else(|| line.program.clone()),
        program,
        arguments,
        environment,
        working_directory: directory,
        working_directory_optional: exec.working_directory_optional,
        umask: exec.umask.unwrap_or(0o022),
        limits: exec
            .limits
            .iter()
            .map(|(name, (soft, hard))| (name.clone(), *soft, *hard))
            .collect(),
        nice: exec.nice,
        is_idle: exec.is_idle,
        oom_score_adjust: exec.oom_score_adjust,
        ..Launch::default()
    };
    if !line.privileged {
        launch.uid = account.uid;
        launch.gid = account.gid;
        launch.groups.clone_from(&account.groups);
        launch.no_new_privileges = exec.no_new_privileges;
        launch.bounding_set = exec.bounding_set();
        launch.ambient.clone_from(&exec.ambient_capabilities);
        launch.sandbox = sandbox(exec, invocation)?;
        launch.calls = exec.calls.clone();
    }
    Ok(launch)
}

fn sandbox(exec: &ExecConfig, invocation: &str) -> io::Result<Sandbox> {
    let words = |list: &[&str]| {
        list.iter()
            .map(|path| format!("-{path}"))
            .collect::<Vec<_>>()
    };
    let mut sandbox = Sandbox {
        read_only: exec.read_only_paths.clone(),
        read_write: exec.read_write_paths.clone(),
        inaccessible: exec.inaccessible_paths.clone(),
        hide_processes: exec.hide_processes.clone(),
        only_processes: exec.only_processes,
        own_hostname: exec.protect_hostname,
        ..Sandbox::default()
    };
    sandbox.read_only.extend(words(match exec.protect_system {
        ProtectSystem::No => &[],
        ProtectSystem::Yes => &["/usr", "/boot", "/efi"],
        ProtectSystem::Full => &["/usr", "/boot", "/efi", "/etc"],
        ProtectSystem::Strict => &["/"],
    }));
    let homes = ["/home", "/root", "/run/user"];
    match exec.protect_home {
        ProtectHome::No => {}
        ProtectHome::Yes => sandbox.inaccessible.extend(words(&homes)),
        ProtectHome::ReadOnly => sandbox.read_only.extend(words(&homes)),
        ProtectHome::Tmpfs => sandbox.empty.extend(words(&homes)),
    }
    if exec.protect_kernel_tunables {
        sandbox
            .read_only
            .extend(words(&["/proc/sys", "/proc/sysrq-trigger", "/sys"]));
    }
    if exec.protect_kernel_modules {
        sandbox.inaccessible.extend(words(&["/usr/lib/modules"]));
    }
    if exec.protect_kernel_logs {
        sandbox
            .inaccessible
            .extend(words(&["/proc/kmsg", "/dev/kmsg"]));
    }
    if exec.protect_system == ProtectSystem::Strict || !sandbox.read_only.is_empty() {
        for (kind, directory) in &exec.directories {
            sandbox.read_write.extend(
                directory
                    .names
                    .iter()
                    .map(|name| format!("-{}/{name}", kind.base())),
            );
        }
    }
    if exec.private_tmp {
        sandbox.temporary = Some((
            make_private_tmp("/tmp", invocation)?,
            make_private_tmp("/var/tmp", invocation)?,
        ));
    }
    Ok(sandbox)
}

/// Where a stream goes: `None` is the journal.
pub(super) fn open_output(output: &Output) -> io::Result<Option<Stdio>> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o644);
    // Opened, and so owned, by root, whatever the service's user: as systemd does it.
    let file: File = match output {
        Output::Inherit | Output::Journal => return Ok(None),
        Output::Null => return Ok(Some(Stdio::null())),
        Output::Append(path) => options.append(true).open(path)?,
        Output::Truncate(path) => options.truncate(true).open(path)?,
        Output::File(path) => options.truncate(false).open(path)?,
    };
    Ok(Some(file.into()))
}
