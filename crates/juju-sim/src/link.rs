//! How the command line reaches the daemon.
//!
//! The client connects to `control.socket` in the model's directory, hands over its standard
//! input, output and error with one byte, then sends one line: the request as JSON. The daemon
//! writes straight to the client's own files, so a pipe to `grep` or `head` works as it would for
//! any program, and answers one line: the exit status. Closing the connection cancels.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::cli::args::Command;

const SOCKET: &str = "control.socket";

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) command: Command,
    /// Where relative paths start.
    pub(crate) directory: PathBuf,
}

/// A path to `name` in `directory` that is short enough for a socket address, and the descriptor
/// that keeps it valid.
fn short(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let handle = File::open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", handle.as_raw_fd()));
    Ok((handle, path))
}

/// Binds a socket in a directory, however long its path is. An old socket is replaced.
pub(crate) fn bind(directory: &Path, name: &str) -> io::Result<UnixListener> {
    let (_handle, path) = short(directory, name)?;
    unlink(&path)?;
    UnixListener::bind(path)
}

/// Takes away what an earlier daemon bound.
pub(crate) fn remove(model: &Path) -> io::Result<()> {
    unlink(&model.join(SOCKET))
}

fn unlink(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Binds the daemon's socket.
pub(crate) fn listen(model: &Path) -> io::Result<UnixListener> {
    bind(model, SOCKET)
}

/// Whether a daemon answers in this directory.
pub(crate) fn alive(model: &Path) -> bool {
    connect(model).is_ok()
}

fn connect(model: &Path) -> io::Result<UnixStream> {
    connect_to(model, SOCKET)
}

/// Connects to a socket in a directory, however long its path is.
pub(crate) fn connect_to(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let (_handle, path) = short(directory, name)?;
    UnixStream::connect(path)
}

/// Sends a request and waits for its exit status.
///
/// # Errors
/// When there is no daemon, or it went away before it answered.
pub(crate) fn send(model: &Path, request: &Request) -> io::Result<i32> {
    let mut socket = connect(model)?;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let files = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(
        &socket,
        &[IoSlice::new(b"J")],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    socket.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(socket).read_line(&mut answer)?;
    answer
        .trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon went away"))
}

/// The daemon's view of one client.
#[derive(Debug)]
pub(crate) struct Client {
    socket: UnixStream,
    pub(crate) stdin: File,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

impl Client {
    /// Takes over a connection and reads its request.
    pub(crate) fn accept(socket: UnixStream) -> io::Result<(Self, Request)> {
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut files: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                files.extend(rights);
            }
        }
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidData, text);
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(files)
            .map_err(|_| invalid("a client must send three files"))?;
        let mut line = String::new();
        BufReader::new(&socket).read_line(&mut line)?;
        let request =
            serde_json::from_str(&line).map_err(|_| invalid("cannot read the request"))?;
        Ok((
            Self {
                socket,
                stdin: stdin.into(),
                stdout: stdout.into(),
                stderr: stderr.into(),
            },
            request,
        ))
    }

    /// Waits up to `limit`; true as soon as the client has gone.
    pub(crate) fn gone_within(&self, limit: Duration) -> bool {
        let mut events = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::RDHUP)];
        let limit = Timespec::try_from(limit).ok();
        matches!(poll(&mut events, limit.as_ref()), Ok(ready) if ready > 0) && self.at_end()
    }

    fn at_end(&self) -> bool {
        let mut byte = [0];
        matches!((&self.socket).read(&mut byte), Ok(0) | Err(_))
    }

    /// The connection, to wait for its end beside other files.
    pub(crate) fn connection(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Answers with the exit status.
    pub(crate) fn finish(mut self, status: i32) {
        // A client that left does not want to know.
        drop(writeln!(self.socket, "{status}"));
    }
}
