//! The values of settings: booleans, times, sizes, modes, words. Contract: systemd.syntax(7), systemd.time(7).

use std::time::Duration;

use super::Problem;

fn malformed(text: &str, what: &'static str) -> Problem {
    Problem::Malformed(text.to_owned(), what)
}

pub(crate) fn boolean(text: &str) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
        _ => Err(malformed(text, "a boolean")),
    }
}

/// A time span: `90`, `1min 30s`, `500ms`; a number alone is seconds. `infinity` is [`Duration::MAX`].
pub(crate) fn span(text: &str) -> Result<Duration, Problem> {
    let error = || malformed(text, "a time span");
    if text.trim() == "infinity" {
        return Ok(Duration::MAX);
    }
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "us" | "usec" | "µs" => 1e-6,
            "ms" | "msec" => 1e-3,
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            "M" | "month" | "months" => 2_629_800.0,
            "y" | "year" | "years" => 31_557_600.0,
            _ => return Err(error()),
        };
        let number: f64 = number.parse().map_err(|_| error())?;
        total += Duration::try_from_secs_f64(number * seconds).map_err(|_| error())?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// A size in bytes with the suffixes K, M, G, T to the base of 1024; `infinity` is `None`.
pub(crate) fn size(text: &str) -> Result<Option<u64>, Problem> {
    let error = || malformed(text, "a number");
    if text == "infinity" {
        return Ok(None);
    }
    let (digits, shift) = match text.chars().last() {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        Some('T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.trim().parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error).map(Some)
}

/// An octal mode.
pub(crate) fn mode(text: &str) -> Result<u32, Problem> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| malformed(text, "an octal mode"))
}

pub(crate) fn integer<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.trim().parse().map_err(|_| malformed(text, "a number"))
}

/// An absolute path, without a closing slash.
pub(crate) fn path(text: &str) -> Result<String, Problem> {
    if !text.starts_with('/') {
        return Err(malformed(text, "an absolute path"));
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() {
        "/".to_owned()
    } else {
        trimmed.to_owned()
    })
}

/// Words separated by blanks; quotes group, a backslash escapes as in C.
pub(crate) fn words(text: &str) -> Result<Vec<String>, Problem> {
    Ok(tokens(text)?.into_iter().map(|(word, _)| word).collect())
}

/// Words in groups that a lone `;` separates, if it is neither quoted nor escaped.
pub(crate) fn word_groups(text: &str) -> Result<Vec<Vec<String>>, Problem> {
    let mut groups = vec![Vec::new()];
    for (word, plain) in tokens(text)? {
        if plain && word == ";" {
            groups.push(Vec::new());
        } else if let Some(group) = groups.last_mut() {
            group.push(word);
        }
    }
    groups.retain(|group| !group.is_empty());
    Ok(groups)
}

/// Words, and whether each was written without quotes and escapes.
fn tokens(text: &str) -> Result<Vec<(String, bool)>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<(String, bool)> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c.is_whitespace() && quote.is_none() {
            words.extend(word.take());
            continue;
        }
        let (current, plain) = word.get_or_insert_with(|| (String::new(), true));
        match (c, quote) {
            ('\\', _) => {
                *plain = false;
                let escaped = escape(&mut characters).ok_or_else(|| malformed(text, "words"))?;
                current.push_str(&escaped);
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                *plain = false;
                quote = Some(c);
            }
            (c, _) => current.push(c),
        }
    }
    if quote.is_some() {
        return Err(malformed(text, "words: a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let number = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>, count, radix| {
        let digits: String = rest.by_ref().take(count).collect();
        u32::from_str_radix(&digits, radix)
            .ok()
            .and_then(char::from_u32)
            .map(String::from)
    };
    match rest.next()? {
        'n' => Some("\n".into()),
        't' => Some("\t".into()),
        'r' => Some("\r".into()),
        'a' => Some("\x07".into()),
        'b' => Some("\x08".into()),
        'f' => Some("\x0c".into()),
        'v' => Some("\x0b".into()),
        's' => Some(" ".into()),
        'x' => number(rest, 2, 16),
        'u' => number(rest, 4, 16),
        first @ '0'..='7' => {
            let mut digits = String::from(first);
            digits.extend(rest.by_ref().take(2));
            u32::from_str_radix(&digits, 8)
                .ok()
                .and_then(char::from_u32)
                .map(String::from)
        }
        c @ ('\\' | '"' | '\'' | ' ' | ';') => Some(c.into()),
        other => Some(format!("\\{other}")),
    }
}

/// A signal by name (with or without `SIG`) or number.
pub(crate) fn signal(text: &str) -> Result<i32, Problem> {
    let name = if text.starts_with("SIG") {
        text.to_owned()
    } else {
        format!("SIG{text}")
    };
    text.parse::<i32>()
        .ok()
        .and_then(|number| nix::sys::signal::Signal::try_from(number).ok())
        .or_else(|| name.parse().ok())
        .map(|signal: nix::sys::signal::Signal| signal as i32)
        .ok_or_else(|| malformed(text, "a signal"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{mode, size, span, words};

    #[test]
    fn spans_are_read_as_systemd_reads_them() {
        for (text, milliseconds) in [
            ("5", 5000),
            ("1min 30s", 90_000),
            ("500ms", 500),
            ("0.5", 500),
            ("2h", 7_200_000),
            ("1s500ms", 1500),
        ] {
            assert_eq!(
                span(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(span("infinity"), Ok(Duration::MAX));
        assert!(span("soon").is_err() && span("").is_err() && span("5 parsecs").is_err());
    }

    #[test]
    fn sizes_and_modes_are_read() {
        assert_eq!(size("64K"), Ok(Some(65_536)));
        assert_eq!(size("infinity"), Ok(None));
        assert!(size("many").is_err());
        assert_eq!(mode("0750"), Ok(0o750));
        assert!(mode("999").is_err());
    }

    #[test]
    fn words_are_split_and_unquoted() {
        for (text, expected) in [
            ("a  b", vec!["a", "b"]),
            (r#""a b" 'c "d' e\x20f"#, vec!["a b", "c \"d", "e f"]),
            (r#"KEY="x y" '' z"#, vec!["KEY=x y", "", "z"]),
            (r"\;", vec![";"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        assert!(words("'open").is_err());
    }
}
