//! Starting processes of services.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::control::NOTIFY;
use crate::exec::{self, Launch};
use crate::root::HELPER;
use crate::units::{CommandLine, Kind, NotifyAccess, Output, ServiceConfig};

use super::Manager;
use super::launch::{self, Refusal};
use super::unit::{Moment, Phase, Unit};

/// Which process of a service a command becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Control,
}

impl Manager {
    /// Starts one command of a service. Its process is then the unit's main or control process. A command that cannot even be
    /// described becomes a process that fails with the code systemd has for that.
    pub(super) fn spawn(&mut self, name: &str, line: &CommandLine, role: Role) -> io::Result<u32> {
        let Some(unit) = self.units.get(name) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let Some(service) = unit.config().and_then(|config| config.service()).cloned() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let invocation = unit.invocation.clone();
        let given = self.given_variables(name, &service, role);
        let mut launch = describe(&service, line, &given, &invocation);
        let mut stdio = Vec::new();
        let mut journal = None;
        for output in [
            &service.exec.standard_output,
            if service.exec.standard_error == Output::Inherit {
                &service.exec.standard_output
            } else {
                &service.exec.standard_error
            },
        ] {
            let opened = launch::open_output(output);
            stdio.push(match opened {
                Ok(Some(stdio)) => stdio,
                Ok(None) => {
                    let (_, writer) = match &journal {
                        Some(pipe) => pipe,
                        None => journal.insert(io::pipe()?),
                    };
                    writer.try_clone()?.into()
                }
                Err(error) => {
                    self.log(name, &format!("{name}: cannot open its output: {error}"));
                    Stdio::null()
                }
            });
        }
        let (ours, theirs) = UnixStream::pair()?;
        let mut stdio = stdio.into_iter();
        let child = Command::new(HELPER)
            .arg(exec::ROLE)
            .env_clear()
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(stdio.next().unwrap_or_else(Stdio::null))
            .stderr(stdio.next().unwrap_or_else(Stdio::null))
            .current_dir("/")
            .spawn()?;
        // The loop reaps it; a `Child` that is dropped does not wait.
        let pid = child.id();
        let sockets = if role == Role::Main {
            self.sockets_of(name)
        } else {
            BTreeMap::new()
        };
        let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
        for (socket, label) in &sockets {
            for fd in self
                .units
                .get(socket)
                .map(|unit| unit.sockets.as_slice())
                .unwrap_or_default()
            {
                fds.push(fd.as_fd());
                launch.descriptors.push(label.clone());
            }
        }
        exec::send(&ours, &launch, &fds)?;
        let _ = ours.set_nonblocking(true);
        self.launching.push((ours, name.to_owned(), pid));
        if let Some((reader, _writer)) = journal {
            let file = Path::new(&line.program)
                .file_name()
                .and_then(|file| file.to_str());
            let identifier = service
                .exec
                .syslog_identifier
                .as_deref()
                .or(file)
                .unwrap_or(name)
                .to_owned();
            self.outputs.add(reader, name, &identifier, pid);
        }
        if let Some(unit) = self.units.get_mut(name) {
            unit.sessions.push(pid);
            match role {
                Role::Main => {
                    unit.main = Some(pid);
                    unit.last_main = pid;
                    unit.main_exit = None;
                    unit.moments.main_start = Moment::now();
                    unit.moments.main_exit = Moment::default();
                }
                Role::Control => unit.control = Some(pid),
            }
        }
        Ok(pid)
    }

    /// Variables that depend on the state of the service.
    fn given_variables(
        &self,
        name: &str,
        service: &ServiceConfig,
        role: Role,
    ) -> Vec<(&'static str, String)> {
        let Some(unit) = self.units.get(name) else {
            return Vec::new();
        };
        let mut given = vec![("INVOCATION_ID", unit.invocation.clone())];
        let notifies = match (service.notifications(), role) {
            (NotifyAccess::None, _) | (NotifyAccess::Main, Role::Control) => false,
            (NotifyAccess::Main, Role::Main) | (NotifyAccess::Exec | NotifyAccess::All, _) => true,
        };
        if notifies {
            given.push(("NOTIFY_SOCKET", NOTIFY.to_owned()));
        }
        if role == Role::Main && service.watchdog != Duration::MAX {
            given.push(("WATCHDOG_USEC", service.watchdog.as_micros().to_string()));
        }
        if let Some(main) = unit.main.filter(|_| role == Role::Control) {
            given.push(("MAINPID", main.to_string()));
        }
        if matches!(unit.phase, Phase::Stop | Phase::StopPost) {
            given.push(("SERVICE_RESULT", unit.outcome.name().to_owned()));
            if let Some(exit) = unit.main_exit {
                given.push(("EXIT_CODE", exit.code_name().to_owned()));
                given.push(("EXIT_STATUS", super::show::exit_status_text(exit)));
            }
        }
        given
    }

    /// The active socket units that start this service, with the names their descriptors have.
    fn sockets_of(&self, service: &str) -> BTreeMap<String, String> {
        let own = |unit: &Unit, name: &str| {
            let config = unit.config()?;
            let Kind::Socket(socket) = &config.kind else {
                return None;
            };
            let wanted = config.triggers(name).as_deref() == Some(service)
                || self.service_lists_socket(service, name);
            (wanted && unit.active().is_up()).then(|| {
                socket
                    .descriptor_name
                    .clone()
                    .unwrap_or_else(|| name.to_owned())
            })
        };
        self.units
            .iter()
            .filter_map(|(name, unit)| own(unit, name).map(|label| (name.clone(), label)))
            .collect()
    }

    fn service_lists_socket(&self, service: &str, socket: &str) -> bool {
        self.units
            .get(service)
            .and_then(Unit::config)
            .and_then(|config| config.service())
            .is_some_and(|config| config.sockets.iter().any(|name| name == socket))
    }

    /// A trampoline said why it failed, or ended its part by executing the program.
    pub(super) fn launched(&mut self, index: usize) {
        let mut word = [0; 1];
        let (name, pid) = match self.launching.get(index) {
            Some((socket, name, pid)) => {
                let failed = match rustix::io::read(socket, &mut word) {
                    Ok(0) => false,
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
                    Ok(_) | Err(_) => true,
                };
                let found = (name.clone(), *pid);
                self.launching.remove(index);
                if failed {
                    return;
                }
                found
            }
            None => return,
        };
        self.program_runs(&name, pid);
    }
}

/// A launch, or one that reports why there is none.
fn describe(
    service: &ServiceConfig,
    line: &CommandLine,
    given: &[(&str, String)],
    invocation: &str,
) -> Launch {
    let attempt = || -> Result<Launch, Refusal> {
        let account = launch::account(&service.exec)?;
        launch::make_directories(&service.exec, &account).map_err(|error| Refusal {
            code: 233,
            reason: format!("cannot make the service's directories: {error}"),
        })?;
        let environment = super::environment::environment(&service.exec, &account, given)?;
        launch::describe(&service.exec, line, &account, environment, invocation).map_err(|error| {
            Refusal {
                code: 226,
                reason: format!("cannot make private directories: {error}"),
            }
        })
    };
    attempt().unwrap_or_else(|refusal| Launch {
        refusal: Some((refusal.code, refusal.reason)),
        ..Launch::default()
    })
}
