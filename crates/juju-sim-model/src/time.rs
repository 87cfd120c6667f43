//! Times as Juju writes and reads them. Pure: the present comes from outside.

const DAY: i64 = 86_400;

/// Days since the Unix epoch of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn parts(seconds: i64) -> (String, String) {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let clock = seconds.rem_euclid(DAY);
    let date = format!("{year:04}-{month:02}-{day:02}");
    (
        date,
        format!(
            "{:02}:{:02}:{:02}",
            clock / 3600,
            clock / 60 % 60,
            clock % 60
        ),
    )
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

/// `2024-01-01T10:00:00Z`.
pub(crate) fn rfc3339(ms: u64) -> String {
    let (date, clock) = parts(seconds(ms));
    format!("{date}T{clock}Z")
}

/// `2024-01-01 10:00:00Z`, as `goal-state` writes it.
pub(crate) fn spaced(ms: u64) -> String {
    let (date, clock) = parts(seconds(ms));
    format!("{date} {clock}Z")
}

/// Reads `YYYY-MM-DDTHH:MM:SS`, with a fraction, with a zone or (as UTC) without one; answers in
/// UTC.
pub(crate) fn parse(text: &str) -> Option<String> {
    let field = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| part.parse().ok())
            .flatten()
    };
    let mark = |at: usize, c: u8| text.as_bytes().get(at) == Some(&c);
    if !(mark(4, b'-') && mark(7, b'-') && mark(10, b'T') && mark(13, b':') && mark(16, b':')) {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let real =
        (1..=12).contains(&month) && day >= 1 && date(days(year, month, day)) == (year, month, day);
    if !real || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        if end == 0 {
            return None;
        }
        (fraction, rest) = after.split_at(end);
    }
    let offset = match rest.as_bytes() {
        [] | [b'Z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d]
            if [a, b, c, d].iter().all(|c| c.is_ascii_digit()) =>
        {
            let number = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let size = number(a, b) * 3600 + number(c, d) * 60;
            if *sign == b'-' { -size } else { size }
        }
        _ => return None,
    };
    let at = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    let (date, clock) = parts(at);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date}T{clock}{point}{fraction}Z"))
}

/// Reads a Go duration such as `1h30m` or `-1.5h`, in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let number: f64 = match number {
            "" | "." => return None,
            _ => number.parse().ok()?,
        };
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "ns" => 1e-6,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            _ => return None,
        };
        total += number * unit;
        rest = after;
    }
    // Go's durations end at 292 years.
    if total > 9.223e15 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let ms = total.ceil() as i64;
    Some(if negative { -ms } else { ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        for (text, utc) in [
            ("2035-01-01T00:00:00", Some("2035-01-01T00:00:00Z")),
            ("2035-01-01T00:00:00Z", Some("2035-01-01T00:00:00Z")),
            ("2035-01-01T01:30:00+01:30", Some("2035-01-01T00:00:00Z")),
            ("2035-01-01T00:00:00.500Z", Some("2035-01-01T00:00:00.5Z")),
            ("2035-02-30T00:00:00", None),
            ("2035-01-01", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text).as_deref(), utc, "{text}");
        }
        assert_eq!(rfc3339(1_704_103_200_000), "2024-01-01T10:00:00Z");
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, ms) in [
            ("24h", Some(86_400_000)),
            ("1h30m", Some(5_400_000)),
            ("-1h", Some(-3_600_000)),
            ("1.5s", Some(1500)),
            ("0", Some(0)),
            ("1d", None),
            ("h", None),
            ("", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }
}
