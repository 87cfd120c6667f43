//! What the readers of one pass tell each other.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use crate::limits::Limit;

/// An `io::Error` that travelled through a decoder has lost its type, so whoever stops a pass notes
/// the reason here.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Bytes taken from the source.
    pub(crate) served: Cell<u64>,
    /// A reader reached this limit.
    pub(crate) limit: Cell<Option<Limit>>,
}

/// The bytes as served, counted. Clones share one position.
#[derive(Clone)]
pub(crate) struct Served {
    source: Rc<RefCell<dyn Read>>,
    gauge: Rc<Gauge>,
}

impl Served {
    pub(crate) fn new(source: impl Read + 'static, gauge: Rc<Gauge>) -> Self {
        Self {
            source: Rc::new(RefCell::new(source)),
            gauge,
        }
    }
}

impl Read for Served {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.borrow_mut().read(buffer)?;
        self.gauge
            .served
            .set(self.gauge.served.get() + count as u64);
        Ok(count)
    }
}
