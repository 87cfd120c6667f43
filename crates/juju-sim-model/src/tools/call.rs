//! One call of a tool: its surroundings, its output, its end.

use super::flags::{self, Flag, Options};
use crate::context::{Answer, Files, HookContext, Reply, absolute};
use crate::go::{Value, quote_list, to_json, to_yaml};
use crate::state::Model;

/// Why a tool stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// `--help`.
    Help,
    /// The command line is refused: exit 2.
    Usage(String),
    /// The operation failed: exit 1.
    Failed(String),
    /// Standard input is wanted.
    Stdin,
}

/// Shorthands for the two kinds of error.
pub(super) fn usage<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Usage(text.into()))
}

pub(super) fn failed<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(text.into()))
}

pub(super) struct Call<'a> {
    pub(super) context: &'a mut HookContext,
    pub(super) model: &'a mut Model,
    pub(super) name: &'static str,
    args: &'a [String],
    directory: &'a str,
    stdin: Option<&'a [u8]>,
    pub(super) files: &'a dyn Files,
    stdout: String,
    stderr: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        context: &'a mut HookContext,
        model: &'a mut Model,
        name: &'static str,
        args: &'a [String],
        directory: &'a str,
        stdin: Option<&'a [u8]>,
        files: &'a dyn Files,
    ) -> Self {
        let (stdout, stderr) = (String::new(), String::new());
        Self {
            context,
            model,
            name,
            args,
            directory,
            stdin,
            files,
            stdout,
            stderr,
        }
    }

    /// Parses the command line.
    pub(super) fn parse(&mut self, flags: &[Flag]) -> Result<Options, Stop> {
        flags::parse(self.context, self.model, flags, self.args)
    }

    /// A path seen from the caller's directory.
    pub(super) fn path(&self, path: &str) -> String {
        absolute(self.directory, path)
    }

    /// A `--file` option's content, standard input for `-`.
    pub(super) fn file_or_stdin(&self, path: &str) -> Result<Vec<u8>, Stop> {
        if path == "-" {
            return self.stdin.map(<[u8]>::to_vec).ok_or(Stop::Stdin);
        }
        self.read(&self.path(path)).map_err(Stop::Failed)
    }

    /// A file's content, or Go's error.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.read(path).map_err(|error| {
            let verb = if error == "is a directory" {
                "read"
            } else {
                "open"
            };
            format!("{verb} {path}: {error}")
        })
    }

    /// Writes text as it is.
    pub(super) fn write(&mut self, text: &str) {
        self.stdout.push_str(text);
    }

    /// Grumbles about a `--format` that means nothing.
    pub(super) fn deprecated_format(&mut self, options: &Options) {
        if !options.text("format").is_empty() {
            let text = format!("--format flag deprecated for command \"{}\"", self.name);
            self.stderr.push_str(&text);
        }
    }

    /// Prints a value in the format and to the place that were asked for.
    pub(super) fn print(&mut self, options: &Options, value: &Value) -> Result<(), Stop> {
        self.print_as(options, value, value)
    }

    /// Prints a value whose JSON has other fields than its YAML.
    pub(super) fn print_as(
        &mut self,
        options: &Options,
        yaml: &Value,
        json: &Value,
    ) -> Result<(), Stop> {
        let text = match options.format() {
            "json" => format!("{}\n", to_json(json)),
            "yaml" => yaml_text(yaml),
            _ => smart(yaml),
        };
        let path = options.text("o");
        if path.is_empty() {
            self.stdout.push_str(&text);
            return Ok(());
        }
        let path = self.path(path);
        self.files
            .write(&path, text.as_bytes())
            .map_err(|error| Stop::Failed(format!("open {path}: {error}")))
    }

    pub(super) fn finish(mut self, outcome: Result<(), Stop>) -> Reply {
        let code = match outcome {
            Ok(()) => 0,
            Err(Stop::Stdin) => return Reply::NeedsStdin,
            Err(Stop::Help) => {
                self.stdout = format!("Usage: {} [options] [arguments]\n", self.name);
                0
            }
            Err(Stop::Usage(text)) => self.error(&text, 2),
            Err(Stop::Failed(text)) => self.error(&text, 1),
        };
        let (stdout, stderr) = (self.stdout.into_bytes(), self.stderr.into_bytes());
        Reply::Answer(Answer {
            code,
            stdout,
            stderr,
        })
    }

    fn error(&mut self, text: &str, code: i32) -> i32 {
        self.stderr.push_str("ERROR ");
        self.stderr.push_str(text);
        self.stderr.push('\n');
        code
    }
}

/// Refuses arguments that are too many.
pub(super) fn no_more(args: &[String]) -> Result<(), Stop> {
    if args.is_empty() {
        return Ok(());
    }
    usage(format!("unrecognized args: {}", quote_list(args)))
}

fn yaml_text(value: &Value) -> String {
    if *value == Value::Null {
        String::new()
    } else {
        to_yaml(value)
    }
}

/// Strings raw, lists of strings by line, booleans in Python's spelling, anything else as YAML.
fn smart(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Strings(texts) => texts.as_deref().unwrap_or_default().join("\n"),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null
        | Value::Int(_)
        | Value::Float(_)
        | Value::Binary(_)
        | Value::Time(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Struct(_) => return yaml_text(value),
    };
    if text.is_empty() {
        text
    } else {
        format!("{text}\n")
    }
}
