//! From a unit's settings to a process: names looked up, files read, variables put in.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{Group, User};

use crate::exec::{Launch, Sandbox};
use crate::units::{
    CommandLine, DirectoryKind, ExecConfig, Output, Preserve, ProtectHome, ProtectSystem,
};

/// The search path of services, with what merged-/usr systems do not need kept for those that are not.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    name: String,
    home: String,
    shell: String,
}

fn refuse<T>(code: i32, reason: String) -> Result<T, Refusal> {
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

/// `Environment=`, `EnvironmentFile=` and what every service has, the later ones first in effect.
pub(super) fn environment(
    exec: &ExecConfig,
    account: &Account,
    given: &[(&str, String)],
) -> Result<Vec<(String, String)>, Refusal> {
    let mut all: Vec<(String, String)> = vec![
        ("PATH".into(), PATH.into()),
        ("LANG".into(), "C.UTF-8".into()),
    ];
    if exec.user.is_some() {
        for (name, value) in [
            ("HOME", &account.home),
            ("LOGNAME", &account.name),
            ("USER", &account.name),
            ("SHELL", &account.shell),
        ] {
            all.push((name.into(), value.clone()));
        }
    }
    for (kind, directory) in exec
        .directories
        .iter()
        .filter(|(_, found)| !found.names.is_empty())
    {
        let paths: Vec<String> = directory
            .names
            .iter()
            .map(|name| format!("{}/{name}", kind.base()))
            .collect();
        all.push((kind.variable().into(), paths.join(":")));
    }
    all.extend(
        given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    all.extend(exec.environment.iter().cloned());
    for (path, optional) in &exec.environment_files {
        match fs::read_to_string(path) {
            Ok(text) => all.extend(parse_environment_file(&text)),
            Err(error) if *optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return refuse(
                    203,
                    format!("cannot read environment file `{path}`: {error}"),
                );
            }
        }
    }
    let mut last: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        last.retain(|(known, _)| *known != name);
        last.push((name, value));
    }
    last.retain(|(name, value)| {
        !exec.unset_environment.iter().any(|unset| {
            unset == name || unset.split_once('=') == Some((name.as_str(), value.as_str()))
        })
    });
    Ok(last)
}

/// Contract: systemd.exec(5), `EnvironmentFile=`.
fn parse_environment_file(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.replace("\\\n", "");
    while !rest.is_empty() {
        let (line, after) = match quoted_line(&rest) {
            Some(end) => rest.split_at(end),
            None => (rest.as_str(), ""),
        };
        let line = line.trim();
        if let Some((name, value)) = line
            .split_once('=')
            .filter(|_| !line.starts_with(['#', ';']))
        {
            found.push((name.trim().to_owned(), unquote(value.trim())));
        }
        rest = after.strip_prefix('\n').unwrap_or(after).to_owned();
    }
    found
}

/// Where the line ends, past quoted line ends. A comment's quotes mean nothing.
fn quoted_line(text: &str) -> Option<usize> {
    let comment = text.trim_start().starts_with(['#', ';']);
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            '\n' if quote.is_none() => return Some(index),
            _ if escaped => escaped = false,
            '\\' if quote != Some('\'') => escaped = true,
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() && !comment => quote = Some(c),
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => out.extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Puts variables into arguments: `${A}` within a word, `$A` as a word of its own, which is split at blanks.
fn substitute(arguments: &[String], environment: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let mut out = Vec::new();
    for argument in arguments {
        let own_word = argument.strip_prefix('$').filter(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if let Some(name) = own_word {
            out.extend(crate::units::value::words(value(name)).unwrap_or_default());
            continue;
        }
        let mut word = String::new();
        let mut rest = argument.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            word.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                word.push('$');
                rest = after;
            } else if let Some((name, after)) = after
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
            {
                word.push_str(value(name));
                rest = after;
            } else {
                word.push('$');
                rest = after;
            }
        }
        word.push_str(rest);
        out.push(word);
    }
    out
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

#[cfg(test)]
mod tests {
    use super::{parse_environment_file, substitute};

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn environment_files_are_read() {
        let text = "# it's a comment\nA=1\n B = two words \nC=\"x \\\" y\"\nD='a\nb'\n;E=no\nF=a\\\nb\nnonsense\nG=";
        assert_eq!(
            parse_environment_file(text),
            pairs(&[
                ("A", "1"),
                ("B", "two words"),
                ("C", "x \" y"),
                ("D", "a\nb"),
                ("F", "ab"),
                ("G", "")
            ])
        );
    }

    #[test]
    fn variables_are_put_into_arguments() {
        let environment = pairs(&[("ONE", "1"), ("OPTS", "-a 'b c'")]);
        let arguments: Vec<String> = ["x${ONE}y", "$OPTS", "$$HOME", "$NONE", "${NONE}", "a$b"]
            .map(String::from)
            .into();
        assert_eq!(
            substitute(&arguments, &environment),
            ["x1y", "-a", "b c", "$HOME", "", "a$b"]
        );
    }
}
