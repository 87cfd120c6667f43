//! Gives up every right that unpacking does not need.
//!
//! A process that called [`confine`] cannot gain privileges, use the network, start a program or a
//! thread, touch another process, map anything executable, or reach any file outside its current
//! directory; and it cannot get any of it back. Each part is done where the kernel knows it, and
//! what is missing is told.

use std::collections::BTreeMap;
use std::fmt;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, Signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use serde::{Deserialize, Serialize};

/// Memory a process may write to, in bytes: above every legitimate need, below what would hurt.
const MEMORY: u64 = 256 << 20;
/// Time on a processor, in seconds: a hundred times what the largest bundle takes.
const PROCESSOR_S: u64 = 600;

/// How far a kernel went with something that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Degree {
    /// In every point.
    Full,
    /// In some points: an older kernel knows fewer kinds of access.
    Partial,
    /// Not at all.
    None,
}

/// What holds a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No new privileges, for itself and all it could start.
    pub no_new_privileges: bool,
    /// Landlock: files, TCP ports, signals.
    pub landlock: Degree,
    /// The filter of system calls.
    pub system_calls: bool,
    /// Limits of memory, time and file size.
    pub resources: bool,
}

impl Confinement {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.no_new_privileges
            && self.landlock == Degree::Full
            && self.system_calls
            && self.resources
    }
}

impl fmt::Display for Confinement {
    /// What is missing, as a list of words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<&str> = [
            (!self.no_new_privileges).then_some("no-new-privileges"),
            match self.landlock {
                Degree::Full => None,
                Degree::Partial => Some("parts of Landlock"),
                Degree::None => Some("Landlock"),
            },
            (!self.system_calls).then_some("a filter of system calls"),
            (!self.resources).then_some("limits of resources"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if missing.is_empty() {
            f.write_str("confined")
        } else {
            write!(f, "confined without {}", missing.join(", "))
        }
    }
}

/// Confines this process, which has one thread, to its current directory. `largest_file` is in
/// bytes. There is no way back.
#[must_use]
pub fn confine(largest_file: u64) -> Confinement {
    // The parent's end is ours: nobody would read what we make.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    Confinement {
        resources: limit_resources(largest_file).is_ok(),
        no_new_privileges: rustix::thread::set_no_new_privs(true).is_ok(),
        landlock: restrict_files().unwrap_or(Degree::None),
        // Last, since it also forbids the calls above.
        system_calls: filter_calls().is_ok(),
    }
}

fn limit_resources(largest_file: u64) -> rustix::io::Result<()> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nofile, 64),
        (Resource::Fsize, largest_file),
        (Resource::Data, MEMORY),
        (Resource::Cpu, PROCESSOR_S),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit)?;
    }
    Ok(())
}

fn restrict_files() -> Result<Degree, Box<dyn std::error::Error>> {
    let abi = ABI::V6;
    let granted: BitFlags<AccessFs> = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::RemoveFile;
    let here = PathBeneath::new(PathFd::new(".")?, granted);
    let restricted = (|| -> Result<_, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rule(here)?
            .restrict_self()
    })()?;
    Ok(match restricted.ruleset {
        RulesetStatus::FullyEnforced => Degree::Full,
        RulesetStatus::PartiallyEnforced => Degree::Partial,
        RulesetStatus::NotEnforced => Degree::None,
    })
}

/// Everything that reading, decoding and writing files takes, and how a process ends; with the same
/// names on every architecture we run on.
const CALLS: [i64; 46] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mkdirat,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_tgkill,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// A call that is not listed answers `EPERM`.
fn filter_calls() -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // Memory, but none that could hold code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
        let plain = SeccompCondition::new(
            2,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(executable),
            0,
        )?;
        rules.insert(call, vec![SeccompRule::new(vec![plain])?]);
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter: BpfProgram =
        SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()?;
    Ok(apply_filter(&filter)?)
}

#[cfg(test)]
mod tests {
    use super::{Confinement, Degree};

    #[test]
    fn what_is_missing_is_told() {
        let all = Confinement {
            no_new_privileges: true,
            landlock: Degree::Full,
            system_calls: true,
            resources: true,
        };
        let old = Confinement {
            landlock: Degree::None,
            system_calls: false,
            ..all
        };
        let partial = Confinement {
            landlock: Degree::Partial,
            ..all
        };
        for (confinement, complete, told) in [
            (all, true, "confined"),
            (
                old,
                false,
                "confined without Landlock, a filter of system calls",
            ),
            (partial, false, "confined without parts of Landlock"),
        ] {
            assert_eq!(confinement.is_complete(), complete);
            assert_eq!(confinement.to_string(), told);
        }
    }
}
