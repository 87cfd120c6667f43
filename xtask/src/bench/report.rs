//! The figures, as a table and as JSON.

use serde::Serialize;

/// One figure of ours beside the same of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Ours.
    pub ours: f64,
    /// The other's; none where nothing is comparable.
    pub other: Option<f64>,
    /// How many times better ours is: the other's divided by ours where less is better.
    pub ratio: Option<f64>,
    /// The unit of the two.
    pub unit: &'static str,
    /// The most that ours may be, or the least where more is better; none where nothing was promised.
    pub goal: Option<f64>,
    /// Whether ours is within the goal.
    pub ok: bool,
}

impl Row {
    /// A row with its ratio and verdict.
    #[must_use]
    pub fn new(
        name: &'static str,
        (ours, other): (f64, f64),
        unit: &'static str,
        goal: Option<f64>,
    ) -> Self {
        let other = rounded(other);
        let alone = Self::alone(name, ours, unit, goal);
        let ratio = if alone.ours > 0.0 {
            rounded(other / alone.ours)
        } else {
            0.0
        };
        Self {
            other: Some(other),
            ratio: Some(ratio),
            ..alone
        }
    }

    /// A row where more is better, with its ratio and verdict: ours is to be at least `part` of the
    /// other's.
    #[must_use]
    pub fn at_least(
        name: &'static str,
        (ours, other): (f64, f64),
        unit: &'static str,
        part: f64,
    ) -> Self {
        let goal = rounded(other * part);
        let ratio = if other > 0.0 { ours / other } else { 0.0 };
        Self {
            other: Some(rounded(other)),
            ratio: Some(rounded(ratio)),
            goal: Some(goal),
            ok: ours >= goal,
            ..Self::alone(name, ours, unit, None)
        }
    }

    /// A row of ours only, with its verdict.
    #[must_use]
    pub fn alone(name: &'static str, ours: f64, unit: &'static str, goal: Option<f64>) -> Self {
        let ours = rounded(ours);
        Self {
            name,
            ours,
            other: None,
            ratio: None,
            unit,
            goal,
            ok: goal.is_none_or(|goal| ours <= goal),
        }
    }
}

/// Two decimals are more than a measurement is worth.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The rows as text, one a line, below a heading.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<24} {:>9} {:>9} {:>7}  {:<6} {:>6}  {}",
        "", "ours", "other", "ratio", "unit", "goal", "ok"
    )];
    let shown = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
    };
    for row in rows {
        let goal = row
            .goal
            .map_or_else(|| "-".to_owned(), |goal| goal.to_string());
        let ok = if row.ok { "yes" } else { "NO" };
        lines.push(format!(
            "{:<24} {:>9.2} {:>9} {:>7}  {:<6} {goal:>6}  {ok}",
            row.name,
            row.ours,
            shown(row.other, 2),
            shown(row.ratio, 1),
            row.unit
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Row, table};

    #[test]
    fn a_row_has_its_ratio_and_verdict() {
        let good = Row::new("wall", (10.0, 600.0), "ms", Some(20.0));
        let bad = Row::new("rss", (16.01, 60.0), "MiB", Some(16.0));
        let open = Row::new("calls", (0.0, 9.0), "", None);
        assert_eq!(
            (good.ratio, good.ok, bad.ok, open.ratio, open.ok),
            (Some(60.0), true, false, Some(0.0), true)
        );
        let json = serde_json::to_value(&good).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"name": "wall", "ours": 10.0, "other": 600.0, "ratio": 60.0, "unit": "ms", "goal": 20.0, "ok": true})
        );
        let alone = Row::alone("restarts", 1.0, "each", Some(0.0));
        assert_eq!((alone.other, alone.ratio, alone.ok), (None, None, false));
        for (ours, ok) in [(80.0, true), (79.9, false)] {
            let row = Row::at_least("throughput", (ours, 100.0), "req/s", 0.8);
            assert_eq!((row.ratio, row.goal, row.ok), (Some(0.8), Some(80.0), ok));
        }
        let text = table(&[good, bad, open, alone]);
        assert!(text.lines().count() == 5 && text.contains(" NO"), "{text}");
    }
}
