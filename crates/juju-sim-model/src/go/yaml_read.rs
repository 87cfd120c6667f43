//! Reads a YAML map of strings as go-yaml v2 decodes one, with its error texts.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Deserializer, Error};

use super::scalar;

/// A map of string to string: scalars as their text, null as nothing.
///
/// `whole` is the Go type that an error about the whole document names.
///
/// # Errors
/// The text of go-yaml's error.
pub(crate) fn string_map(text: &str, whole: &str) -> Result<BTreeMap<String, String>, String> {
    let mut mistakes = Vec::new();
    let mut passed = BTreeSet::new();
    // The parser stops at the first mistake; each further pass lets the known ones by.
    loop {
        let Some(document) = Deserializer::from_str(text).next() else {
            return Ok(BTreeMap::new());
        };
        let seen = Cell::new(0);
        let error = match (Whole {
            seen: &seen,
            passed: &passed,
            kind: whole,
        })
        .deserialize(document)
        {
            Ok(map) if mistakes.is_empty() => return Ok(map),
            Ok(_) => {
                return Err(format!(
                    "yaml: unmarshal errors:\n  {}",
                    mistakes.join("\n  ")
                ));
            }
            Err(error) => error,
        };
        let Some(mistake) = mistake(&error) else {
            return Err(format!("yaml: {}", syntax(&error)));
        };
        let line = error.location().map_or(1, |place| place.line());
        mistakes.push(format!("line {line}: cannot unmarshal {mistake}"));
        passed.insert(seen.get());
    }
}

/// Sets our own message apart from the parser's.
const MARK: char = '\u{1}';

fn mistake(error: &Error) -> Option<String> {
    let said = error.to_string();
    if let Some(ours) = said.split(MARK).nth(1) {
        return Some(ours.to_owned());
    }
    [("sequence", "!!seq"), ("map", "!!map")]
        .into_iter()
        .find(|(kind, _)| said.contains(&format!("invalid type: {kind}, expected a string")))
        .map(|(_, tag)| format!("{tag} into string"))
}

/// libyaml's problem, with the line unless it is the first.
fn syntax(error: &Error) -> String {
    let said = error.to_string();
    let problem = said.split(" at line ").next().unwrap_or_default();
    match error.location() {
        Some(place) if place.line() > 1 => format!("line {}: {problem}", place.line()),
        _ => problem.to_owned(),
    }
}

fn scalar_name(text: &str) -> String {
    let shown = if text.len() > 10 {
        let mut end = 7;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}...", &text[..end])
    } else {
        text.to_owned()
    };
    format!("{} `{shown}`", scalar::resolve(text).short())
}

#[derive(Clone, Copy)]
struct Whole<'a> {
    /// Keys and values begun so far.
    seen: &'a Cell<usize>,
    /// Those that are no strings, as earlier passes found out.
    passed: &'a BTreeSet<usize>,
    kind: &'a str,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        if self.passed.contains(&0) {
            return <IgnoredAny as serde::Deserialize>::deserialize(input).map(|_| BTreeMap::new());
        }
        input.deserialize_any(self)
    }
}

impl Whole<'_> {
    fn wrong<E: serde::de::Error>(self, what: &str) -> Result<BTreeMap<String, String>, E> {
        Err(E::custom(format!("{MARK}{what} into {}{MARK}", self.kind)))
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = input.next_key_seed(Text(self))? {
            let value = input.next_value_seed(Text(self))?;
            map.insert(key, value);
        }
        Ok(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        self.wrong("!!seq")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.wrong(&scalar_name(text))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        self.visit_str(&super::float::yaml(value))
    }
}

/// A key or a value.
struct Text<'a>(Whole<'a>);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        let number = self.0.seen.get() + 1;
        self.0.seen.set(number);
        if self.0.passed.contains(&number) {
            return <IgnoredAny as serde::Deserialize>::deserialize(input).map(|_| String::new());
        }
        input.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(String::new())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(String::new())
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        // Asked for a string, the parser hands over a scalar's own text, whatever it means.
        input.deserialize_str(self)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_taken_as_their_text() {
        let map = string_map(
            "a: 1\nb: true\nd: null\ne: 1.50\nf: 2024-01-01\ng: \"null\"\n",
            "m",
        );
        let map: Vec<(String, String)> = map.unwrap().into_iter().collect();
        let expected = [
            ("a", "1"),
            ("b", "true"),
            ("d", ""),
            ("e", "1.50"),
            ("f", "2024-01-01"),
            ("g", "null"),
        ];
        assert_eq!(map, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn mistakes_read_as_go_yaml_writes_them() {
        for (text, error) in [
            (
                "- x\n",
                "unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[string]string",
            ),
            (
                "nope",
                "unmarshal errors:\n  line 1: cannot unmarshal !!str `nope` into map[string]string",
            ),
            (
                "a: 1\nb: [1]\n",
                "unmarshal errors:\n  line 2: cannot unmarshal !!seq into string",
            ),
            (
                "a: {b: c}\n",
                "unmarshal errors:\n  line 1: cannot unmarshal !!map into string",
            ),
            (
                "a: [1]\nb: x\nc: {d: e}\n",
                "unmarshal errors:\n  line 1: cannot unmarshal !!seq into string\n  line 3: cannot unmarshal !!map into string",
            ),
            ("a: 'x\n", "line 2: found unexpected end of stream"),
        ] {
            let got = string_map(text, "map[string]string").unwrap_err();
            assert_eq!(got, format!("yaml: {error}"), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_an_empty_map() {
        assert!(string_map("", "m").unwrap().is_empty());
        assert!(string_map("null", "m").unwrap().is_empty());
    }
}
