//! Filters of system calls, as systemd makes them of a unit's keys (its seccomp-util.c). They hold for the process and all it
//! starts.

use std::collections::BTreeMap;
use std::str::FromStr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use syscalls::Sysno;

use crate::units::{Calls, List};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const EAFNOSUPPORT: u32 = 97;

/// Every kind of namespace that clone(2) and unshare(2) can make.
const NAMESPACES: [u64; 7] = [
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];
/// `S_ISUID` and `S_ISGID`.
const SUID_SGID: [u64; 2] = [0o4000, 0o2000];
const O_CREAT: u64 = 0o100;
const PROT_WRITE_EXEC: u64 = 0x2 | 0x4;
const PROT_EXEC: u64 = 0x4;
const SHM_EXEC: u64 = 0o100_000;
/// `SCHED_FIFO`, `SCHED_RR` and `SCHED_DEADLINE`.
const REALTIME: [u64; 3] = [1, 2, 6];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Failure = Box<dyn std::error::Error>;

/// Installs what the calls ask for, the filter by names last: it may forbid installing more.
pub(super) fn enter(calls: &Calls) -> Result<(), Failure> {
    if *calls == Calls::default() {
        return Ok(());
    }
    // Every program also ends a process that calls by another architecture than the machine's own.
    install(arguments(calls)?, SeccompAction::Errno(EPERM))?;
    install(unseen(calls), SeccompAction::Errno(ENOSYS))?;
    if let Some(families) = &calls.families {
        install(
            refused_families(families)?,
            SeccompAction::Errno(EAFNOSUPPORT),
        )?;
    }
    if let Some(list) = &calls.filter {
        let refuse = calls
            .error
            .map_or(SeccompAction::KillProcess, SeccompAction::Errno);
        let rules = list
            .members
            .iter()
            .filter_map(|name| number(name))
            .map(|number| (number, Vec::new()));
        let (others, listed) = if list.allows {
            (refuse, SeccompAction::Allow)
        } else {
            (SeccompAction::Allow, refuse)
        };
        apply(SeccompFilter::new(
            rules.collect(),
            others,
            listed,
            architecture()?,
        )?)?;
    }
    Ok(())
}

fn architecture() -> Result<TargetArch, Failure> {
    Ok(TargetArch::try_from(std::env::consts::ARCH)?)
}

fn install(rules: Rules, action: SeccompAction) -> Result<(), Failure> {
    apply(SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        action,
        architecture()?,
    )?)
}

fn apply(filter: SeccompFilter) -> Result<(), Failure> {
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}

/// A system call's number here, if this architecture has it.
fn number(name: &str) -> Option<i64> {
    Sysno::from_str(name).ok().map(|call| i64::from(call.id()))
}

/// An argument, what it is compared with, and how.
type Test = (u8, SeccompCmpOp, u64);

/// All bits of `mask` are set in the argument.
fn has(argument: u8, mask: u64) -> Test {
    (argument, SeccompCmpOp::MaskedEq(mask), mask)
}

fn is(argument: u8, value: u64) -> Test {
    (argument, SeccompCmpOp::Eq, value)
}

/// Refuses a call where all the tests hold.
fn refuse(rules: &mut Rules, name: &str, tests: &[Test]) -> Result<(), Failure> {
    let Some(number) = number(name) else {
        return Ok(());
    };
    let conditions = tests
        .iter()
        .map(|(argument, how, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, how.clone(), *value)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let list = rules.entry(number).or_default();
    if !conditions.is_empty() {
        list.push(SeccompRule::new(conditions)?);
    }
    Ok(())
}

/// What is refused for its arguments.
fn arguments(calls: &Calls) -> Result<Rules, Failure> {
    let mut rules = Rules::new();
    if calls.no_write_execute {
        refuse(&mut rules, "mmap", &[has(2, PROT_WRITE_EXEC)])?;
        refuse(&mut rules, "mprotect", &[has(2, PROT_EXEC)])?;
        refuse(&mut rules, "pkey_mprotect", &[has(2, PROT_EXEC)])?;
        refuse(&mut rules, "shmat", &[has(2, SHM_EXEC)])?;
    }
    if calls.no_realtime {
        for policy in REALTIME {
            refuse(&mut rules, "sched_setscheduler", &[is(1, policy)])?;
        }
    }
    if calls.no_personality {
        refuse(&mut rules, "personality", &[(0, SeccompCmpOp::Ne, 0)])?;
    }
    if calls.no_namespaces {
        for flag in NAMESPACES {
            refuse(&mut rules, "clone", &[has(0, flag)])?;
            refuse(&mut rules, "unshare", &[has(0, flag)])?;
        }
        refuse(&mut rules, "setns", &[])?;
    }
    if calls.no_suid {
        for bit in SUID_SGID {
            for (name, mode) in [
                ("chmod", 1),
                ("fchmod", 1),
                ("fchmodat", 2),
                ("fchmodat2", 2),
                ("mkdir", 1),
                ("mkdirat", 2),
                ("mknod", 1),
                ("mknodat", 2),
                ("creat", 1),
            ] {
                refuse(&mut rules, name, &[has(mode, bit)])?;
            }
            refuse(&mut rules, "open", &[has(1, O_CREAT), has(2, bit)])?;
            refuse(&mut rules, "openat", &[has(2, O_CREAT), has(3, bit)])?;
        }
    }
    Ok(rules)
}

/// What hides its arguments in memory: as if this kernel did not have it, so that programs go back to the older calls.
fn unseen(calls: &Calls) -> Rules {
    [
        ("clone3", calls.no_namespaces),
        ("openat2", calls.no_suid),
        ("sched_setattr", calls.no_realtime),
    ]
    .into_iter()
    .filter(|(_, hides)| *hides)
    .filter_map(|(name, _)| Some((number(name)?, Vec::new())))
    .collect()
}

fn refused_families(list: &List<u64>) -> Result<Rules, Failure> {
    let mut rules = Rules::new();
    if list.allows {
        let others: Vec<Test> = list
            .members
            .iter()
            .map(|family| (0, SeccompCmpOp::Ne, *family))
            .collect();
        refuse(&mut rules, "socket", &others)?;
    } else {
        for family in &list.members {
            refuse(&mut rules, "socket", &[is(0, *family)])?;
        }
    }
    Ok(rules)
}
