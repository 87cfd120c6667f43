//! Each behaviour on the wire.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Request;
use super::behaviour::{Behaviour, Body};
use crate::archive::pack::gzip;

/// One connection after its request.
pub(crate) struct Out<'a, S> {
    pub(crate) stream: &'a mut S,
    /// The socket below, for timeouts and for closing.
    pub(crate) control: &'a TcpStream,
    pub(crate) stop: &'a AtomicBool,
}

impl<S: Read + Write> Out<'_, S> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn head(&mut self, status: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        self.send(head.as_bytes())
    }

    fn ok(&mut self, length: u64, headers: &[(&str, &str)]) -> io::Result<()> {
        let length = length.to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend_from_slice(headers);
        self.head("200 OK", &all)
    }

    /// Silent until the client closes or the server is dropped.
    fn stall(&mut self) -> io::Result<()> {
        self.control
            .set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut byte = [0];
        while !self.stop.load(Ordering::SeqCst) {
            match self.control.peek(&mut byte) {
                Ok(0) => break,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(error),
                // More from the client than it should say; not to be spun on.
                Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.control.shutdown(Shutdown::Both)
    }
}

const TAR: (&str, &str) = ("Content-Type", "application/x-tar");

#[expect(clippy::too_many_lines, reason = "one arm per behaviour")]
pub(crate) fn respond<S: Read + Write>(
    behaviour: &Behaviour,
    request: &Request,
    out: &mut Out<'_, S>,
) -> io::Result<()> {
    match behaviour {
        Behaviour::Ok { body, headers } => {
            let mut all = vec![TAR];
            all.extend(
                headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
            if let Body::File(path) = body {
                // It may be large.
                let mut file = File::open(path)?;
                out.ok(file.metadata()?.len(), &all)?;
                io::copy(&mut file, out.stream)?;
            } else {
                let body = body.load()?;
                out.ok(body.len() as u64, &all)?;
                out.send(&body)?;
            }
        }
        Behaviour::Tagged { body, etag } => {
            let tag = ("ETag", etag.as_str());
            if request.header("if-none-match") == Some(etag.as_str()) {
                out.head("304 Not Modified", &[tag])?;
            } else {
                let body = body.load()?;
                out.ok(body.len() as u64, &[TAR, tag])?;
                out.send(&body)?;
            }
        }
        Behaviour::Status { code, body } => {
            let body = match body {
                Some(body) => body.load()?,
                None => format!("<!DOCTYPE html><title>{code}</title>").into_bytes(),
            };
            let length = body.len().to_string();
            let headers = [
                ("Content-Type", "text/html"),
                ("Content-Length", length.as_str()),
            ];
            out.head(&format!("{code} Told So"), &headers)?;
            out.send(&body)?;
        }
        Behaviour::Redirect { code, to } => redirect(out, *code, to)?,
        Behaviour::RedirectChain { times, to } => {
            let hop = request
                .target
                .split_once("?hop=")
                .and_then(|(_, hop)| hop.parse().ok());
            let hop = hop.unwrap_or(0) + 1;
            if hop < *times {
                redirect(out, 307, &format!("{}?hop={hop}", request.path()))?;
            } else {
                redirect(out, 307, to)?;
            }
        }
        Behaviour::RedirectLoop => redirect(out, 307, &request.target)?,
        Behaviour::CloseBeforeHead => out.close()?,
        Behaviour::CloseMidBody { body, after } => {
            let body = body.load()?;
            out.ok(body.len() as u64, &[TAR])?;
            out.send(&body[..body.len().min(*after)])?;
            out.close()?;
        }
        Behaviour::StallBeforeHead => out.stall()?,
        Behaviour::StallBeforeBody => {
            out.ok(1000, &[TAR])?;
            out.stall()?;
        }
        Behaviour::StallMidBody { body, after } => {
            let body = body.load()?;
            out.ok(body.len() as u64, &[TAR])?;
            out.send(&body[..body.len().min(*after)])?;
            out.stall()?;
        }
        Behaviour::Trickle {
            body,
            bytes,
            every_ms,
        } => {
            let body = body.load()?;
            out.ok(body.len() as u64, &[TAR])?;
            for piece in body.chunks((*bytes).max(1)) {
                out.send(piece)?;
                std::thread::sleep(Duration::from_millis(*every_ms));
            }
        }
        Behaviour::ContentLength { body, claim } => {
            out.ok(*claim, &[TAR])?;
            out.send(&body.load()?)?;
        }
        Behaviour::Chunked { body, size } => {
            let body = body.load()?;
            chunks(out, &body, *size)?;
            out.send(b"0\r\n\r\n")?;
        }
        Behaviour::ChunkedCut { body, after } => {
            let body = body.load()?;
            chunks(out, &body[..body.len().min(*after)], 512)?;
            out.close()?;
        }
        Behaviour::ChunkedGarbage => {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")])?;
            out.send(b"many\r\nabc\r\n")?;
        }
        Behaviour::UntilClose { body } => {
            out.head("200 OK", &[TAR])?;
            out.send(&body.load()?)?;
        }
        Behaviour::Gzipped { body } => {
            let body = gzip(&body.load()?);
            out.ok(body.len() as u64, &[TAR, ("Content-Encoding", "gzip")])?;
            out.send(&body)?;
        }
        Behaviour::Endless { body } => {
            out.head("200 OK", &[TAR])?;
            out.send(&body.load()?)?;
            while !out.stop.load(Ordering::SeqCst) {
                out.send(&[0; 16 << 10])?;
            }
        }
        Behaviour::Empty => out.ok(0, &[])?,
        Behaviour::NoContent => out.head("204 No Content", &[])?,
        Behaviour::Garbage => out.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?,
        Behaviour::EndlessHead => {
            out.send(b"HTTP/1.1 200 OK\r\n")?;
            while !out.stop.load(Ordering::SeqCst) {
                out.send(
                    b"X-More: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
                )?;
            }
        }
        Behaviour::Basic { credentials, body } => {
            if request.header("authorization") == Some(&format!("Basic {credentials}")) {
                let body = body.load()?;
                out.ok(body.len() as u64, &[TAR])?;
                out.send(&body)?;
            } else {
                let ask = [
                    ("WWW-Authenticate", "Basic realm=\"plugins\""),
                    ("Content-Length", "0"),
                ];
                out.head("401 Unauthorized", &ask)?;
            }
        }
        Behaviour::Sequence { .. } => return respond(&behaviour.nth(0), request, out),
    }
    Ok(())
}

fn redirect<S: Read + Write>(out: &mut Out<'_, S>, code: u16, to: &str) -> io::Result<()> {
    out.head(
        &format!("{code} Elsewhere"),
        &[("Location", to), ("Content-Length", "0")],
    )
}

fn chunks<S: Read + Write>(out: &mut Out<'_, S>, body: &[u8], size: usize) -> io::Result<()> {
    out.head("200 OK", &[TAR, ("Transfer-Encoding", "chunked")])?;
    for piece in body.chunks(size.max(1)) {
        out.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
        out.send(piece)?;
        out.send(b"\r\n")?;
    }
    Ok(())
}
