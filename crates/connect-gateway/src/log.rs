//! Where log lines go: at once, or many together a moment later.
//!
//! One write for each line of a read would cost more than the rest of the request. *Guarantee:* any
//! other line, an audit line above all, is written when the call that logged it returns, and with it
//! all before it: an answer to a change is never seen before its line is. Lines of reads wait for
//! [`limits::LOG_DELAY`], and for less where many come; [`Log::flush`] is for the end. *Caveat:* a
//! killed process loses the lines of reads that waited.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::limits;

/// The target of lines that may wait.
pub const ACCESS: &str = "access";

/// The log; clones write to the same place.
pub struct Log<W>(Arc<Shared<W>>);

impl<W> Clone for Log<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<W> {
    /// Taken before `waiting` by whoever takes both, so that lines keep their order.
    out: Mutex<Out<W>>,
    waiting: Mutex<Vec<u8>>,
    filled: Condvar,
}

struct Out<W> {
    to: W,
    /// What is being written; its memory is used again.
    lines: Vec<u8>,
}

impl<W: Write + Send + 'static> Log<W> {
    /// Starts the thread that writes what waited.
    ///
    /// # Errors
    /// [`io::Error`] if there can be no thread more.
    pub fn start(to: W) -> io::Result<Self> {
        let lines = Vec::new();
        let log = Self(Arc::new(Shared {
            out: Mutex::new(Out { to, lines }),
            waiting: Mutex::default(),
            filled: Condvar::new(),
        }));
        let of_thread = log.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    of_thread.wait();
                    thread::sleep(limits::LOG_DELAY);
                    of_thread.flush();
                }
            })?;
        Ok(log)
    }

    /// Writes what waits.
    pub fn flush(&self) {
        let mut out = lock(&self.0.out);
        let Out { to, lines } = &mut *out;
        std::mem::swap(lines, &mut lock(&self.0.waiting));
        // There is nowhere to say that the log cannot be written.
        drop(to.write_all(lines));
        lines.clear();
    }

    fn wait(&self) {
        let empty = |lines: &mut Vec<u8>| lines.is_empty();
        let waited = self.0.filled.wait_while(lock(&self.0.waiting), empty);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, line: &[u8], may_wait: bool) {
        let (first, full) = {
            let mut waiting = lock(&self.0.waiting);
            waiting.extend_from_slice(line);
            let first = waiting.len() == line.len();
            (first, waiting.len() >= limits::LOG_BYTES)
        };
        if !may_wait || full {
            self.flush();
        } else if first {
            self.0.filled.notify_one();
        }
    }
}

/// Nothing in here panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer of one line.
pub struct Line<'a, W> {
    log: &'a Log<W>,
    may_wait: bool,
}

impl<W: Write + Send + 'static> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.log.add(line, self.may_wait);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, W: Write + Send + 'static> MakeWriter<'a> for Log<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            log: self,
            may_wait: false,
        }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Self::Writer {
        Line {
            log: self,
            may_wait: about.target() == ACCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn lines(&self) -> Vec<String> {
            let text = lock(&self.0).clone();
            let text = String::from_utf8(text).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logging(work: impl FnOnce(&Log<Written>, &Written)) {
        let written = Written::default();
        let log = Log::start(written.clone()).unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .without_time()
            .with_level(false)
            .with_writer(log.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || work(&log, &written));
    }

    #[test]
    fn a_change_is_written_before_its_answer_and_reads_before_it_too() {
        logging(|_, written| {
            // Both before the thread can have written the first, or both after it.
            tracing::info!(target: "access", "read");
            tracing::info!(target: "audit", "change");
            assert_eq!(written.lines(), ["access: read", "audit: change"]);
            tracing::warn!("warning");
            assert_eq!(written.lines().len(), 3);
        });
    }

    #[test]
    fn reads_are_written_in_order_without_a_change() {
        logging(|_, written| {
            let count = 3 * limits::LOG_BYTES / 100;
            for number in 0..count {
                tracing::info!(target: "access", "{number:0100}");
            }
            let much = written.lines().len();
            assert!(much > count / 2, "what waits is bounded: {much}");
            let end = Instant::now() + Duration::from_secs(10);
            while written.lines().len() < count {
                assert!(Instant::now() < end, "the rest is written by itself");
                thread::sleep(Duration::from_millis(1));
            }
            let lines = written.lines();
            assert!(lines.is_sorted() && lines.len() == count);
        });
    }

    #[test]
    fn nothing_waits_after_the_end() {
        logging(|log, written| {
            tracing::info!(target: "access", "read");
            log.flush();
            assert_eq!(written.lines(), ["access: read"]);
        });
    }
}
