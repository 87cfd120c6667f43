//! Programs of this machine, found on `PATH`.

use std::process::{Command, Stdio};

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// Program.
        program: String,
        /// Reason.
        source: std::io::Error,
    },
    /// It failed.
    #[error("{program} failed with exit status {status}: {message}")]
    Failed {
        /// Program.
        program: String,
        /// Exit status, -1 if a signal ended it.
        status: i32,
        /// The end of what it wrote on standard error.
        message: String,
    },
}

/// Characters of standard error that an error carries.
const MESSAGE: usize = 400;

/// Runs a program to its end and returns its standard output. Arguments are visible to everybody
/// on this machine, so they hold no secret.
///
/// # Errors
///
/// It cannot be started, or its exit status is not zero.
pub fn run(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<String, ExecError> {
    let output = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ExecError::Spawn {
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(ExecError::Failed {
        program: program.to_owned(),
        status: output.status.code().unwrap_or(-1),
        message: last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// The end of a text, in one line.
fn last_lines(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut length = 0;
    for line in text.lines().rev().map(str::trim) {
        length += line.len();
        if length > MESSAGE && !kept.is_empty() {
            break;
        }
        if !line.is_empty() {
            kept.push(line);
        }
    }
    kept.reverse();
    kept.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_program_said_last() {
        let error = run("sh", &["-c", "echo first >&2; echo last >&2; exit 3"], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh failed with exit status 3: first; last"
        );
        let error = run("no-such-program-of-ours", &[], &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot run no-such-program-of-ours");
    }
}
