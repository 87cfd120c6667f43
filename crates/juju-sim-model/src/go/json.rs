//! `encoding/json`: one line, HTML-safe, map keys sorted.

use std::fmt::Write as _;

use super::{Value, float};

/// The value as JSON.
pub(crate) fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null | Value::Strings(None) => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float::json(*value)),
        Value::Text(text) | Value::Time(text) => string(out, text),
        Value::Binary(bytes) => string(out, &lossy(bytes)),
        Value::Strings(Some(texts)) => list(out, texts.iter(), |out, text| string(out, text)),
        Value::List(values) => list(out, values.iter(), write),
        Value::Map(map) => object(out, map.iter().map(|(key, value)| (key.as_str(), value))),
        Value::Struct(fields) => object(out, fields.iter().map(|(key, value)| (*key, value))),
    }
}

/// Go replaces every illegal byte by itself, not each run of them.
fn lossy(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

fn list<'a, T: 'a>(
    out: &mut String,
    items: impl Iterator<Item = &'a T>,
    write: impl Fn(&mut String, &T),
) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn object<'a>(out: &mut String, fields: impl Iterator<Item = (&'a str, &'a Value)>) {
    out.push('{');
    for (index, (key, value)) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(out, key);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_safe_inside_html() {
        let text = Value::Text("<a & b>\u{2028}\u{1}\"\n".to_owned());
        assert_eq!(
            to_json(&text),
            r#""\u003ca \u0026 b\u003e\u2028\u0001\"\n""#
        );
    }

    #[test]
    fn a_nil_slice_is_null_and_an_empty_one_is_not() {
        assert_eq!(to_json(&Value::Strings(None)), "null");
        assert_eq!(to_json(&Value::Strings(Some(Vec::new()))), "[]");
    }
}
