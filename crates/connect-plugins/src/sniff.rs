//! What the first bytes say a body is. Names and content types are not asked: the integrators of
//! the field serve gzip under `plugin.tar`.

/// Bytes needed to recognise everything: one tar block.
pub(crate) const PREFIX: usize = 512;

/// A recognised format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Tar,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Zip,
    Html,
    Unknown,
}

/// Recognises a body by up to [`PREFIX`] bytes of its start.
pub(crate) fn sniff(prefix: &[u8]) -> Format {
    match prefix {
        [0x1f, 0x8b, ..] => Format::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Format::Bzip2,
        // Local header, or the end record of a zip without entries.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Format::Zip,
        block if is_tar(block) => Format::Tar,
        text if is_html(text) => Format::Html,
        _ => Format::Unknown,
    }
}

/// A tar starts with a header whose checksum is right, or with the zero block that ends it.
fn is_tar(block: &[u8]) -> bool {
    let Some(block) = block.get(..PREFIX) else {
        return false;
    };
    if block.iter().all(|byte| *byte == 0) {
        return true;
    }
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    let digits = block[148..156]
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ');
    let written = digits
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .fold(0_u32, |value, digit| {
            value.wrapping_mul(8).wrapping_add(u32::from(digit - b'0'))
        });
    sum == written
}

fn is_html(text: &[u8]) -> bool {
    let text = text
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(text)
        .trim_ascii_start();
    ["<!doctype html", "<html", "<head", "<body", "<?xml", "<!--"]
        .iter()
        .any(|tag| {
            text.get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
        })
}

#[cfg(test)]
mod tests {
    use super::{Format, sniff};

    #[test]
    fn formats_are_recognised_by_their_first_bytes() {
        let zeros = [0_u8; 512];
        for (prefix, format) in [
            (&b"\x1f\x8b\x08"[..], Format::Gzip),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x50\x2a\x4d\x18", Format::Zstd),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"BZh9", Format::Bzip2),
            (b"BZh0", Format::Unknown),
            (b"PK\x03\x04", Format::Zip),
            (b"PK\x05\x06", Format::Zip),
            (&zeros, Format::Tar),
            (&zeros[..511], Format::Unknown),
            (b"<!DOCTYPE html><p>", Format::Html),
            (b"\xef\xbb\xbf \n<HTML>", Format::Html),
            (b"{\"detail\":\"Not Found\"}", Format::Unknown),
            (b"", Format::Unknown),
        ] {
            assert_eq!(sniff(prefix), format, "{prefix:?}");
        }
    }
}
