//! The script's lines and words.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Lines, with a trailing backslash joining the next one.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let (part, continues) = match line.strip_suffix('\\') {
            Some(part) if !line.starts_with('#') => (part, true),
            _ => (line, false),
        };
        match lines.last_mut() {
            Some(last) if open => last.push_str(part.trim_start()),
            _ => lines.push(part.to_owned()),
        }
        open = continues;
    }
    lines
}

/// Splits a line as a shell would, without its expansions.
pub(super) fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => bail!("a quote is not closed"),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => match characters.next() {
                            Some('n') => word.push('\n'),
                            Some(other) => word.push(other),
                            None => bail!("a backslash at the end"),
                        },
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Replaces `$NAME` by its value. Unknown names stay.
pub(super) fn fill(word: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = word.to_owned();
    // Longest first, so that `$URI2` is not taken for `$URI`.
    let mut names: Vec<_> = variables.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in names {
        filled = filled.replace(&format!("${name}"), value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        for (line, words) in [
            ("a  b", vec!["a", "b"]),
            ("a 'b c' d\"e f\"", vec!["a", "b c", "de f"]),
            (r#"a "" b\ c"#, vec!["a", "", "b c"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn backslashes_join_lines() {
        assert_eq!(logical_lines("a \\\n  b\nc"), ["a b", "c"]);
    }

    #[test]
    fn the_longest_name_is_filled_in_first() {
        let variables = BTreeMap::from([
            ("U".to_owned(), "x".to_owned()),
            ("U2".to_owned(), "y".to_owned()),
        ]);
        assert_eq!(fill("$U2 $U", &variables), "y x");
    }
}
