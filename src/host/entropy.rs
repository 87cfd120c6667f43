//! Randomness of the operating system.

use connect_core::plan::Entropy;

/// Reads `getrandom(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("getrandom does not fail on a Linux that has booted");
    }
}
