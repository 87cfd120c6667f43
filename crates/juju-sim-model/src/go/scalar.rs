//! What a plain YAML scalar would be taken for.
//!
//! Contract: `resolve.go` of go-yaml v2.4, which follows YAML 1.1: `y`, `no` and `on` are booleans.

/// The tag that a plain scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Str,
    Bool,
    Null,
    Int,
    Float,
    Timestamp,
}

impl Tag {
    /// The short form that error texts show.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Str => "!!str",
            Self::Bool => "!!bool",
            Self::Null => "!!null",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Timestamp => "!!timestamp",
        }
    }
}

const BOOLS: [&str; 22] = [
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No",
    "NO", "false", "False", "FALSE", "off", "Off", "OFF",
];
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];
const FLOATS: [&str; 12] = [
    ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
    "-.INF",
];

/// What a plain scalar of this text is.
pub(crate) fn resolve(text: &str) -> Tag {
    let Some(first) = text.chars().next() else {
        return Tag::Null;
    };
    if BOOLS.contains(&text) {
        return Tag::Bool;
    }
    if NULLS.contains(&text) {
        return Tag::Null;
    }
    if FLOATS.contains(&text) {
        return Tag::Float;
    }
    match first {
        '.' if float(text) => Tag::Float,
        '+' | '-' | '0'..='9' => number(text),
        _ => Tag::Str,
    }
}

fn number(text: &str) -> Tag {
    if timestamp(text) {
        return Tag::Timestamp;
    }
    let plain = text.replace('_', "");
    if integer(&plain) {
        Tag::Int
    } else if float(&plain) {
        Tag::Float
    } else {
        Tag::Str
    }
}

/// `strconv.ParseInt` or `ParseUint` with base 0.
fn integer(text: &str) -> bool {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let limit = if negative { 1 << 63 } else { u64::MAX };
    let legal = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    legal && u64::from_str_radix(digits, base).is_ok_and(|value| value <= limit)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let whole = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let power = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    whole && power
}

/// Old YAML's base 60, which go-yaml no longer reads but still quotes: `190:20:30`.
pub(crate) fn sexagesimal(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = rest.split(':');
    let head = parts.next().unwrap_or_default();
    let legal_head = head.starts_with(|c: char| c.is_ascii_digit())
        && head.bytes().all(|c| c.is_ascii_digit() || c == b'_');
    let tail: Vec<&str> = parts.collect();
    let Some((last, middle)) = tail.split_last() else {
        return false;
    };
    let sixty = |part: &str| {
        matches!(part.as_bytes(), [c] if c.is_ascii_digit())
            || matches!(part.as_bytes(), [b'0'..=b'5', c] if c.is_ascii_digit())
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let fraction = fraction.bytes().all(|c| c.is_ascii_digit() || c == b'_');
    legal_head && fraction && sixty(last) && middle.iter().all(|part| sixty(part))
}

/// A date, or a date and a time, in the four layouts that go-yaml tries.
fn timestamp(text: &str) -> bool {
    let Some(year) = text.get(..4) else {
        return false;
    };
    if !year.bytes().all(|c| c.is_ascii_digit()) || text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    let short = |part: &str, low: u32, high: u32| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|c| c.is_ascii_digit())
            && part.parse().is_ok_and(|n: u32| (low..=high).contains(&n))
    };
    let Some((month, rest)) = text[5..].split_once('-') else {
        return false;
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, rest) = rest.split_at(end);
    if !short(month, 1, 12) || !short(day, 1, 31) {
        return false;
    }
    let Some(separator) = rest.chars().next() else {
        return true;
    };
    let clock = &rest[1..];
    let (clock, zoned) = match separator {
        ' ' => (clock, true),
        'T' | 't' => match clock.strip_suffix('Z') {
            Some(clock) => (clock, true),
            None => match clock.rfind(['+', '-']) {
                Some(at) => (&clock[..at], zone(&clock[at + 1..])),
                None => return false,
            },
        },
        _ => return false,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return false;
    };
    zoned
        && !fraction.is_empty()
        && fraction.bytes().all(|c| c.is_ascii_digit())
        && short(hour, 0, 23)
        && short(minute, 0, 59)
        && short(second, 0, 59)
}

fn zone(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, b':', c, d] if [a, b, c, d].iter().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_taken_for_what_yaml_1_1_says() {
        for (text, tag) in [
            ("text", Tag::Str),
            ("y", Tag::Bool),
            ("No", Tag::Bool),
            ("~", Tag::Null),
            ("5", Tag::Int),
            ("0x1f", Tag::Int),
            ("1_000", Tag::Int),
            ("010", Tag::Int),
            ("09", Tag::Float),
            ("1.50", Tag::Float),
            ("1e3", Tag::Float),
            (".5", Tag::Float),
            ("2024-01-01", Tag::Timestamp),
            ("2024-01-01T10:00:00Z", Tag::Timestamp),
            ("10.0.0.5", Tag::Str),
            ("10.0.1.1:9092", Tag::Str),
            ("1.2.3", Tag::Str),
            ("--dashed", Tag::Str),
        ] {
            assert_eq!(resolve(text), tag, "{text}");
        }
        assert!(sexagesimal("190:20:30"));
        assert!(!sexagesimal("10.0.0.5:9092"));
    }
}
