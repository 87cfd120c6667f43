//! PEM: just enough to find the certificates in a text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The DER bytes of every well-formed certificate block, in order.
#[must_use]
pub fn certificates(text: &str) -> Vec<Vec<u8>> {
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| rest.split_once(END))
        .filter_map(|(body, _)| {
            let packed: String = body.split_whitespace().collect();
            STANDARD.decode(packed).ok().filter(|der| !der.is_empty())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
