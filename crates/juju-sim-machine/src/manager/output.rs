//! What services print: pipes read line by line into the journal.

use std::fs::File;
use std::io::{PipeReader, Read};

use crate::journal::{self, Entry};

/// Longer lines are cut here, as the real journal does.
const LONGEST_LINE: usize = 48 * 1024;

struct Output {
    pipe: PipeReader,
    unit: String,
    identifier: String,
    pid: u32,
    pending: Vec<u8>,
}

/// The open pipes.
#[derive(Default)]
pub(super) struct Outputs {
    open: Vec<Output>,
}

impl Outputs {
    /// Takes the reading end of a process's output over.
    pub(super) fn add(&mut self, pipe: PipeReader, unit: &str, identifier: &str, pid: u32) {
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        self.open.push(Output {
            pipe,
            unit: unit.to_owned(),
            identifier: identifier.to_owned(),
            pid,
            pending: Vec::new(),
        });
    }

    pub(super) fn pipes(&self) -> impl Iterator<Item = &PipeReader> {
        self.open.iter().map(|output| &output.pipe)
    }

    /// Reads what one pipe has; a pipe that nobody can write to any more goes.
    pub(super) fn read(&mut self, index: usize, journal: &mut File) {
        if self
            .open
            .get_mut(index)
            .is_some_and(|output| output.drain(journal))
        {
            self.open.remove(index);
        }
    }

    /// Reads what is left of a process that has ended.
    pub(super) fn drain_of(&mut self, pid: u32, journal: &mut File) {
        self.open
            .retain_mut(|output| output.pid != pid || !output.drain(journal));
    }
}

impl Output {
    /// True at the end of the stream.
    fn drain(&mut self, journal: &mut File) -> bool {
        let mut buffer = [0; 16 * 1024];
        // Bounded: one busy service must not keep the manager from the others.
        for _ in 0..64 {
            match self.pipe.read(&mut buffer) {
                Ok(0) => {
                    if !self.pending.is_empty() {
                        let last = std::mem::take(&mut self.pending);
                        self.write(&last, journal);
                    }
                    return true;
                }
                Ok(count) => {
                    self.pending
                        .extend_from_slice(buffer.get(..count).unwrap_or_default());
                    self.write_lines(journal);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    fn write_lines(&mut self, journal: &mut File) {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.write(line.strip_suffix(b"\n").unwrap_or(&line), journal);
        }
        if self.pending.len() > LONGEST_LINE {
            let line = std::mem::take(&mut self.pending);
            self.write(&line, journal);
        }
    }

    fn write(&self, line: &[u8], journal: &mut File) {
        journal::append(
            journal,
            &Entry {
                time_us: journal::now_us(),
                unit: self.unit.clone(),
                identifier: self.identifier.clone(),
                pid: self.pid,
                message: String::from_utf8_lossy(line).into_owned(),
            },
        );
    }
}
