//! A load generator that costs little itself: blocking sockets, one write and one read a request.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::servers::AUTHORIZATION;

/// Connections that share the clock: so many requests may be late before one waits for another.
const CLOCKED: u32 = 8;
/// Threads that ask as fast as they are answered, and connections of each.
const THREADS: usize = 2;
const CONNECTIONS: usize = 16;
/// Longest wait for an answer: nothing here takes so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody to ask.
#[derive(Clone, Copy)]
pub(super) struct Load {
    address: SocketAddr,
}

impl Load {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The 99th percentile of the time to an answer in milliseconds, at `rate` requests a second. The
    /// time runs from when the request was due, except for how late the clock itself was.
    pub(super) fn p99_ms(self, rate: u32, time: Duration) -> Result<f64> {
        let period = Duration::from_secs(1) / rate;
        let rounds = u32::try_from(time.as_nanos() / (period * CLOCKED).as_nanos())?;
        let connections: Vec<_> = (0..CLOCKED)
            .map(|_| Connection::open(self.address))
            .collect::<Result<_>>()?;
        let start = Instant::now() + Duration::from_millis(20);
        let threads: Vec<_> = connections
            .into_iter()
            .zip(0..)
            .map(|(mut connection, number)| {
                thread::spawn(move || -> Result<Vec<f64>> {
                    let mut took = Vec::new();
                    for round in 0..rounds {
                        let mut due = start + period * (round * CLOCKED + number);
                        let early = due.saturating_duration_since(Instant::now());
                        if !early.is_zero() {
                            thread::sleep(early);
                            due = Instant::now();
                        }
                        connection.ask()?;
                        connection.take()?;
                        took.push(due.elapsed().as_secs_f64() * 1000.0);
                    }
                    Ok(took)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(joined(thread)?);
        }
        all.sort_by(f64::total_cmp);
        all.get(all.len() * 99 / 100).copied().context("no answers")
    }

    /// Asks as fast as it is answered for so long: the number of answers, and the seconds.
    pub(super) fn saturate(self, time: Duration) -> Result<(f64, f64)> {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                thread::spawn(move || -> Result<(u32, Duration)> {
                    let mut connections: Vec<_> = (0..CONNECTIONS)
                        .map(|_| Connection::open(self.address))
                        .collect::<Result<_>>()?;
                    let start = Instant::now();
                    for connection in &mut connections {
                        connection.ask()?;
                    }
                    let mut answers = 0;
                    while start.elapsed() < time {
                        for connection in &mut connections {
                            connection.take()?;
                            connection.ask()?;
                            answers += 1;
                        }
                    }
                    let took = start.elapsed();
                    for connection in &mut connections {
                        connection.take()?;
                    }
                    Ok((answers, took))
                })
            })
            .collect();
        let (mut all, mut longest) = (0.0, 0.0_f64);
        for thread in threads {
            let (answers, took) = joined(thread)?;
            all += f64::from(answers);
            longest = longest.max(took.as_secs_f64());
        }
        Ok((all, longest))
    }
}

fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread failed"))?
}

/// One kept-alive connection.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "GET /connectors/orders/status HTTP/1.1\r\nHost: {address}\r\nAuthorization: {AUTHORIZATION}\r\n\
             Accept: application/json\r\n\r\n"
        );
        Ok(Self {
            stream,
            request: request.into_bytes(),
            buffer: Vec::with_capacity(4096),
        })
    }

    fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.request)?;
        Ok(())
    }

    /// Reads one answer to its end.
    fn take(&mut self) -> Result<()> {
        self.buffer.clear();
        let mut piece = [0; 4096];
        loop {
            let length = self.stream.read(&mut piece)?;
            if length == 0 {
                bail!("the connection was closed");
            }
            self.buffer.extend_from_slice(&piece[..length]);
            if is_whole(&self.buffer)? {
                return Ok(());
            }
        }
    }
}

/// Whether all of an answer is there; an error if it is not a good one.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") {
        bail!("answered `{status}`");
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.context("an answer has no length")?;
    Ok(answer.len() >= end + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_ends_with_its_body() {
        let head = "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 2\r\n\r\n";
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\n".to_owned(), false),
            (head.to_owned(), false),
            (format!("{head}[]"), true),
        ] {
            assert_eq!(is_whole(answer.as_bytes()).unwrap(), whole, "{answer}");
        }
        assert!(is_whole(b"HTTP/1.1 401 Unauthorized\r\n\r\n").is_err());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
