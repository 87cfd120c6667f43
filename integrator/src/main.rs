//! The example requirer charm of `connect_client`.
//!
//! It shows what an application needs to use Kafka Connect: `charm.rs` is the whole charm,
//! `desired.rs` the pure part (options in, connectors out), `plugin.rs` and `serve.rs` give the
//! workers its plugin. Everything about the relation and the REST API is the crate
//! `connect-client`, which any Rust charm can use.

mod actions;
mod charm;
mod desired;
mod kafka;
mod plugin;
mod serve;

use std::process::ExitCode;

use hook_tools::{Context, Level, Tools};

fn main() -> ExitCode {
    connect_client::install_tls_provider();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, file] => match address.parse() {
            Ok(address) => serve::run(address, file.as_ref()).map_err(|error| chain(&error)),
            Err(error) => Err(format!("cannot listen on `{address}`: {error}")),
        },
        _ => hook(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn hook() -> Result<(), String> {
    let context = Context::from_env().map_err(|error| chain(&error))?;
    let tools = Tools::new();
    charm::run(&context, &tools).map_err(|error| {
        let message = chain(&error);
        tools.log(Level::Error, &message);
        message
    })
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
