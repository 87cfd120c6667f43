//! Java properties: one writer, which escapes, so that no value can start a second line.

/// Writes properties in the order given.
#[derive(Debug, Default)]
pub struct Properties {
    text: String,
}

impl Properties {
    /// Adds a comment line.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        self.text.push_str("# ");
        self.text.extend(text.chars().filter(|c| !c.is_control()));
        self.text.push('\n');
        self
    }

    /// Adds a property.
    pub fn set(&mut self, key: &str, value: &str) -> &mut Self {
        escape(&mut self.text, key, true);
        self.text.push('=');
        escape(&mut self.text, value, false);
        self.text.push('\n');
        self
    }

    /// The file.
    #[must_use]
    pub fn finish(&self) -> &str {
        &self.text
    }
}

fn escape(out: &mut String, text: &str, is_key: bool) {
    for (index, unit) in text.encode_utf16().enumerate() {
        let Some(c) = u8::try_from(unit).ok().filter(u8::is_ascii).map(char::from) else {
            // Properties files are Latin-1; everything else is spelled in UTF-16 units.
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u");
            for shift in [12, 8, 4, 0] {
                out.push(char::from(DIGITS[usize::from((unit >> shift) & 15)]));
            }
            continue;
        };
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if is_key || index == 0 => out.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_key => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

/// A value inside the double quotes of a JAAS line.
#[must_use]
pub fn jaas_quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_their_line() {
        for (key, value, line) in [
            ("a", "b", "a=b\n"),
            ("a", " b c ", "a=\\ b c \n"),
            ("a b:c=d#", "x=y:z#!", "a\\ b\\:c\\=d\\#=x=y:z#!\n"),
            ("a", "b\nc=d", "a=b\\nc=d\n"),
            ("a", "back\\slash", "a=back\\\\slash\n"),
            ("a", "ä€😀", "a=\\u00e4\\u20ac\\ud83d\\ude00\n"),
        ] {
            assert_eq!(Properties::default().set(key, value).finish(), line);
        }
        assert_eq!(jaas_quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
