//! What a text looks like to a YAML emitter, and how its characters are escaped.
//!
//! Contract: `yaml_emitter_analyze_scalar` of libyaml, as go-yaml v2.4 carries it.

/// What an emitter finds out about a scalar before it chooses a style.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what libyaml finds out, by its names"
)]
pub(super) struct Shape {
    pub(super) multiline: bool,
    pub(super) plain: bool,
    pub(super) single: bool,
    pub(super) block: bool,
}

impl Shape {
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                multiline: false,
                plain: true,
                single: true,
                block: false,
            };
        }
        let chars: Vec<char> = text.chars().collect();
        let blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(*c));
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks, mut break_space, mut space_break) =
            (false, false, false, false);
        let (mut after_space, mut after_break) = (false, false);
        for (index, c) in chars.iter().enumerate() {
            let followed = blank(chars.get(index + 1));
            let preceded = index == 0 || blank(chars.get(index - 1));
            indicator |= match c {
                '#' => preceded,
                ':' => followed,
                '-' | '?' => index == 0 && followed,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => index == 0,
                _ => false,
            };
            special |= !is_printable(*c);
            let (space, line) = (*c == ' ', is_break(*c));
            breaks |= line;
            break_space |= space && after_break;
            space_break |= line && after_space;
            (after_space, after_break) = (space, line);
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let edges = edge(chars.first()) || edge(chars.last());
        let broken = space_break || special;
        Self {
            multiline: breaks,
            plain: !(edges || break_space || broken || breaks || indicator),
            single: !(break_space || broken),
            block: !(broken || chars.last() == Some(&' ')),
        }
    }
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// go-yaml v2 takes nothing beyond the basic plane for printable, nor tabs.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

pub(super) fn escape(c: char) -> String {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{a0}' => "\\_",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    if !short.is_empty() {
        return short.to_owned();
    }
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02X}"),
        code @ 0x100..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    }
}
