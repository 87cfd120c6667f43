//! Mutations of bytes for fuzzing without a special compiler: what is made depends on the seed alone.

/// A small generator of numbers (xorshift64*).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// From a seed; the same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Zero would give zeros for ever.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits fit") % end
    }
}

/// Values that parsers stumble over.
const ODD: [&[u8]; 14] = [
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0, 0],
    &[0xff, 0xff],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0xff; 8],
    &[0x7f, 0xff, 0xff, 0xff],
    b"00000000000",
    b"77777777777",
    b"../",
];

/// One to eight changes of `bytes`: bits, odd values, pieces cut out, doubled, moved, or taken from
/// `other`.
pub fn mutate(numbers: &mut Numbers, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut made = bytes.to_vec();
    for _ in 0..=numbers.below(8) {
        if made.is_empty() {
            made.push(0);
        }
        let at = numbers.below(made.len());
        let length = 1 + numbers.below((made.len() - at).min(600));
        match numbers.below(8) {
            0 | 1 => made[at] ^= 1 << numbers.below(8),
            2 | 3 => {
                let odd = ODD[numbers.below(ODD.len())];
                let end = (at + odd.len()).min(made.len());
                made[at..end].copy_from_slice(&odd[..end - at]);
            }
            4 => drop(made.drain(at..at + length)),
            5 => {
                let piece = made[at..at + length].to_vec();
                let to = numbers.below(made.len());
                made.splice(to..to, piece);
            }
            6 => made.truncate(at),
            _ if other.is_empty() => made[at] = 0,
            _ => {
                let from = numbers.below(other.len());
                let piece = &other[from..(from + length).min(other.len())];
                made.splice(at..at + length, piece.iter().copied());
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::{Numbers, mutate};

    #[test]
    fn a_seed_gives_the_same_bytes_again() {
        let make = |seed| {
            let mut numbers = Numbers::new(seed);
            (0..50)
                .map(|_| mutate(&mut numbers, b"some bytes", b"others"))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
