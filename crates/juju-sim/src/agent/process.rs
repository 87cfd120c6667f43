//! Waits for one charm process: answers its tool calls, reads its output, notices its end. One
//! thread, no timers: everything is a file that becomes ready.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::tool;

/// Juju cuts the lines of a charm's output to this many bytes.
const LINE: usize = 4096;

/// One call of a hook tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) context: String,
    pub(crate) directory: String,
    pub(crate) tool: String,
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) arguments: Vec<String>,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer {
        code: i32,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    /// The tool wants standard input: ask again with it.
    Stdin,
    /// The planned end of this process.
    Kill,
}

/// Which of the two outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What is told about a running process.
pub(crate) trait Observer {
    /// A hook tool was called.
    fn call(&mut self, call: Call) -> Reply;
    /// A line was written.
    fn line(&mut self, stream: Stream, line: &str);
    /// The process must end now.
    fn kill(&mut self);
}

/// What is left of a process.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) killed: bool,
    pub(crate) calls: u64,
    pub(crate) tools: BTreeMap<String, u64>,
    pub(crate) answering: Duration,
}

/// The process's files on the agent's side.
#[derive(Debug)]
pub(crate) struct Files {
    /// Becomes readable when the process has ended.
    pub(crate) end: OwnedFd,
    pub(crate) stdout: io::PipeReader,
    pub(crate) stderr: io::PipeReader,
    pub(crate) tools: UnixListener,
}

/// Serves until the process ends. What its children write later is not read.
pub(crate) fn serve(mut files: Files, observer: &mut impl Observer) -> io::Result<Ended> {
    files.tools.set_nonblocking(true)?;
    rustix::io::ioctl_fionbio(&files.stdout, true)?;
    rustix::io::ioctl_fionbio(&files.stderr, true)?;
    let mut ended = Ended::default();
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let (mut out_open, mut err_open) = (true, true);
    loop {
        let ready = {
            let mut events = vec![
                PollFd::new(&files.end, PollFlags::IN),
                PollFd::new(&files.tools, PollFlags::IN),
            ];
            if out_open {
                events.push(PollFd::new(&files.stdout, PollFlags::IN));
            }
            if err_open {
                events.push(PollFd::new(&files.stderr, PollFlags::IN));
            }
            match poll(&mut events, None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            [events[0].revents(), events[1].revents()]
        };
        if out_open {
            out_open = drain(
                &mut files.stdout,
                &mut ended.stdout,
                &mut out,
                &mut |line| {
                    observer.line(Stream::Out, line);
                },
            );
        }
        if err_open {
            err_open = drain(
                &mut files.stderr,
                &mut ended.stderr,
                &mut err,
                &mut |line| {
                    observer.line(Stream::Err, line);
                },
            );
        }
        if ready[1].contains(PollFlags::IN)
            && !ended.killed
            && let Ok((socket, _)) = files.tools.accept()
        {
            let start = Instant::now();
            // A caller that died or sent nonsense is its own problem.
            if let Ok(Reply::Kill) = answer(socket, observer, &mut ended) {
                ended.killed = true;
                observer.kill();
            }
            ended.answering += start.elapsed();
        }
        if !ready[0].is_empty() {
            out.end(&mut |line| observer.line(Stream::Out, line));
            err.end(&mut |line| observer.line(Stream::Err, line));
            return Ok(ended);
        }
    }
}

fn answer(
    mut socket: UnixStream,
    observer: &mut impl Observer,
    ended: &mut Ended,
) -> io::Result<Reply> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut parts = tool::receive(&mut socket)?.into_iter();
    let mut text = || String::from_utf8_lossy(&parts.next().unwrap_or_default()).into_owned();
    let (context, directory, tool, flag) = (text(), text(), text(), text());
    let stdin = parts.next().unwrap_or_default();
    let call = Call {
        context,
        directory,
        tool: tool.clone(),
        stdin: (flag == "1").then_some(stdin),
        arguments: parts
            .map(|part| String::from_utf8_lossy(&part).into_owned())
            .collect(),
    };
    if call.stdin.is_none() {
        ended.calls += 1;
        *ended.tools.entry(tool).or_default() += 1;
    }
    let reply = observer.call(call);
    match &reply {
        Reply::Answer {
            code,
            stdout,
            stderr,
        } => {
            tool::send(&mut socket, &[code.to_string().as_bytes(), stdout, stderr])?;
        }
        Reply::Stdin => tool::send(&mut socket, &[b"stdin"])?,
        Reply::Kill => {}
    }
    Ok(reply)
}

/// Reads what is there; false at the end of the file.
fn drain(
    pipe: &mut io::PipeReader,
    kept: &mut Vec<u8>,
    lines: &mut Lines,
    each: &mut impl FnMut(&str),
) -> bool {
    let mut buffer = [0; 16_384];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                kept.extend(&buffer[..length]);
                lines.push(&buffer[..length], each);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(&str)) {
        self.0.extend(bytes);
        loop {
            let end = self.0.iter().position(|byte| *byte == b'\n');
            let (cut, skip) = match end {
                Some(end) if end <= LINE => (end, end + 1),
                _ if self.0.len() >= LINE => (LINE, LINE),
                _ => return,
            };
            each(&String::from_utf8_lossy(&self.0[..cut]));
            self.0.drain(..skip);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str)) {
        if !self.0.is_empty() {
            each(&String::from_utf8_lossy(&self.0));
            self.0.clear();
        }
    }
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn end_of(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_rests_kept() {
        let mut seen = Vec::new();
        let mut lines = Lines::default();
        let mut each = |line: &str| seen.push(line.len());
        lines.push(b"ab\nc", &mut each);
        lines.push(b"d\n", &mut each);
        lines.push(&[b'x'; LINE + 3], &mut each);
        lines.end(&mut each);
        assert_eq!(seen, [2, 2, LINE, 3]);
    }
}
