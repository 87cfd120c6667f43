//! How go-yaml sorts the keys of a map.
//!
//! Contract: `sorter.go` of go-yaml v2.4.

use std::cmp::Ordering;

/// The order of map keys: numbers inside them count as numbers, and letters come after the rest.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let less = less(
        &a.chars().collect::<Vec<_>>(),
        &b.chars().collect::<Vec<_>>(),
    );
    if less {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

fn less(a: &[char], b: &[char]) -> bool {
    let digit = |c: &char| c.is_ascii_digit();
    let mut digits = false;
    for index in 0..a.len().min(b.len()) {
        if a[index] == b[index] {
            digits = a[index].is_numeric();
            continue;
        }
        let (al, bl) = (a[index].is_alphabetic(), b[index].is_alphabetic());
        if al && bl {
            return a[index] < b[index];
        }
        if al || bl {
            return if digits { al } else { bl };
        }
        // Leading zeros count only after another digit of the same number.
        let zero = a[index] == '0' || b[index] == '0';
        let before = a[..index]
            .iter()
            .rev()
            .take_while(|c| digit(c))
            .any(|c| *c != '0');
        let start = i64::from(zero && before);
        let run = |chars: &[char]| {
            let count = chars[index..].iter().take_while(|c| digit(c)).count();
            let number = chars[index..index + count].iter().fold(start, |number, c| {
                number
                    .wrapping_mul(10)
                    .wrapping_add(i64::from(c.to_digit(10).unwrap_or(0)))
            });
            (number, count)
        };
        let (an, ai) = run(a);
        let (bn, bi) = run(b);
        return match (an.cmp(&bn), ai.cmp(&bi)) {
            (Ordering::Equal, Ordering::Equal) => a[index] < b[index],
            (Ordering::Equal, length) => length == Ordering::Less,
            (number, _) => number == Ordering::Less,
        };
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_keys_count_as_numbers() {
        let mut keys = [
            "k10",
            "k9",
            "k-a",
            "ka",
            "k1b",
            "unit.ids",
            "admin-password",
        ];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(
            keys,
            [
                "admin-password",
                "k-a",
                "k1b",
                "k9",
                "k10",
                "ka",
                "unit.ids"
            ]
        );
    }
}
