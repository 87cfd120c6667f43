//! Socket units. Contract: systemd.socket(5).

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::jobs::JobResult;
use super::unit::{Outcome, Phase, Unit};
use super::{Manager, launch};
use crate::units::{Kind, SocketConfig, SocketFile, UnitConfig};

impl Manager {
    pub(super) fn start_socket(&mut self, name: &str, config: &SocketConfig) {
        // A running service could not be given them any more, so systemd refuses (`socket_start` in its socket.c); a service
        // that waits for its next automatic start does not run.
        let service = self.triggered(name).unwrap_or_default();
        let runs = self.units.get(&service).is_some_and(|unit| {
            !matches!(unit.phase, Phase::Dead | Phase::Failed | Phase::AutoRestart)
        });
        if runs {
            let text = format!("{name}: Socket service {service} already active, refusing.");
            self.log(name, &text);
            return self.finish_job(name, JobResult::Failed);
        }
        let mut sockets = Vec::new();
        for (file, datagrams) in &config.listen {
            match open_socket(file, *datagrams, config) {
                Ok(socket) => sockets.push(socket),
                Err(error) => {
                    self.log(
                        name,
                        &format!("{name}: Failed to listen on {file:?}: {error}"),
                    );
                    return self.fail(name, Outcome::Resources);
                }
            }
        }
        if let Some(unit) = self.units.get_mut(name) {
            unit.outcome = Outcome::Success;
            unit.sockets = sockets;
        }
        let text = format!("Listening on {}.", self.description(name));
        self.log(name, &text);
        self.set_phase(name, Phase::Waiting);
    }

    pub(super) fn stop_socket(&mut self, name: &str, config: &SocketConfig) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.sockets.clear();
        }
        if config.remove_on_stop {
            for (file, _) in &config.listen {
                if let SocketFile::Unix(path) = file {
                    let _ = fs::remove_file(path);
                }
            }
        }
        self.set_phase(name, Phase::Dead);
    }

    /// The sockets to wait on: unit and index.
    pub(super) fn listening(&self) -> Vec<(String, usize)> {
        self.units
            .iter()
            .filter(|(_, unit)| unit.phase == Phase::Waiting)
            .flat_map(|(name, unit)| (0..unit.sockets.len()).map(|index| (name.clone(), index)))
            .collect()
    }

    pub(super) fn socket_ready(&mut self, name: &str) {
        let Some(unit) = self
            .units
            .get(name)
            .filter(|unit| unit.phase == Phase::Waiting)
        else {
            return;
        };
        let Some(Kind::Socket(socket)) = unit.config().map(|config| config.kind.clone()) else {
            return;
        };
        self.trigger(name, socket.trigger_interval, socket.trigger_burst);
    }
}

/// After its file was read again, a unit keeps the sockets that the file still names and loses the others; new ones are not
/// opened before its next start. systemd passes its descriptors to itself by address when it reloads (`socket_deserialize_item`
/// in its socket.c). A service that runs keeps what it was handed.
pub(super) fn keep_named(unit: &mut Unit, before: Option<&UnitConfig>) {
    let listen = |config: Option<&UnitConfig>| match config.map(|config| &config.kind) {
        Some(Kind::Socket(socket)) => socket.listen.clone(),
        Some(Kind::Service(_) | Kind::Path(_) | Kind::Timer(_) | Kind::Target) | None => Vec::new(),
    };
    let (had, now) = (listen(before), listen(unit.config()));
    let sockets = std::mem::take(&mut unit.sockets);
    let kept = had.iter().zip(sockets);
    unit.sockets = kept
        .filter(|(file, _)| now.contains(file))
        .map(|(_, socket)| socket)
        .collect();
}

fn open_socket(file: &SocketFile, datagrams: bool, config: &SocketConfig) -> io::Result<OwnedFd> {
    let kind = if datagrams {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = |family| rustix::net::socket_with(family, kind, flags, None);
    let socket = match file {
        SocketFile::Unix(path) => {
            let socket = new(AddressFamily::UNIX)?;
            bind_unix(&socket, path, config)?;
            socket
        }
        SocketFile::Abstract(name) => {
            let socket = new(AddressFamily::UNIX)?;
            rustix::net::bind(
                &socket,
                &SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            )?;
            socket
        }
        SocketFile::Internet(address) => {
            let mut address = *address;
            let mut socket = new(family(&address));
            if socket.is_err() && address.ip() == std::net::Ipv6Addr::UNSPECIFIED {
                // A kernel without IPv6: every address is then every IPv4 address.
                address.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
                socket = new(family(&address));
            }
            let socket = socket?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            if config.reuse_port {
                sockopt::set_socket_reuseport(&socket, true)?;
            }
            if let Some(only) = config.ipv6_only.filter(|_| address.is_ipv6()) {
                sockopt::set_ipv6_v6only(&socket, only)?;
            }
            if config.free_bind {
                sockopt::set_ip_freebind(&socket, true)?;
            }
            if config.keep_alive {
                sockopt::set_socket_keepalive(&socket, true)?;
            }
            if config.no_delay && !datagrams {
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
            rustix::net::bind(&socket, &address)?;
            socket
        }
    };
    if !datagrams {
        rustix::net::listen(&socket, config.backlog)?;
    }
    Ok(socket)
}

fn family(address: &std::net::SocketAddr) -> AddressFamily {
    if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    }
}

fn bind_unix(socket: &OwnedFd, path: &str, config: &SocketConfig) -> io::Result<()> {
    let path = Path::new(path);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent)?;
        fs::set_permissions(parent, fs::Permissions::from_mode(config.directory_mode))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Nobody may connect before the mode is set.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    let bound = SocketAddrUnix::new(path).and_then(|address| rustix::net::bind(socket, &address));
    rustix::process::umask(before);
    bound?;
    let refused = |refusal: launch::Refusal| io::Error::other(refusal.reason);
    let user = config
        .user
        .as_deref()
        .map(launch::user_id)
        .transpose()
        .map_err(refused)?;
    let group = config
        .group
        .as_deref()
        .map(launch::group)
        .transpose()
        .map_err(refused)?;
    chown(path, user, group)?;
    fs::set_permissions(path, fs::Permissions::from_mode(config.mode))
}
