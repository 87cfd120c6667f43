//! `systemd-notify`: sends the notifications its options name, on behalf of the process that called it.

use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, UCred,
};

pub(crate) fn main(arguments: &[OsString]) -> i32 {
    let mut lines = Vec::new();
    for argument in arguments {
        let text = argument.to_string_lossy();
        match text.as_ref() {
            "--ready" => lines.push("READY=1".to_owned()),
            "--reloading" => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                lines.push("RELOADING=1".to_owned());
                lines.push(format!(
                    "MONOTONIC_USEC={}",
                    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
                ));
            }
            "--stopping" => lines.push("STOPPING=1".to_owned()),
            "--booted" => return 0,
            "--no-block" => {}
            "--pid" => {
                if let Some(parent) = rustix::process::getppid() {
                    lines.push(format!("MAINPID={}", parent.as_raw_nonzero()));
                }
            }
            text => match text.split_once('=') {
                Some(("--status", status)) => lines.push(format!("STATUS={status}")),
                Some(("--pid", pid)) => lines.push(format!("MAINPID={pid}")),
                Some(_) if !text.starts_with('-') => lines.push(text.to_owned()),
                Some(_) | None => {
                    eprintln!("systemd-notify: the stand-in does not know '{text}'");
                    return 1;
                }
            },
        }
    }
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        eprintln!("No status data could be sent: $NOTIFY_SOCKET was not set");
        return 1;
    };
    match send(&socket, &lines.join("\n")) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("Failed to notify init system: {error}");
            1
        }
    }
}

fn send(socket: &std::ffi::OsStr, text: &str) -> rustix::io::Result<()> {
    let out = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&out, &SocketAddrUnix::new(std::path::Path::new(socket))?)?;
    send_as_parent(&out, text)?;
    // The manager tells by this process's id which service it belongs to, so it stays until the message has been read.
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let fds = [theirs.as_fd()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(
        &out,
        &[IoSlice::new(b"BARRIER=1")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    drop(theirs);
    let limit = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&limit)).map(|_| ())
}

fn send_as_parent(out: &OwnedFd, text: &str) -> rustix::io::Result<()> {
    let parts = [IoSlice::new(text.as_bytes())];
    // Root may speak for its parent, which is the service when a script calls this.
    if let Some(parent) = rustix::process::getppid() {
        let who = UCred {
            pid: parent,
            uid: rustix::process::getuid(),
            gid: rustix::process::getgid(),
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmCredentials(who));
        if rustix::net::sendmsg(out, &parts, &mut control, SendFlags::NOSIGNAL).is_ok() {
            return Ok(());
        }
    }
    let mut none = SendAncillaryBuffer::default();
    rustix::net::sendmsg(out, &parts, &mut none, SendFlags::NOSIGNAL).map(|_| ())
}
