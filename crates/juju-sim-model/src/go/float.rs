//! Go's shortest decimal form of a float, as JSON and YAML lay it out.

/// Digits and decimal exponent of the shortest text that reads back as this number: `d.ddd × 10^e`.
fn shortest(value: f64) -> (String, i32) {
    let text = format!("{:e}", value.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn plain(digits: &str, exponent: i32) -> String {
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{digits}{}", zeros(point - count))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    }
}

fn scientific(digits: &str, exponent: i32, width: usize) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:0width$}", exponent.abs())
}

fn signed(value: f64, text: &str) -> String {
    if value.is_sign_negative() {
        format!("-{text}")
    } else {
        text.to_owned()
    }
}

/// As `encoding/json` writes it.
pub(crate) fn json(value: f64) -> String {
    let (digits, exponent) = shortest(value);
    let size = value.abs();
    let text = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        scientific(&digits, exponent, if exponent < 0 { 1 } else { 2 })
    } else {
        plain(&digits, exponent)
    };
    signed(value, &text)
}

/// As the YAML package writes it: with an exponent from a million up.
pub(crate) fn yaml(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return signed(value, ".inf");
    }
    let (digits, exponent) = shortest(value);
    // `%g` decides by a precision of six when it prints the shortest digits.
    let text = if (-4..6).contains(&exponent) {
        plain(&digits, exponent)
    } else {
        scientific(&digits, exponent, 2)
    };
    signed(value, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_turns_to_exponents_at_a_million() {
        for (value, text) in [
            (0.0, "0"),
            (8083.0, "8083"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (5_000_000.0, "5e+06"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (0.00001, "1e-05"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
        ] {
            assert_eq!(yaml(value), text);
        }
    }

    #[test]
    fn json_keeps_digits_up_to_a_sextillion() {
        for (value, text) in [
            (5_000_000.0, "5000000"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (2.0, "2"),
        ] {
            assert_eq!(json(value), text);
        }
    }
}
