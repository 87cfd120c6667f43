//! Standard base64 with padding, with Go's report of where it is broken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes; line breaks inside are skipped.
///
/// # Errors
/// The text of Go's error.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let kept: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, c)| !matches!(c, b'\r' | b'\n'))
        .collect();
    let bytes: Vec<u8> = kept.iter().map(|(_, c)| *c).collect();
    STANDARD.decode(&bytes).map_err(|_| {
        format!(
            "illegal base64 data at input byte {}",
            broken(&kept, text.len())
        )
    })
}

/// The offset Go names: the first illegal character, else the quantum that is cut short.
fn broken(kept: &[(usize, u8)], length: usize) -> usize {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    for (index, (offset, c)) in kept.iter().enumerate() {
        if legal(*c) {
            continue;
        }
        let place = index % 4;
        let ends = |from: usize| kept.len() == index + from;
        let padded = *c == b'='
            && (place == 3 && ends(1)
                || place == 2 && ends(2) && kept.get(index + 1).is_some_and(|(_, c)| *c == b'='));
        if padded {
            break;
        }
        if *c == b'=' && place == 2 && ends(1) {
            return length;
        }
        let trailing = *c == b'=' && place >= 2;
        return if trailing {
            kept.get(index + 1).map_or(*offset, |(next, _)| *next)
        } else {
            *offset
        };
    }
    length - kept.len() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_content_is_reported_where_go_reports_it() {
        assert_eq!(decode("YQ==").unwrap(), b"a");
        for (text, offset) in [("!!!!", 0), ("YQ!=", 2), ("YWI", 0), ("YWJjZA", 4)] {
            assert_eq!(
                decode(text).unwrap_err(),
                format!("illegal base64 data at input byte {offset}")
            );
        }
    }
}
