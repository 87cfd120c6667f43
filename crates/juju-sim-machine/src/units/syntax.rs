//! The lines of a unit file. Contract: systemd.syntax(7).

use super::{Problem, UnitError};

/// One `Key=value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
}

impl Setting {
    pub(super) fn refuse(&self, problem: Problem) -> UnitError {
        UnitError {
            file: self.file.clone(),
            line: self.line,
            section: self.section.clone(),
            key: self.key.clone(),
            problem,
        }
    }
}

/// Splits a file into settings. Comments and empty lines vanish; a line that ends in a backslash goes on in the next one,
/// joined by a space; comments between continued lines are skipped. Sections whose name starts with `X-` are private.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Setting>, UnitError> {
    let mut settings = Vec::new();
    let mut section = String::new();
    let mut pending: Option<(usize, String)> = None;
    let ended = text.lines().map(str::trim_end).chain(std::iter::once(""));
    for (index, raw) in ended.enumerate() {
        let trimmed = raw.trim_start();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let (line, mut logical) = pending.take().unwrap_or((index + 1, String::new()));
        if let Some(start) = raw.strip_suffix('\\') {
            logical.push_str(if logical.is_empty() {
                start.trim_start()
            } else {
                start
            });
            logical.push(' ');
            pending = Some((line, logical));
            continue;
        }
        logical.push_str(if logical.is_empty() { trimmed } else { raw });
        let logical = logical.trim();
        if logical.is_empty() {
            continue;
        }
        if let Some(name) = logical
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            name.clone_into(&mut section);
            continue;
        }
        if section.starts_with("X-") {
            continue;
        }
        let mut setting = Setting {
            file: file.to_owned(),
            line,
            section: section.clone(),
            key: String::new(),
            value: String::new(),
        };
        match logical.split_once('=') {
            Some((key, value)) if !section.is_empty() => {
                key.trim_end().clone_into(&mut setting.key);
                value.trim_start().clone_into(&mut setting.value);
            }
            Some(_) | None => {
                logical.clone_into(&mut setting.key);
                return Err(setting.refuse(Problem::NotASetting));
            }
        }
        if !setting.key.starts_with("X-") {
            settings.push(setting);
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn comments_continuations_and_sections_are_understood() {
        let text = "# c\n[Unit]\nDescription = a b \n; c\n[Service]\nExecStart=/bin/x \\\n# in between\n  --flag \\\n  y\nEmpty=\n[X-Own]\nfoo\n";
        let settings = parse("f", text).unwrap();
        let rows: Vec<_> = settings
            .iter()
            .map(|s| (s.line, s.section.as_str(), s.key.as_str(), s.value.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                (3, "Unit", "Description", "a b"),
                (6, "Service", "ExecStart", "/bin/x    --flag    y"),
                (10, "Service", "Empty", ""),
            ]
        );
    }

    #[test]
    fn a_line_without_meaning_is_named() {
        let error = parse("/etc/x.service", "[Service]\nnonsense\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/etc/x.service:2: Service.nonsense: this line is outside of any section or has no `=`"
        );
    }
}
