//! PEM: just enough to find blocks in a text, and to write one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Characters in a line, as every other program writes it: some compare texts.
const COLUMNS: usize = 64;

/// The DER bytes of every well-formed certificate block, in order.
#[must_use]
pub fn certificates(text: &str) -> Vec<Vec<u8>> {
    blocks("CERTIFICATE", text)
}

/// The bytes of every well-formed block with this label, in order.
#[must_use]
pub fn blocks(label: &str, text: &str) -> Vec<Vec<u8>> {
    let end = format!("-----END {label}-----");
    text.split(&format!("-----BEGIN {label}-----"))
        .skip(1)
        .filter_map(|rest| rest.split_once(&end))
        .filter_map(|(body, _)| {
            let packed: String = body.split_whitespace().collect();
            STANDARD.decode(packed).ok().filter(|der| !der.is_empty())
        })
        .collect()
}

/// A block, ending with a line feed.
#[must_use]
pub fn block(label: &str, bytes: &[u8]) -> String {
    let packed = STANDARD.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, character) in packed.chars().enumerate() {
        if index > 0 && index % COLUMNS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";

    #[test]
    fn blocks_are_found_whatever_surrounds_them() {
        let one = format!("{BEGIN}\nAQID\n{END}\n");
        for (text, expected) in [
            (String::new(), 0),
            ("enabled".to_owned(), 0),
            (one.clone(), 1),
            (format!("subject=x\r\n{one}\n{one}"), 2),
            (format!("{BEGIN}\n!!\n{END}\n{one}"), 1),
            (format!("{BEGIN}\nAQID"), 0),
        ] {
            assert_eq!(certificates(&text).len(), expected, "{text}");
        }
        assert_eq!(certificates(&one), [vec![1, 2, 3]]);
        assert_eq!(block("CERTIFICATE", &[1, 2, 3]), one);
    }

    #[test]
    fn what_is_written_is_read_again_in_lines_of_64() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = block("X", &bytes);
        assert_eq!(blocks("X", &text), [bytes]);
        assert!(text.lines().all(|line| line.len() <= COLUMNS));
        assert_eq!(text.lines().nth(1).map(str::len), Some(COLUMNS));
    }
}
