//! Errors and steps as lines of text.

use std::error::Error;

/// An error with all its causes, in one line; a cause that says what is already said is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Step {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn causes_follow_each_other_once() {
        let step = |text, source: Option<Step>| Step {
            text,
            source: source.map(Box::new),
        };
        let error = step(
            "a",
            Some(step("b", Some(step("b", Some(step("c\nd", None)))))),
        );
        assert_eq!(chain(&error), "a: b: c d");
    }
}
