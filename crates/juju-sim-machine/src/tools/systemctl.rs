//! `systemctl`: turns its command line into a request to the manager, and prints the answer.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::control::{CONTROL, Reply, Request};

const NOT_BOOTED: &str = "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down";

pub(crate) fn main(arguments: &[OsString]) -> i32 {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("systemd 255 (stand-in of a simulated machine)");
        return 0;
    }
    let request = match parse(&arguments) {
        Ok(request) => request,
        Err(problem) => {
            eprintln!("systemctl: {problem}");
            return 1;
        }
    };
    match ask(&request) {
        Ok(reply) => {
            print!("{}", reply.out);
            if !request.quiet {
                eprint!("{}", reply.err);
            }
            let _ = std::io::stdout().flush();
            reply.code
        }
        Err(error) => {
            eprintln!("{NOT_BOOTED} ({error})");
            1
        }
    }
}

fn ask(request: &Request) -> std::io::Result<Reply> {
    let mut stream = UnixStream::connect(CONTROL)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}

/// A unit named without a type is a service.
fn unit_name(text: &str) -> String {
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "path",
        "timer",
        "target",
        "mount",
        "automount",
        "swap",
        "slice",
        "scope",
        "device",
    ];
    let typed = text
        .rsplit_once('.')
        .is_some_and(|(_, kind)| TYPES.contains(&kind));
    if typed {
        text.to_owned()
    } else {
        format!("{text}.service")
    }
}

/// Reads the command line. Options that only shape the output for terminals are accepted; unknown ones are an error.
fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut words = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            words.extend(rest.by_ref().cloned());
            break;
        }
        if !argument.starts_with('-') || argument == "-" {
            words.push(argument.clone());
            continue;
        }
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) if argument.starts_with("--") => (name, Some(value.to_owned())),
            Some(_) | None if argument.starts_with("--") => (argument.as_str(), None),
            // `-pActiveState`, `-n5`
            _ if argument.len() > 2
                && ["-p", "-t", "-s", "-n", "-o"]
                    .iter()
                    .any(|short| argument.starts_with(short)) =>
            {
                (
                    argument.get(..2).unwrap_or_default(),
                    argument.get(2..).map(str::to_owned),
                )
            }
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            attached
                .clone()
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| format!("option '{name}' requires an argument"))
        };
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        match name {
            "--no-block" => request.no_block = true,
            "--now" => request.now = true,
            "--quiet" | "-q" => request.quiet = true,
            "--value" => request.value_only = true,
            "--all" | "-a" => request.all = true,
            "--no-legend" => request.no_legend = true,
            "--legend" => request.no_legend = value()? == "false",
            "--runtime" => request.runtime = true,
            "--property" | "-p" => request.properties.extend(list(value()?)),
            "-P" => {
                request.value_only = true;
                request.properties.extend(list(value()?));
            }
            "--type" | "-t" => request.types.extend(list(value()?)),
            "--state" => request.states.extend(list(value()?)),
            "--failed" => request.states.push("failed".to_owned()),
            "--signal" | "-s" => request.signal = Some(value()?),
            "--kill-whom" | "--kill-who" => request.whom = Some(value()?),
            "--lines" | "-n" | "--output" | "-o" | "--job-mode" => {
                value()?;
            }
            "--system" | "--no-pager" | "--full" | "-l" | "--plain" | "--no-ask-password"
            | "--force" | "-f" | "--no-reload" | "--wait" | "--no-wall" | "--no-warn"
            | "--show-transaction" => {}
            _ => {
                return Err(format!(
                    "the stand-in does not know the option '{argument}'"
                ));
            }
        }
    }
    let mut words = words.into_iter();
    request.verb = words.next().unwrap_or_else(|| "list-units".to_owned());
    let patterns = request.verb.starts_with("list-");
    request.units = words
        .map(|word| {
            if patterns || word.starts_with('/') {
                word
            } else {
                unit_name(&word)
            }
        })
        .collect();
    check(&request)?;
    Ok(request)
}

fn check(request: &Request) -> Result<(), String> {
    const ALONE: [&str; 11] = [
        "is-system-running",
        "show",
        "status",
        "list-units",
        "list-unit-files",
        "daemon-reload",
        "daemon-reexec",
        "reset-failed",
        "get-default",
        "list-timers",
        "list-sockets",
    ];
    const WITH_UNITS: [&str; 18] = [
        "start",
        "stop",
        "restart",
        "try-restart",
        "reload",
        "reload-or-restart",
        "try-reload-or-restart",
        "kill",
        "is-active",
        "is-failed",
        "is-enabled",
        "enable",
        "disable",
        "reenable",
        "mask",
        "unmask",
        "preset",
        "cat",
    ];
    let verb = request.verb.as_str();
    if !ALONE.contains(&verb) && !WITH_UNITS.contains(&verb) {
        return Err(format!("the stand-in does not know the verb '{verb}'"));
    }
    if WITH_UNITS.contains(&verb) && request.units.is_empty() {
        return Err("Too few arguments.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn request(line: &str) -> Result<super::Request, String> {
        parse(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines_become_requests() {
        let show = request("show -p MainPID,ActiveState --value foo --no-pager").unwrap();
        assert_eq!(show.properties, ["MainPID", "ActiveState"]);
        assert_eq!(show.units, ["foo.service"]);
        assert!(show.value_only);
        let kill = request("kill -s HUP --kill-whom=main a.b.socket").unwrap();
        assert_eq!(
            (kill.signal.as_deref(), kill.whom.as_deref()),
            (Some("HUP"), Some("main"))
        );
        assert_eq!(kill.units, ["a.b.socket"]);
        assert_eq!(request("start a.b").unwrap().units, ["a.b.service"]);
        assert!(request("enable --now --no-block -q x").unwrap().now);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (line, part) in [
            ("dance x", "'dance'"),
            ("start --shiny x", "'--shiny'"),
            ("start", "Too few"),
        ] {
            assert!(request(line).unwrap_err().contains(part), "{line}");
        }
    }
}
