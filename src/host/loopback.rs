//! Just enough HTTP/1.1 for our own worker on loopback: one connection, one request at a time.
//!
//! A client library with its runtime would cost each hook more than all it does otherwise.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_core::secret::Secret;

/// Longest wait for a connection on loopback.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest answer in bytes: a listing of thousands of connectors stays well below.
const LONGEST: u64 = 64 << 20;

/// The worker did not answer as HTTP asks for.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} at {address}")]
pub struct LoopbackError {
    action: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// A connection to a server on loopback.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    authorization: Secret<String>,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; each answer may then take up to `patience`.
    ///
    /// # Errors
    ///
    /// Nobody listens there.
    pub fn open(
        address: SocketAddr,
        username: &str,
        password: &Secret<String>,
        patience: Duration,
    ) -> Result<Self, LoopbackError> {
        let failed = |source| LoopbackError {
            action: "connect",
            address,
            source,
        };
        let stream = TcpStream::connect_timeout(&address, CONNECT).map_err(failed)?;
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        stream.set_write_timeout(Some(patience)).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let credential = Secret::new(format!("{username}:{}", password.expose()));
        Ok(Self {
            address,
            authorization: Secret::new(STANDARD.encode(credential.expose())),
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request without body and reads the answer. `path` is percent-encoded already.
    ///
    /// # Errors
    ///
    /// The connection broke, or the answer is late, malformed or too long.
    pub fn request(&mut self, method: &str, path: &str) -> Result<Answer, LoopbackError> {
        let address = self.address;
        let head = Secret::new(format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nAuthorization: Basic {}\r\n\r\n",
            self.authorization.expose()
        ));
        self.stream
            .get_mut()
            .write_all(head.expose().as_bytes())
            .and_then(|()| read_answer(&mut self.stream))
            .map_err(|source| LoopbackError {
                action: "get an answer",
                address,
                source,
            })
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(16 << 10).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| malformed("line"))
}

/// How the end of a body is known.
enum Body {
    Length(u64),
    Chunked,
    UntilClosed,
}

fn read_answer(stream: &mut impl BufRead) -> io::Result<Answer> {
    let first = read_line(stream)?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| malformed("status line"))?;
    let mut body = Body::UntilClosed;
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.parse().map_err(|_| malformed("length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(malformed("transfer encoding"));
            }
            body = Body::Chunked;
        }
    }
    if matches!(status, 204 | 304) {
        body = Body::Length(0);
    }
    let body = match body {
        Body::Length(length) => read_exactly(stream, length)?,
        Body::Chunked => read_chunks(stream)?,
        Body::UntilClosed => {
            let mut body = Vec::new();
            stream.take(LONGEST + 1).read_to_end(&mut body)?;
            bounded(body.len() as u64)?;
            body
        }
    };
    Ok(Answer { status, body })
}

fn bounded(length: u64) -> io::Result<()> {
    if length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the answer is longer than {LONGEST} bytes"),
        ));
    }
    Ok(())
}

fn read_exactly(stream: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    bounded(length)?;
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length {
        Ok(body)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed("chunk"))?;
        if size == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(body);
        }
        bounded(size.saturating_add(body.len() as u64))?;
        body.extend(read_exactly(stream, size)?);
        if !read_line(stream)?.is_empty() {
            return Err(malformed("chunk"));
        }
    }
}

/// Percent-encodes one segment of a path.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> io::Result<Answer> {
        read_answer(&mut BufReader::new(text.as_bytes()))
    }

    #[test]
    fn bodies_end_by_length_by_chunk_or_by_closing() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloMORE",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 200\r\nX: y\r\n\r\nhello",
        ] {
            let answer = answer(text).unwrap();
            assert_eq!(
                (answer.status, &answer.body[..]),
                (200, &b"hello"[..]),
                "{text}"
            );
        }
        assert_eq!(answer("HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, b"");
    }

    #[test]
    fn one_connection_carries_several_requests_with_the_credential() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut heads = Vec::new();
            for body in ["{}", ""] {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    stream.read_line(&mut head).unwrap();
                }
                heads.push(head);
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            heads
        });
        let password = Secret::new("p:w".to_owned());
        let patience = Duration::from_secs(5);
        let mut connection = Connection::open(address, "internal", &password, patience).unwrap();
        assert_eq!(connection.request("GET", "/health").unwrap().body, b"{}");
        assert_eq!(connection.request("DELETE", "/x").unwrap().body, b"");
        let heads = server.join().unwrap();
        assert!(
            heads[0].starts_with("GET /health HTTP/1.1\r\n"),
            "{}",
            heads[0]
        );
        assert!(
            heads[1].contains("Authorization: Basic aW50ZXJuYWw6cDp3\r\n"),
            "{}",
            heads[1]
        );
        assert!(!format!("{connection:?}").contains("aW50"));
        let error = connection.request("GET", "/").unwrap_err().to_string();
        assert_eq!(error, format!("cannot get an answer at {address}"));
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in [
            "",
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            assert!(answer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_segment_keeps_nothing_that_means_something_in_a_path() {
        assert_eq!(segment("a-B_1.~"), "a-B_1.~");
        assert_eq!(segment("a/b ?ü"), "a%2Fb%20%3F%C3%BC");
    }
}
