//! Answers recorded cases, so that the model can be held to what real hook tools said.
//!
//! A case is one JSON line: what the controller knows (`fixture`), what runs (`hook`), files in the
//! charm's directory, the tools' command lines (`steps`), and the hook's own exit status. The answer
//! is one JSON line: each step's exit code and output, the agent's directory and the context id.

mod fixture;
mod stage;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::context::{Files, HookContext, Reply};
use fixture::{Fixture, Hook};

/// The agent's directory in every case; shown as `$DIR` in transcripts.
const DIR: &str = "/var/lib/juju/agents/unit-under-test";

#[derive(Deserialize)]
struct Case {
    fixture: Fixture,
    hook: Hook,
    #[serde(default)]
    files: BTreeMap<String, String>,
    steps: Vec<Step>,
    #[serde(default)]
    exit: i32,
}

#[derive(Deserialize)]
struct Step {
    argv: Vec<String>,
    #[serde(default)]
    stdin: Option<String>,
}

#[derive(Serialize)]
struct StepAnswer {
    code: i32,
    stdout: String,
    stderr: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CaseAnswer {
    Steps {
        steps: Vec<StepAnswer>,
        dir: &'static str,
        context: String,
    },
    Skip {
        skip: String,
    },
}

/// Files of one case, in memory.
struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);

impl Files for Memory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let files = self.0.borrow();
        if let Some(content) = files.get(path) {
            return Ok(content.clone());
        }
        let inside = format!("{}/", path.trim_end_matches('/'));
        let directory = files.keys().any(|file| file.starts_with(&inside));
        Err(if directory {
            "is a directory"
        } else {
            "no such file or directory"
        }
        .to_owned())
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if ![DIR, &format!("{DIR}/charm"), "/tmp"].contains(&parent) {
            return Err("no such file or directory".to_owned());
        }
        self.0
            .borrow_mut()
            .insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

/// Answers one case.
///
/// A case that cannot be staged is answered with the reason it is skipped for.
#[must_use]
pub fn answer(line: &str) -> String {
    let skip = |why: String| CaseAnswer::Skip { skip: why };
    let answer = match serde_json::from_str::<Case>(line) {
        Ok(case) => run(case).unwrap_or_else(skip),
        Err(error) => skip(format!("cannot read the case: {error}")),
    };
    serde_json::to_string(&answer).unwrap_or_else(|error| format!("{{\"skip\": \"{error}\"}}"))
}

/// Answers cases line by line until the input ends.
///
/// # Errors
/// When the input cannot be read or the output not written.
pub fn serve(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for line in input.lines() {
        writeln!(output, "{}", answer(&line?))?;
        output.flush()?;
    }
    Ok(())
}

fn run(case: Case) -> Result<CaseAnswer, String> {
    let stage::Stage {
        mut model,
        unit,
        spec,
        staged,
    } = stage::stage(case.fixture, &case.hook)?;
    let context_id = spec.context_id.clone();
    let mut context =
        HookContext::open(&mut model, &unit, spec).map_err(|error| error.to_string())?;
    context.staged = staged;
    let charm = format!("{DIR}/charm");
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, content) in case.files {
        files.insert(format!("{charm}/{name}"), content.into_bytes());
    }
    let files = Memory(RefCell::new(files));
    let mut steps = Vec::new();
    for step in case.steps {
        let argv: Vec<String> = step
            .argv
            .iter()
            .map(|arg| arg.replace("$DIR", DIR))
            .collect();
        let stdin = step.stdin.map(String::into_bytes);
        let mut reply = context.call(&mut model, &argv, &charm, None, &files);
        if reply == Reply::NeedsStdin {
            let stdin = stdin.unwrap_or_default();
            reply = context.call(&mut model, &argv, &charm, Some(&stdin), &files);
        }
        let Reply::Answer(answer) = reply else {
            return Err(format!(
                "`{}` wants its input again and again",
                argv.join(" ")
            ));
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(answer.stdout), text(answer.stderr));
        steps.push(StepAnswer {
            code: answer.code,
            stdout,
            stderr,
        });
    }
    // Whether the controller would take it is no part of the answer.
    if case.exit == 0 {
        drop(context.commit(&mut model));
    } else {
        drop(context.discard(&mut model, &format!("exit status {}", case.exit)));
    }
    Ok(CaseAnswer::Steps {
        steps,
        dir: DIR,
        context: context_id,
    })
}
