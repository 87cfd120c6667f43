//! The environment of services, and variables in their arguments. Contract: systemd.exec(5), systemd.service(5).

use std::fs;
use std::io;

use super::launch::{Account, PATH, Refusal, refuse};
use crate::units::ExecConfig;

/// `Environment=`, `EnvironmentFile=` and what every service has, the later ones first in effect.
pub(super) fn environment(
    exec: &ExecConfig,
    account: &Account,
    given: &[(&str, String)],
) -> Result<Vec<(String, String)>, Refusal> {
    let mut all: Vec<(String, String)> = vec![
        ("PATH".into(), PATH.into()),
        ("LANG".into(), "C.UTF-8".into()),
    ];
    if exec.user.is_some() {
        for (name, value) in [
            ("HOME", &account.home),
            ("LOGNAME", &account.name),
            ("USER", &account.name),
            ("SHELL", &account.shell),
        ] {
            all.push((name.into(), value.clone()));
        }
    }
    for (kind, directory) in exec
        .directories
        .iter()
        .filter(|(_, found)| !found.names.is_empty())
    {
        let paths: Vec<String> = directory
            .names
            .iter()
            .map(|name| format!("{}/{name}", kind.base()))
            .collect();
        all.push((kind.variable().into(), paths.join(":")));
    }
    all.extend(
        given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    all.extend(exec.environment.iter().cloned());
    for (path, optional) in &exec.environment_files {
        match fs::read_to_string(path) {
            Ok(text) => all.extend(parse_environment_file(&text)),
            Err(error) if *optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return refuse(
                    203,
                    format!("cannot read environment file `{path}`: {error}"),
                );
            }
        }
    }
    let mut last: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        last.retain(|(known, _)| *known != name);
        last.push((name, value));
    }
    last.retain(|(name, value)| {
        !exec.unset_environment.iter().any(|unset| {
            unset == name || unset.split_once('=') == Some((name.as_str(), value.as_str()))
        })
    });
    Ok(last)
}

/// Contract: systemd.exec(5), `EnvironmentFile=`.
fn parse_environment_file(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.replace("\\\n", "");
    while !rest.is_empty() {
        let (line, after) = match quoted_line(&rest) {
            Some(end) => rest.split_at(end),
            None => (rest.as_str(), ""),
        };
        let line = line.trim();
        if let Some((name, value)) = line
            .split_once('=')
            .filter(|_| !line.starts_with(['#', ';']))
        {
            found.push((name.trim().to_owned(), unquote(value.trim())));
        }
        rest = after.strip_prefix('\n').unwrap_or(after).to_owned();
    }
    found
}

/// Where the line ends, past quoted line ends. A comment's quotes mean nothing.
fn quoted_line(text: &str) -> Option<usize> {
    let comment = text.trim_start().starts_with(['#', ';']);
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            '\n' if quote.is_none() => return Some(index),
            _ if escaped => escaped = false,
            '\\' if quote != Some('\'') => escaped = true,
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() && !comment => quote = Some(c),
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => out.extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Puts variables into arguments: `${A}` within a word, `$A` as a word of its own, which is split at blanks.
pub(super) fn substitute(arguments: &[String], environment: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let mut out = Vec::new();
    for argument in arguments {
        let own_word = argument.strip_prefix('$').filter(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if let Some(name) = own_word {
            out.extend(crate::units::value::words(value(name)).unwrap_or_default());
            continue;
        }
        let mut word = String::new();
        let mut rest = argument.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            word.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                word.push('$');
                rest = after;
            } else if let Some((name, after)) = after
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
            {
                word.push_str(value(name));
                rest = after;
            } else {
                word.push('$');
                rest = after;
            }
        }
        word.push_str(rest);
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{parse_environment_file, substitute};

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn environment_files_are_read() {
        let text = "# it's a comment\nA=1\n B = two words \nC=\"x \\\" y\"\nD='a\nb'\n;E=no\nF=a\\\nb\nnonsense\nG=";
        assert_eq!(
            parse_environment_file(text),
            pairs(&[
                ("A", "1"),
                ("B", "two words"),
                ("C", "x \" y"),
                ("D", "a\nb"),
                ("F", "ab"),
                ("G", "")
            ])
        );
    }

    #[test]
    fn variables_are_put_into_arguments() {
        let environment = pairs(&[("ONE", "1"), ("OPTS", "-a 'b c'")]);
        let arguments: Vec<String> = ["x${ONE}y", "$OPTS", "$$HOME", "$NONE", "${NONE}", "a$b"]
            .map(String::from)
            .into();
        assert_eq!(
            substitute(&arguments, &environment),
            ["x1y", "-a", "b c", "$HOME", "", "a$b"]
        );
    }
}
