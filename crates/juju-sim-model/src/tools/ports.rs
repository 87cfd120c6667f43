//! open-port, close-port, opened-ports.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{Call, Stop, no_more, usage};
use super::flags::{Flag, OUTPUT, SMART};
use crate::go::{Value, atoi, quote};
use crate::state::{PortRange, Protocol};

/// Reads `80`, `80/udp`, `8000-8010/tcp` or `icmp`.
///
/// Contract: `ParsePortRange` of Juju's `core/network`.
fn parse(text: &str) -> Result<PortRange, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number =
        |text: &str| atoi(text).map_err(|error| format!("invalid port {}: {error}", quote(text)));
    let parts: Vec<&str> = ports.split('-').collect();
    let (from, to, protocol) = match parts.as_slice() {
        ["icmp"] => (-1, -1, "icmp"),
        [port] => {
            let port = number(port)?;
            (port, port, protocol)
        }
        [from, to] => (number(from)?, number(to)?, protocol),
        _ => return Err(format!("invalid port range {}", quote(ports))),
    };
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        other => {
            let other = quote(other);
            return Err(format!(
                "invalid protocol {other}, expected \"tcp\", \"udp\", or \"icmp\""
            ));
        }
    };
    if protocol == Protocol::Icmp {
        if (from, to) != (-1, -1) {
            return Err(format!(
                "protocol \"icmp\" doesn't support any ports; got \"{from}\""
            ));
        }
    } else if from > to {
        return Err(format!(
            "invalid port range {from}-{to}/{}",
            protocol.as_str()
        ));
    }
    let bound = |port: i64| i32::try_from(port).ok().filter(|port| *port <= 65_535);
    let legal = |port: &i32| *port >= 0 || protocol == Protocol::Icmp;
    match (bound(from).filter(legal), bound(to).filter(legal)) {
        (Some(from), Some(to)) => Ok(PortRange { protocol, from, to }),
        _ => Err(format!(
            "port range bounds must be between 0 and 65535, got {from}-{to}"
        )),
    }
}

fn change(call: &mut Call<'_>, open: bool) -> Result<(), Stop> {
    let options = call.parse(&[Flag::text(&["format"]), Flag::text(&["endpoints"])])?;
    let Some((range, rest)) = options.args.split_first() else {
        return usage("no port or range specified");
    };
    let range = parse(&range.to_lowercase()).map_err(Stop::Usage)?;
    no_more(rest)?;
    call.deprecated_format(&options);
    let ports = &mut call.context.ports;
    for endpoint in options.text("endpoints").split(',') {
        let endpoint = endpoint.trim();
        let changed = if open {
            ports.open_range(endpoint, range)
        } else {
            ports.close_range(endpoint, range)
        };
        changed.map_err(Stop::Failed)?;
    }
    Ok(())
}

pub(super) fn open(call: &mut Call<'_>) -> Result<(), Stop> {
    change(call, true)
}

pub(super) fn close(call: &mut Call<'_>) -> Result<(), Stop> {
    change(call, false)
}

pub(super) fn opened(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT, Flag::bool(&["endpoints"])])?;
    no_more(&options.args)?;
    let mut ranges: BTreeMap<PortRange, BTreeSet<String>> = BTreeMap::new();
    for (endpoint, open) in call.context.ports.current() {
        for range in open {
            ranges.entry(range).or_default().insert(endpoint.clone());
        }
    }
    let with_endpoints = options.has("endpoints");
    let shown = ranges.into_iter().map(|(range, endpoints)| {
        if !with_endpoints {
            return range.to_string();
        }
        if endpoints.contains("") {
            return format!("{range} (*)");
        }
        let endpoints: Vec<String> = endpoints.into_iter().collect();
        format!("{range} ({})", endpoints.join(", "))
    });
    let shown = shown.collect();
    call.print(&options, &Value::Strings(Some(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_as_juju_checks_them() {
        for (text, result) in [
            ("80", Ok("80/tcp")),
            ("icmp", Ok("icmp")),
            ("8000-8010/udp", Ok("8000-8010/udp")),
            (
                "80/icmp",
                Err("protocol \"icmp\" doesn't support any ports; got \"80\""),
            ),
            (
                "80/",
                Err("invalid protocol \"\", expected \"tcp\", \"udp\", or \"icmp\""),
            ),
            ("9-5", Err("invalid port range 9-5/tcp")),
            ("1-2-3/tcp", Err("invalid port range \"1-2-3\"")),
            (
                "65536",
                Err("port range bounds must be between 0 and 65535, got 65536-65536"),
            ),
            (
                "1-x",
                Err("invalid port \"x\": strconv.Atoi: parsing \"x\": invalid syntax"),
            ),
        ] {
            let got = parse(text).map(|range| range.to_string());
            assert_eq!(
                got,
                result.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
    }
}
