//! The difference of two transcripts, line by line.

use std::fmt::Write as _;

/// `-` lines are only in `expected`, `+` lines only in `seen`; equal runs are shortened.
pub(super) fn difference(expected: &str, seen: &str) -> String {
    let left: Vec<&str> = expected.lines().collect();
    let right: Vec<&str> = seen.lines().collect();
    // Lengths of the longest common subsequences of the tails.
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            common[i][j] = if left[i] == right[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut lines: Vec<(char, &str)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push((' ', left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || (i < left.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', left[i]));
            i += 1;
        } else {
            lines.push(('+', right[j]));
            j += 1;
        }
    }
    let near = |at: usize| {
        let from = at.saturating_sub(2);
        lines[from..lines.len().min(at + 3)]
            .iter()
            .any(|(mark, _)| *mark != ' ')
    };
    let mut text = String::new();
    let mut skipping = false;
    for (at, (mark, line)) in lines.iter().enumerate() {
        if near(at) {
            let _ = writeln!(text, "{mark} {line}");
            skipping = false;
        } else if !skipping {
            text.push_str("  ...\n");
            skipping = true;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_what_changed_is_marked() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
        assert!(difference("a\n", "a\n").starts_with("  ..."));
    }
}
