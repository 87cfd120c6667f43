//! What a program asks of the machine it runs on.

use std::fmt;

/// A version of the GNU C library, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc(pub u32, pub u32);

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GLIBC_{}.{}", self.0, self.1)
    }
}

/// The newest `GLIBC_x.y` named in the program's bytes. Symbol versions are plain strings there, so
/// a search finds every one; text that merely looks like one could only make the answer too careful.
#[must_use]
pub fn highest_glibc(program: &[u8]) -> Option<Glibc> {
    const MARK: &[u8] = b"GLIBC_";
    program
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .filter_map(|(at, _)| version(&program[at + MARK.len()..]))
        .max()
}

fn version(text: &[u8]) -> Option<Glibc> {
    let (major, rest) = number(text)?;
    let rest = rest.strip_prefix(b".")?;
    let (minor, _) = number(rest)?;
    Some(Glibc(major, minor))
}

fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    Some((value, &text[digits..]))
}

/// `e_machine` of a little-endian ELF file; none for anything else.
pub(super) fn machine(program: &[u8]) -> Option<u16> {
    const LITTLE_ENDIAN: u8 = 1;
    let header = program.get(..20)?;
    let known = header.starts_with(b"\x7fELF") && header[5] == LITTLE_ENDIAN;
    known.then(|| u16::from_le_bytes([header[18], header[19]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (bytes, expected) in [
            (
                &b"\0GLIBC_2.9\0GLIBC_2.17\0GLIBC_2.2.5\0"[..],
                Some(Glibc(2, 17)),
            ),
            (b"GLIBC_PRIVATE\0GLIBC_ABI_DT_RELR\0", None),
            (b"GLIBC_2.", None),
            (b"GLIBC_", None),
            (b"", None),
            (b"xGLIBC_2.34", Some(Glibc(2, 34))),
        ] {
            assert_eq!(highest_glibc(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn only_elf_has_a_machine() {
        assert_eq!(machine(b"#!/bin/sh\nexec something long enough"), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }
}
