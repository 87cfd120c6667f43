//! How go-yaml v2 lays out a document: block style, two columns, lists not indented in maps.
//!
//! Contract: `encode.go` and `emitterc.go` of go-yaml v2.4, and `FormatYaml` of juju/cmd.

use base64::Engine as _;

use super::natural::natural;
use super::scalar::{self, Tag};
use super::shape::{Shape, escape, is_break, is_printable};
use super::{Value, float};

/// Plain and quoted scalars are folded at the first space past this column.
const WIDTH: usize = 80;

/// The value as YAML, with exactly one newline at its end.
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut emitter = Emitter::default();
    emitter.node(value, 0, Place::Root);
    let text = emitter.out.trim_end_matches('\n');
    // The first character stays, whatever it is.
    if text.is_empty() {
        emitter.out
    } else {
        format!("{text}\n")
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// After `key:`.
    MapValue,
    /// After `-`.
    Item,
}

#[derive(Default)]
struct Emitter {
    out: String,
    column: usize,
}

impl Emitter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        match text.rfind('\n') {
            Some(at) => self.column = text[at + 1..].chars().count(),
            None => self.column += text.chars().count(),
        }
    }

    fn line(&mut self, indent: usize) {
        self.put("\n");
        self.put(&" ".repeat(indent));
    }

    fn node(&mut self, value: &Value, indent: usize, place: Place) {
        match value {
            Value::Null => self.word("null", place),
            Value::Bool(value) => self.word(if *value { "true" } else { "false" }, place),
            Value::Int(value) => self.word(&value.to_string(), place),
            Value::Float(value) => self.word(&float::yaml(*value), place),
            Value::Time(text) => self.word(text, place),
            Value::Text(text) => {
                self.gap(place);
                let indent = if place == Place::Root { 2 } else { indent + 2 };
                self.string(text, indent, false);
            }
            Value::Binary(bytes) => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
                self.word(&format!("!!binary {encoded}"), place);
            }
            Value::Strings(texts) => {
                let texts = texts.as_deref().unwrap_or_default();
                let values: Vec<Value> = texts.iter().cloned().map(Value::Text).collect();
                self.list(&values, indent, place);
            }
            Value::List(values) => self.list(values, indent, place),
            Value::Map(map) => {
                let mut fields: Vec<(&str, &Value)> = map
                    .iter()
                    .map(|(key, value)| (key.as_str(), value))
                    .collect();
                fields.sort_by(|(a, _), (b, _)| natural(a, b));
                self.map(&fields, indent, place);
            }
            Value::Struct(fields) => {
                let fields: Vec<(&str, &Value)> =
                    fields.iter().map(|(key, value)| (*key, value)).collect();
                self.map(&fields, indent, place);
            }
        }
    }

    fn gap(&mut self, place: Place) {
        if place != Place::Root {
            self.put(" ");
        }
    }

    fn word(&mut self, text: &str, place: Place) {
        self.gap(place);
        self.put(text);
    }

    fn list(&mut self, values: &[Value], indent: usize, place: Place) {
        if values.is_empty() {
            return self.word("[]", place);
        }
        // A list in a map starts in the map's own column; a list in a list goes on in its line.
        let indent = if place == Place::Item {
            indent + 2
        } else {
            indent
        };
        for (index, value) in values.iter().enumerate() {
            match (index, place) {
                (0, Place::Root) => {}
                (0, Place::Item) => self.put(" "),
                _ => self.line(indent),
            }
            self.put("-");
            self.node(value, indent, Place::Item);
        }
    }

    fn map(&mut self, fields: &[(&str, &Value)], indent: usize, place: Place) {
        if fields.is_empty() {
            return self.word("{}", place);
        }
        let indent = if place == Place::Root {
            indent
        } else {
            indent + 2
        };
        for (index, (key, value)) in fields.iter().enumerate() {
            match (index, place) {
                (0, Place::Root) => {}
                (0, Place::Item) => self.put(" "),
                _ => self.line(indent),
            }
            if key.len() > 128 || key.chars().any(is_break) {
                self.put("? ");
                self.string(key, indent + 2, false);
                if self.column > 0 {
                    self.line(indent);
                } else {
                    self.put(&" ".repeat(indent));
                }
            } else {
                self.string(key, indent + 2, true);
            }
            self.put(":");
            self.node(value, indent, Place::MapValue);
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        let plain = scalar::resolve(text) == Tag::Str && !scalar::sexagesimal(text);
        let shape = Shape::of(text);
        let simple = shape.plain && !(text.is_empty() && key);
        if text.contains('\n') {
            if shape.block && !key {
                self.literal(text, indent);
            } else {
                self.double(text, indent, key);
            }
        } else if !plain || shape.multiline && key {
            self.double(text, indent, key);
        } else if simple {
            self.folded(text, indent, key);
        } else if shape.single {
            self.put("'");
            self.folded(&text.replace('\'', "''"), indent, key);
            self.put("'");
        } else {
            self.double(text, indent, key);
        }
    }

    /// A plain or single-quoted text, folded where it is too long.
    fn folded(&mut self, text: &str, indent: usize, key: bool) {
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (index, c) in chars.iter().enumerate() {
            let inner = index > 0 && index + 1 < chars.len();
            let lonely = chars.get(index + 1) != Some(&' ');
            if *c == ' ' && !key && !spaces && self.column > WIDTH && inner && lonely {
                self.line(indent);
            } else {
                self.put(c.encode_utf8(&mut [0; 4]));
            }
            spaces = *c == ' ';
        }
    }

    fn double(&mut self, text: &str, indent: usize, key: bool) {
        self.put("\"");
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (index, c) in chars.iter().enumerate() {
            let inner = index > 0 && index + 1 < chars.len();
            if *c == ' ' {
                if !key && !spaces && self.column > WIDTH && inner {
                    self.line(indent);
                    if chars.get(index + 1) == Some(&' ') {
                        self.put("\\");
                    }
                } else {
                    self.put(" ");
                }
                spaces = true;
                continue;
            }
            spaces = false;
            if is_printable(*c) && !is_break(*c) && !matches!(c, '"' | '\\' | '\u{feff}') {
                self.put(c.encode_utf8(&mut [0; 4]));
            } else {
                let escaped = escape(*c);
                self.put(&escaped);
            }
        }
        self.put("\"");
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        if text.starts_with([' ', '\n']) {
            self.put("2");
        }
        let body = text.strip_suffix('\n');
        match body {
            None => self.put("-"),
            Some(body) if body.is_empty() || body.ends_with('\n') => self.put("+"),
            Some(_) => {}
        }
        self.put("\n");
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.put("\n");
            }
            if !line.is_empty() {
                self.put(&" ".repeat(indent));
                self.put(line);
            }
        }
        // What follows starts a line of its own already.
        if text.ends_with('\n') {
            self.out.pop();
            self.column = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Map(
            fields
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<BTreeMap<_, _>>(),
        )
    }

    #[test]
    fn strings_take_the_style_go_yaml_gives_them() {
        for (value, yaml) in [
            ("plain text", "plain text\n"),
            ("", "\"\"\n"),
            (" ", "' '\n"),
            ("yes", "\"yes\"\n"),
            ("5", "\"5\"\n"),
            ("<&>", "<&>\n"),
            ("a: b", "'a: b'\n"),
            ("it's: so", "'it''s: so'\n"),
            ("{\"a\": 1}", "'{\"a\": 1}'\n"),
            ("- x", "'- x'\n"),
            ("-x", "-x\n"),
            ("a #b", "'a #b'\n"),
            ("tab\there", "\"tab\\there\"\n"),
            ("a\nb", "|-\n  a\n  b\n"),
            ("a\nb\n", "|\n  a\n  b\n"),
            ("a\n\nb", "|-\n  a\n\n  b\n"),
            (" a\nb", "|2-\n   a\n  b\n"),
            ("a \nb", "\"a \\nb\"\n"),
            ("\u{1f600}", "\"\\U0001F600\"\n"),
            ("*x", "'*x'\n"),
            ("10:30", "\"10:30\"\n"),
        ] {
            assert_eq!(to_yaml(&text(value)), yaml, "{value:?}");
        }
    }

    #[test]
    fn long_lines_fold_at_the_first_space_past_the_width() {
        let long = format!("{} tail end", "x".repeat(81));
        assert_eq!(
            to_yaml(&text(&long)),
            format!("{}\n  tail end\n", "x".repeat(81))
        );
    }

    #[test]
    fn lists_in_maps_are_not_indented() {
        let value = map([
            (
                "list",
                Value::List(vec![
                    map([("a", Value::Int(1)), ("b", text("x"))]),
                    text("y"),
                ]),
            ),
            (
                "nested",
                map([("deep", map([("multi", text("a\nb\n"))])), ("z", text(""))]),
            ),
            ("none", Value::Strings(None)),
        ]);
        assert_eq!(
            to_yaml(&value),
            "list:\n- a: 1\n  b: x\n- \"y\"\nnested:\n  deep:\n    multi: |\n      a\n      b\n  z: \"\"\nnone: []\n"
        );
        let lists = Value::List(vec![Value::List(vec![text("a"), text("b")])]);
        assert_eq!(to_yaml(&lists), "- - a\n  - b\n");
    }
}
