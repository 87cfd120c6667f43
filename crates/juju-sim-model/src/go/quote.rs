//! Go's `%q` and `strconv`.

use std::fmt::Write as _;

/// A string in Go's double quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let written = match code {
                    0..=0x7f => write!(out, "\\x{code:02x}"),
                    0x80..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                written.expect("a string takes any text");
            }
        }
    }
    out.push('"');
    out
}

/// Go's `strconv.IsPrint`, near enough: no controls, no separators but the space, no private use.
fn printable(c: char) -> bool {
    !c.is_control()
        && (c == ' ' || !c.is_whitespace())
        && !matches!(u32::from(c), 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
            | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe..=0xffff | 0xe_0000..)
}

/// A list of strings as `%q` shows it.
pub(crate) fn quote_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(" "))
}

/// `strconv.Atoi`.
///
/// # Errors
/// The text of Go's error.
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let syntax = digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit());
    let why = if syntax {
        "invalid syntax"
    } else {
        "value out of range"
    };
    let failed = || format!("strconv.Atoi: parsing {}: {why}", quote(text));
    if syntax {
        Err(failed())
    } else {
        text.parse().map_err(|_| failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_what_go_escapes() {
        for (text, quoted) in [
            ("a\"b\\", r#""a\"b\\""#),
            ("tab\tnl\n", r#""tab\tnl\n""#),
            ("ž☃", "\"ž☃\""),
            ("\u{1}\u{7f}\u{200b}", r#""\x01\x7f\u200b""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn numbers_are_parsed_as_go_does() {
        assert_eq!(atoi("+7"), Ok(7));
        assert_eq!(
            atoi("1_0").unwrap_err(),
            "strconv.Atoi: parsing \"1_0\": invalid syntax"
        );
        assert_eq!(
            atoi("99999999999999999999").unwrap_err(),
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range"
        );
    }
}
