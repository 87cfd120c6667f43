//! Script mode: commands in, transcript out, in a model of its own that is destroyed at the end.
//!
//! A script is a text file. Lines that begin with `#` are prose and go into the transcript as they
//! are; the first says which guarantee is under test. Every other line is a command as it would be
//! typed after `juju-sim`, with the shell's quotes. `NAME = command` keeps what the command prints;
//! `$NAME` puts it into a later line. Relative paths start at the script's own directory.
//!
//! Units take turns (model option `hooks-in-turn`) and the dice are fixed, so hooks always come in
//! the same order. What changes from run to run is replaced by its name: `[MODEL_UUID]`, `[UNIT_IP kc/0]`,
//! `[SECRET_URI 1]`, `[TIME]`. Two runs of one script print the same.

mod golden;
mod redact;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::cli::args::Script;
use crate::random;
use redact::Redactor;

/// Runs the script and prints the transcript; the status to exit with.
pub(crate) fn run(script: &Script) -> Result<i32> {
    let text = std::fs::read_to_string(&script.file)
        .with_context(|| format!("cannot read script `{}`", script.file.display()))?;
    if !text.trim_start().starts_with('#') {
        bail!(
            "script `{}` must begin with a comment that states what it shows",
            script.file.display()
        );
    }
    let model = Model::fresh(&script.file)?;
    let transcript = play(&model, &text);
    drop(model);
    let transcript = transcript?;
    match &script.golden {
        None => {
            print!("{transcript}");
            Ok(0)
        }
        Some(golden) if script.update => {
            std::fs::write(golden, &transcript)
                .with_context(|| format!("cannot write `{}`", golden.display()))?;
            Ok(0)
        }
        Some(golden) => {
            let expected = std::fs::read_to_string(golden)
                .with_context(|| format!("cannot read `{}`", golden.display()))?;
            if expected == transcript {
                println!("{}: as expected", script.file.display());
                return Ok(0);
            }
            println!(
                "{}: the transcript differs (- expected, + seen)",
                script.file.display()
            );
            print!("{}", golden::difference(&expected, &transcript));
            Ok(1)
        }
    }
}

fn play(model: &Model, text: &str) -> Result<String> {
    let mut transcript = String::new();
    let mut variables = BTreeMap::new();
    let mut redactor = Redactor::default();
    model.run(&["model-config".into(), "hooks-in-turn=true".into()])?;
    for line in words::logical_lines(text) {
        if line.trim().is_empty() || line.starts_with('#') {
            transcript.push_str(&line);
            transcript.push('\n');
            continue;
        }
        let mut words =
            words::split(&line).with_context(|| format!("cannot read line `{line}`"))?;
        let variable = match &words[..] {
            [name, equals, _, ..] if equals == "=" => Some(name.clone()),
            _ => None,
        };
        if variable.is_some() {
            words.drain(..2);
        }
        for word in &mut words {
            *word = words::fill(word, &variables);
        }
        let (output, status) = model.run(&words)?;
        if let Some(name) = variable {
            variables.insert(name, output.trim().to_owned());
        }
        redactor.learn(
            &model
                .run(&["status".into(), "--format".into(), "json".into()])?
                .0,
        );
        let _ = writeln!(transcript, "> {}", redactor.apply(&line));
        transcript.push_str(&redactor.apply(&output));
        if !output.is_empty() && !output.ends_with('\n') {
            transcript.push('\n');
        }
        if status != 0 {
            let _ = writeln!(transcript, "[exit {status}]");
        }
    }
    Ok(transcript)
}

/// A model in a temporary directory. Destroyed on drop.
struct Model {
    program: PathBuf,
    directory: PathBuf,
    scripts: PathBuf,
}

impl Model {
    fn fresh(script: &Path) -> Result<Self> {
        let name = random::hex(&random::bytes::<6>()?);
        let directory = std::env::temp_dir().join(format!("juju-sim-script-{name}"));
        std::fs::create_dir(&directory)
            .with_context(|| format!("cannot create `{}`", directory.display()))?;
        let script = std::path::absolute(script).context("cannot tell the current directory")?;
        Ok(Self {
            program: std::env::current_exe().context("cannot find this program")?,
            directory,
            scripts: script.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
        })
    }

    fn run(&self, words: &[String]) -> Result<(String, i32)> {
        let (mut reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env("JUJU_SIM_DIR", &self.directory)
            .env("JUJU_SIM_SEED", "1")
            .current_dir(&self.scripts)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().context("cannot make a pipe")?)
            .stderr(writer);
        let mut child = command.spawn().context("cannot start juju-sim")?;
        // The command holds the writing ends; without it gone the reader would wait for itself.
        drop(command);
        let mut output = String::new();
        std::io::Read::read_to_string(&mut reader, &mut output)
            .context("cannot read the output")?;
        let status = child.wait().context("cannot wait for juju-sim")?;
        Ok((output, status.code().unwrap_or(255)))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Err(error) = self.run(&["destroy-model".into()]) {
            eprintln!(
                "cannot destroy the model in {}: {error:#}",
                self.directory.display()
            );
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}
