//! The trampoline: becomes the program of a service. Exit codes are those of systemd.exec(5).

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::Mode;
use rustix::io::FdFlags;
use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::CapabilitySet;

use crate::units::Calls;

use super::{Launch, calls, descriptors};

/// A step failed: the exit code that names it, what was meant, and why.
struct Failure {
    code: i32,
    intention: String,
    source: io::Error,
}

trait Step<T> {
    fn or_exit(self, code: i32, intention: &str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn or_exit(self, code: i32, intention: &str) -> Result<T, Failure> {
        self.map_err(|source| Failure {
            code,
            intention: intention.to_owned(),
            source: source.into(),
        })
    }
}

/// The trampoline role. Returns only on failure.
pub(crate) fn main() -> i32 {
    let mut status = None;
    let failure = match become_program(&mut status) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let text = format!("cannot {}: {}", failure.intention, failure.source);
    if let Some(mut socket) = status {
        let _ = socket.write_all(text.as_bytes());
    }
    eprintln!("{text}");
    failure.code
}

fn become_program(status: &mut Option<UnixStream>) -> Result<std::convert::Infallible, Failure> {
    let _ = rustix::process::setsid();
    // The manager blocks the signals it waits for, and a blocked signal stays blocked over an execution.
    nix::sys::signal::SigSet::empty()
        .thread_set_mask()
        .or_exit(207, "unblock signals")?;
    // Standard input is the manager's socket; it moves out of the way of what the program expects at 0, 3, 4, ….
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 512)
        .map(UnixStream::from)
        .or_exit(202, "keep the manager's socket")?;
    crate::sys::null_stdin();
    let (launch, fds) = descriptors::receive(&socket).or_exit(202, "receive the launch")?;
    *status = Some(socket);
    if let Some((code, reason)) = launch.refusal {
        return Err(Failure {
            code,
            intention: "start".into(),
            source: io::Error::other(reason),
        });
    }
    let inherited = keep_descriptors(fds)?;
    apply_resources(&launch)?;
    launch
        .sandbox
        .enter()
        .or_exit(226, "set up the service's own view of the files")?;
    rustix::process::umask(Mode::from_raw_mode(launch.umask));
    apply_identity(&launch)?;
    // A process that is not root's could not install filters otherwise; so it is in systemd.
    let filters = launch.uid != 0 && launch.calls != Calls::default();
    if launch.no_new_privileges || filters {
        rustix::thread::set_no_new_privs(true).or_exit(227, "give up new privileges")?;
    }
    let entered = std::env::set_current_dir(&launch.working_directory);
    if !launch.working_directory_optional {
        entered.or_exit(200, &format!("enter `{}`", launch.working_directory))?;
    }
    let mut command = Command::new(&launch.program);
    command
        .arg0(&launch.argument_zero)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.env("SYSTEMD_EXEC_PID", std::process::id().to_string());
    if launch
        .environment
        .iter()
        .any(|(name, _)| name == "WATCHDOG_USEC")
    {
        command.env("WATCHDOG_PID", std::process::id().to_string());
    }
    if inherited > 0 {
        command
            .env("LISTEN_FDS", inherited.to_string())
            .env("LISTEN_PID", std::process::id().to_string())
            .env("LISTEN_FDNAMES", launch.descriptors.join(":"));
    }
    calls::enter(&launch.calls)
        .map_err(|error| io::Error::other(error.to_string()))
        .or_exit(228, "filter system calls")?;
    Err(Failure {
        code: 203,
        intention: format!("run `{}`", launch.program),
        source: command.exec(),
    })
}

/// Descriptors arrive in the lowest free numbers, which are 3, 4, …: nothing else is open. Left open on purpose.
fn keep_descriptors(fds: Vec<OwnedFd>) -> Result<usize, Failure> {
    let count = fds.len();
    for (expected, fd) in (3..).zip(fds) {
        if fd.as_raw_fd() != expected {
            let error = io::Error::other(format!("descriptor {} arrived instead", fd.as_raw_fd()));
            return Err(error).or_exit(202, &format!("pass a socket as descriptor {expected}"));
        }
        rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::empty())
            .or_exit(202, "pass a socket to the program")?;
        let _ = fd.into_raw_fd();
    }
    Ok(count)
}

fn apply_resources(launch: &Launch) -> Result<(), Failure> {
    if let Some(score) = launch.oom_score_adjust {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .or_exit(206, "adjust the score of running out of memory")?;
    }
    if let Some(nice) = launch.nice {
        rustix::process::setpriority_process(None, nice).or_exit(201, "set the nice value")?;
    }
    if launch.is_idle {
        // Machines have no control groups. Where the kernel groups tasks by session, of which this
        // is a new one, the group's weight counts and not the task's; elsewhere there is no such
        // file, and `Nice` is what there is.
        let _ = std::fs::write("/proc/self/autogroup", "19");
    }
    for (name, soft, hard) in &launch.limits {
        let Some(resource) = resource(name) else {
            continue;
        };
        let wanted = Rlimit {
            current: *soft,
            maximum: *hard,
        };
        let mut set = rustix::process::setrlimit(resource, wanted);
        if set == Err(rustix::io::Errno::PERM) {
            // A host without CAP_SYS_RESOURCE, such as a container, may not raise a hard limit.
            // The unit gets as much as this host can give, and its journal says so.
            eprintln!(
                "the limit of {name} stays below what the unit asks for: this host may not raise it"
            );
            set = rustix::process::setrlimit(resource, capped(&wanted, resource));
        }
        set.or_exit(205, &format!("set the limit of {name}"))?;
    }
    Ok(())
}

fn capped(wanted: &Rlimit, resource: Resource) -> Rlimit {
    let most = rustix::process::getrlimit(resource).maximum;
    // `None` is "unlimited", hence more than any number.
    let least = |limit: Option<u64>| match (limit, most) {
        (Some(limit), Some(most)) => Some(limit.min(most)),
        (limit, most) => limit.or(most),
    };
    Rlimit {
        current: least(wanted.current),
        maximum: least(wanted.maximum),
    }
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "CPU" => Resource::Cpu,
        "FSIZE" => Resource::Fsize,
        "DATA" => Resource::Data,
        "STACK" => Resource::Stack,
        "CORE" => Resource::Core,
        "RSS" => Resource::Rss,
        "NOFILE" => Resource::Nofile,
        "AS" => Resource::As,
        "NPROC" => Resource::Nproc,
        "MEMLOCK" => Resource::Memlock,
        "LOCKS" => Resource::Locks,
        "SIGPENDING" => Resource::Sigpending,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        _ => return None,
    })
}

fn set_of(capabilities: &[u8]) -> CapabilitySet {
    let bits = capabilities
        .iter()
        .fold(0_u64, |bits, number| bits | (1 << u32::from(*number)));
    CapabilitySet::from_bits_retain(bits)
}

/// User, groups and capabilities. This process has one thread, so what is set for the thread is set for the process.
fn apply_identity(launch: &Launch) -> Result<(), Failure> {
    if let Some(kept) = &launch.bounding_set {
        for number in (0..=crate::units::LAST_CAPABILITY).filter(|number| !kept.contains(number)) {
            match rustix::thread::remove_capability_from_bounding_set(set_of(&[number])) {
                // The kernel may be older than the newest capability.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(errno) => return Err(errno).or_exit(218, "drop capabilities"),
            }
        }
    }
    let ambient = set_of(&launch.ambient);
    if !ambient.is_empty() {
        rustix::thread::set_keep_capabilities(true).or_exit(218, "keep capabilities")?;
    }
    let groups: Vec<Gid> = launch
        .groups
        .iter()
        .map(|group| Gid::from_raw(*group))
        .collect();
    rustix::thread::set_thread_groups(&groups).or_exit(216, "set the groups")?;
    let gid = Gid::from_raw(launch.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).or_exit(216, "set the group")?;
    let uid = Uid::from_raw(launch.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).or_exit(217, "set the user")?;
    if !ambient.is_empty() {
        let mut sets = rustix::thread::capabilities(None).or_exit(218, "read capabilities")?;
        if launch.uid != 0 {
            sets.permitted &= ambient;
            sets.effective = sets.permitted;
        }
        sets.inheritable |= ambient;
        rustix::thread::set_capabilities(None, sets).or_exit(218, "set capabilities")?;
        for number in &launch.ambient {
            rustix::thread::configure_capability_in_ambient_set(set_of(&[*number]), true)
                .or_exit(218, "set ambient capabilities")?;
        }
    }
    Ok(())
}
