//! Notifications of services. Contract: `sd_notify(3)`.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use super::unit::{Active, Moment, Phase, Unit};
use super::{Manager, process};
use crate::units::{NotifyAccess, ServiceType};

/// The socket that all services send to; the kernel says who sent what.
pub(super) fn listen(path: &Path) -> std::io::Result<OwnedFd> {
    let _ = std::fs::remove_file(path);
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::sockopt::set_socket_passcred(&socket, true)?;
    // The default buffer holds few datagrams, and a sender that finds it full fails.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(socket)
}

impl Manager {
    pub(super) fn read_notifications(&mut self) {
        let mut text = vec![0; 64 * 1024];
        loop {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(253))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = rustix::net::recvmsg(
                &self.notify,
                &mut [IoSliceMut::new(&mut text)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
            );
            let Ok(received) = received else { return };
            let mut sender = None;
            for message in control.drain() {
                match message {
                    RecvAncillaryMessage::ScmCredentials(who) => sender = Some(who.pid),
                    // There is no descriptor store. Closing is also the answer to `BARRIER=1`: everything before it is done.
                    RecvAncillaryMessage::ScmRights(fds) => fds.for_each(drop),
                    _ => {}
                }
            }
            let Some(sender) =
                sender.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
            else {
                continue;
            };
            let message = String::from_utf8_lossy(text.get(..received.bytes).unwrap_or_default());
            self.notified(sender, &message);
        }
    }

    fn notified(&mut self, sender: u32, message: &str) {
        let own = |unit: &Unit| {
            unit.main == Some(sender)
                || unit.control == Some(sender)
                || unit.sessions.contains(&sender)
        };
        let name = self
            .units
            .iter()
            .find(|(_, unit)| own(unit))
            .or_else(|| {
                self.units.iter().find(|(_, unit)| {
                    !unit.active().is_down()
                        && process::members(&unit.invocation, &unit.sessions).contains(&sender)
                })
            })
            .map(|(name, _)| name.clone());
        let Some(name) = name else { return };
        let Some(service) = self.service(&name) else {
            return;
        };
        let Some(unit) = self.units.get_mut(&name) else {
            return;
        };
        let allowed = match service.notifications() {
            NotifyAccess::None => false,
            NotifyAccess::Main => unit.main == Some(sender),
            NotifyAccess::Exec => unit.main == Some(sender) || unit.control == Some(sender),
            NotifyAccess::All => true,
        };
        if !allowed {
            let text = format!(
                "{name}: Got notification message from PID {sender}, but reception is not permitted"
            );
            self.log(&name, &text);
            return;
        }
        let mut ready = false;
        let mut reloading = false;
        let mut stopping = false;
        for line in message.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            match key {
                "READY" => ready |= value == "1",
                "RELOADING" => reloading |= value == "1",
                "STOPPING" => stopping |= value == "1",
                "STATUS" => value.clone_into(&mut unit.status_text),
                "MAINPID" => {
                    if let Ok(pid) = value.parse() {
                        unit.main = Some(pid);
                        unit.last_main = pid;
                        unit.moments.main_start = Moment::now();
                    }
                }
                "WATCHDOG" if service.watchdog != Duration::MAX => {
                    unit.watchdog_at = Some(Instant::now() + service.watchdog);
                }
                "EXTEND_TIMEOUT_USEC" => {
                    if let (Ok(more), Some(deadline)) = (value.parse(), unit.deadline) {
                        unit.deadline =
                            Some(deadline.max(Instant::now() + Duration::from_micros(more)));
                    }
                }
                _ => {}
            }
        }
        self.notified_state(&name, service.kind, (ready, reloading, stopping));
    }

    fn notified_state(
        &mut self,
        name: &str,
        kind: ServiceType,
        (ready, reloading, stopping): (bool, bool, bool),
    ) {
        let phase = self.units.get(name).map_or(Phase::Dead, |unit| unit.phase);
        let expects = matches!(kind, ServiceType::Notify | ServiceType::NotifyReload);
        if stopping && phase.active() == Active::Active {
            self.service_stops_itself(name);
        } else if reloading && matches!(phase, Phase::Running | Phase::ReloadSignal) {
            self.enter_reload_notify(name);
            if ready {
                self.reload_finished(name);
            }
        } else if ready && phase == Phase::Start && expects {
            self.start_succeeded(name);
        } else if ready && phase == Phase::ReloadNotify {
            self.reload_finished(name);
        }
    }
}
