//! The hook tools as a charm sees them: one program under many names.
//!
//! In a machine every tool is a link to this program. It sends its name, arguments and directory to
//! the unit agent's socket and prints the answer. Juju's own client does the same in a wire format
//! of its own, which is not imitated; the environment variables are.
//!
//! A message is a list of byte strings: their count, then each length and its bytes, numbers being
//! 32 bits in network order. Request: context id, directory, tool, `1` if standard input follows,
//! standard input, arguments. Answer: exit status, output, errors; or the single word `stdin`.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;

/// Sends a list of byte strings.
pub(crate) fn send(to: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    let mut message = Vec::new();
    let number = |n: usize| {
        u32::try_from(n)
            .map(u32::to_be_bytes)
            .map_err(io::Error::other)
    };
    message.extend(number(parts.len())?);
    for part in parts {
        message.extend(number(part.len())?);
        message.extend(*part);
    }
    to.write_all(&message)
}

/// Receives a list of byte strings, at most 64 MiB.
pub(crate) fn receive(from: &mut impl Read) -> io::Result<Vec<Vec<u8>>> {
    let mut number = || {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        io::Result::Ok(u32::from_be_bytes(bytes))
    };
    let count = number()?;
    let mut parts = Vec::new();
    let mut left: usize = 64 << 20;
    for _ in 0..count {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        let length = u32::from_be_bytes(bytes) as usize;
        left = left
            .checked_sub(length)
            .ok_or_else(|| io::Error::other("message too large"))?;
        let mut part = vec![0; length];
        from.read_exact(&mut part)?;
        parts.push(part);
    }
    Ok(parts)
}

/// Runs as the tool `name`; the status to exit with.
pub(crate) fn main(name: &str, arguments: Vec<OsString>) -> i32 {
    let arguments: Vec<Vec<u8>> = arguments.into_iter().map(OsString::into_vec).collect();
    let done = if name == "juju-exec" || name == "juju-run" {
        exec(&arguments)
    } else {
        tool(name, &arguments)
    };
    done.unwrap_or_else(|text| {
        eprintln!("ERROR {text}");
        1
    })
}

fn tool(name: &str, arguments: &[Vec<u8>]) -> Result<i32, String> {
    let variable = |name: &str| match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{name} not set")),
    };
    let context = variable("JUJU_CONTEXT_ID")?;
    let address = variable("JUJU_AGENT_SOCKET_ADDRESS")?;
    variable("JUJU_AGENT_SOCKET_NETWORK")?;
    let directory = std::env::current_dir().map_err(|error| error.to_string())?;
    let directory = directory.into_os_string().into_vec();
    let call = |stdin: Option<&[u8]>| {
        let flag: &[u8] = if stdin.is_some() { b"1" } else { b"" };
        let mut parts: Vec<&[u8]> = vec![
            context.as_bytes(),
            &directory,
            name.as_bytes(),
            flag,
            stdin.unwrap_or_default(),
        ];
        parts.extend(arguments.iter().map(Vec::as_slice));
        ask(&address, &parts)
    };
    let mut answer = call(None)?;
    if answer.len() == 1 && answer[0] == b"stdin" {
        let mut stdin = Vec::new();
        io::stdin()
            .read_to_end(&mut stdin)
            .map_err(|error| error.to_string())?;
        answer = call(Some(&stdin))?;
    }
    print(&answer)
}

/// `juju-exec [--no-context] [-r relation] [--remote-unit unit] [unit] commands`.
fn exec(arguments: &[Vec<u8>]) -> Result<i32, String> {
    let mut words: Vec<&[u8]> = Vec::new();
    let (mut relation, mut remote_unit): (&[u8], &[u8]) = (b"", b"");
    let mut unit = std::env::var("JUJU_UNIT_NAME").unwrap_or_default();
    let mut rest = arguments.iter().map(Vec::as_slice);
    while let Some(word) = rest.next() {
        match word {
            b"--no-context" | b"--force-remote-unit" | b"--operator" | b"--"
                if words.is_empty() => {}
            b"-r" | b"--relation" if words.is_empty() => relation = rest.next().unwrap_or_default(),
            b"--remote-unit" if words.is_empty() => remote_unit = rest.next().unwrap_or_default(),
            b"-u" | b"--unit" if words.is_empty() => {
                unit = String::from_utf8_lossy(rest.next().unwrap_or_default()).into_owned();
            }
            other => words.push(other),
        }
    }
    let first = words
        .first()
        .map(|word| String::from_utf8_lossy(word).into_owned());
    if let Some(first) = first.filter(|first| is_unit(first)) {
        unit = first;
        words.remove(0);
    }
    if words.is_empty() {
        return Err("missing commands".into());
    }
    if !is_unit(&unit) {
        return Err("missing unit-name".into());
    }
    let unit = unit
        .strip_prefix("unit-")
        .map_or_else(|| unit.replace('/', "-"), str::to_owned);
    let commands = words.join(&b' ');
    let address = format!("/var/lib/juju/agents/unit-{unit}/run.socket");
    print(&ask(&address, &[&commands, relation, remote_unit])?)
}

fn is_unit(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match name.strip_prefix("unit-") {
        Some(tag) => tag.rsplit_once('-').is_some_and(|(_, n)| number(n)),
        None => name.split_once('/').is_some_and(|(_, n)| number(n)),
    }
}

fn ask(address: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
    let failed = |error: io::Error| format!("dial unix {address}: {error}");
    let mut socket = UnixStream::connect(address).map_err(failed)?;
    send(&mut socket, parts).map_err(failed)?;
    receive(&mut socket).map_err(|error| format!("unexpected EOF: {error}"))
}

fn print(answer: &[Vec<u8>]) -> Result<i32, String> {
    let [status, output, errors] = answer else {
        return Err("cannot read the agent's answer".into());
    };
    // A reader that left is no reason to fail.
    drop(
        io::stdout()
            .write_all(output)
            .and_then(|()| io::stdout().flush()),
    );
    drop(io::stderr().write_all(errors));
    std::str::from_utf8(status)
        .ok()
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| "no exit status".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        let mut wire = Vec::new();
        send(&mut wire, &[b"a", b"", b"bc"]).unwrap();
        assert_eq!(
            receive(&mut wire.as_slice()).unwrap(),
            [b"a".to_vec(), vec![], b"bc".to_vec()]
        );
        wire.truncate(wire.len() - 1);
        assert!(receive(&mut wire.as_slice()).is_err());
    }

    #[test]
    fn units_and_their_tags() {
        for (name, good) in [
            ("kc/0", true),
            ("unit-kafka-connect-0", true),
            ("echo", false),
            ("a/b", false),
        ] {
            assert_eq!(is_unit(name), good, "{name}");
        }
    }
}
