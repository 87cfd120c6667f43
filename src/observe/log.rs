//! What the worker's logs tell: the cause of trouble, and who leads the group.

use std::path::Path;

use connect_core::layout::Layout;
use connect_core::observation::{Group, ServiceFact};

use crate::host::fs::{self, FsError};

/// The end of the log that is looked at, in bytes.
const TAIL: u64 = 128 << 10;
/// The same of the group's: its last line names every task that the worker has.
const GROUP_TAIL: u64 = 1 << 20;
/// What a worker says first of all, and last of all.
const BOUNDARIES: [&str; 2] = ["worker initializing", "Kafka Connect stopped"];

/// What the ends of a running worker's logs say: why it does not come up, and the group's last
/// rebalance.
#[derive(Debug, Default)]
pub struct Told {
    /// See `cause`.
    pub cause: Option<String>,
    /// See [`Group`].
    pub group: Option<Group>,
}

/// Reads the ends of the worker's logs.
///
/// # Errors
///
/// A log is there and cannot be read.
pub fn read(layout: &Layout, fact: &ServiceFact) -> Result<Told, FsError> {
    if fact.active == "inactive" {
        return Ok(Told::default());
    }
    let again = fact.restarts > 0 || fact.active != "active";
    let tail = |path: &str, bytes| fs::read_tail(Path::new(path), bytes);
    let worker = tail(&layout.worker_log(), TAIL)?;
    let joins = tail(&layout.group_log(), GROUP_TAIL)?;
    Ok(Told {
        cause: worker.and_then(|tail| cause(&tail, again)),
        group: joins.and_then(|tail| group(&tail)),
    })
}

/// The last rebalance that the worker took part in since it started.
/// **Contract:** the line that `DistributedHerder` logs after a join, in Kafka 3.9 to 4.3.
fn group(tail: &str) -> Option<Group> {
    let line = tail.get(tail.rfind("Joined group at generation ")?..)?;
    let line = line.lines().next()?;
    let after = |start: &str| line.split_once(start).map(|(_, rest)| rest);
    let number = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    let url = after("leaderUrl='")?.split('\'').next()?;
    let host = url.split_once("://")?.1.trim_end_matches('/');
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    Some(Group {
        generation: number(after("generation ")?)?,
        leader: host.to_owned(),
        delay_ms: after("rebalance delay: ").and_then(number).unwrap_or(0),
    })
}

/// Why the worker does not come up: the last line that carries a cause, of this start or, when
/// systemd had to start it again, of any.
fn cause(tail: &str, again: bool) -> Option<String> {
    let boundary = BOUNDARIES.iter().filter_map(|text| tail.rfind(text)).max();
    let current = match boundary {
        Some(start) if !again => tail.split_at(start).1,
        Some(_) | None => tail,
    };
    let lines: Vec<&str> = current.lines().collect();
    let (index, line) = lines
        .iter()
        .enumerate()
        .rev()
        .find(|(_, line)| is_error(line))
        .or_else(|| {
            // A broker that is down is only warned about until the worker gives up.
            lines
                .iter()
                .enumerate()
                .rev()
                .find(|(_, line)| line.contains("could not be established"))
        })?;
    // The exception that follows says more than the line itself; its last cause says most.
    let trace = lines
        .iter()
        .skip(index + 1)
        .take_while(|line| !is_record(line));
    let deepest = trace
        .filter(|line| line.starts_with("Caused by: ") || !line.starts_with(['\t', ' ']))
        .filter(|line| !line.trim().is_empty())
        .last();
    let text = match deepest {
        Some(exception) => exception.trim_start_matches("Caused by: "),
        None => message(line),
    };
    let text = strip_packages(text.trim());
    (!text.is_empty()).then_some(text)
}

/// `[2026-01-01 00:00:00,000] ERROR …`: the layout that the charm configures.
fn is_record(line: &str) -> bool {
    line.starts_with('[') && line.contains("] ")
}

/// An error of the worker itself: those of a connector or task begin with `[name|worker]` or
/// `[name|task-0]`.
fn is_error(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("] ").filter(|_| is_record(line)) else {
        return false;
    };
    let of_connector = rest
        .split_once(" [")
        .and_then(|(level, rest)| Some((level, rest.split_once(']')?.0)))
        .is_some_and(|(level, context)| !level.contains(' ') && context.contains('|'));
    (rest.starts_with("ERROR") || rest.starts_with("FATAL")) && !of_connector
}

fn message(line: &str) -> &str {
    let rest = line.split_once("] ").map_or(line, |(_, rest)| rest);
    let rest = rest.split_once(' ').map_or(rest, |(_, rest)| rest);
    // Its end names the logger: ` (org.apache.kafka…:123)`, its beginning may name a client.
    let text = rest.rsplit_once(" (").map_or(rest, |(text, _)| text);
    match text
        .strip_prefix('[')
        .and_then(|text| text.split_once("] "))
    {
        Some((_, text)) => text,
        None => text,
    }
}

/// `org.apache.kafka.common.errors.TimeoutException: x` as `TimeoutException: x`.
fn strip_packages(text: &str) -> String {
    let (class, rest) = text.split_once(": ").unwrap_or((text, ""));
    if class.contains(' ') || !class.contains('.') {
        return text.to_owned();
    }
    let short = class.rsplit(['.', '$']).next().unwrap_or(class);
    if rest.is_empty() {
        short.to_owned()
    } else {
        format!("{short}: {rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[2026-01-01 00:00:00,000] ERROR Old trouble (a.B:1)
[2026-01-01 00:00:01,000] INFO Kafka Connect worker initializing ... (a.B:1)
[2026-01-01 00:00:02,000] WARN [AdminClient] Connection to node -1 (/10.0.0.1:9092) could not be established. Node may not be available. (o.a.k.C:9)
";

    #[test]
    fn a_broker_that_is_down_is_the_cause() {
        assert_eq!(
            cause(LOG, false).unwrap(),
            "Connection to node -1 (/10.0.0.1:9092) could not be established. Node may not be available."
        );
    }

    #[test]
    fn an_earlier_start_counts_once_it_had_to_be_repeated() {
        assert_eq!(cause(LOG, true).unwrap(), "Old trouble");
    }

    #[test]
    fn errors_of_connectors_and_of_the_process_before_are_not_the_workers() {
        let log = "\
[t] ERROR [hb|worker] Failed to start (a:1)
[t] ERROR [hb|task-0] Failed (a:1)
";
        assert_eq!(cause(log, true), None);
        let log = "[t] ERROR Old trouble (a:1)\n[t] INFO Kafka Connect stopped (a:1)\n";
        assert_eq!(cause(log, false), None);
    }

    #[test]
    fn the_last_rebalance_names_the_leader() {
        let joined = "[t] INFO [Worker clientId=connect-10.0.0.5:8084, groupId=g] Joined group at \
            generation 7 with protocol version 2 and got assignment: Assignment{error=0, \
            leader='connect-10.0.0.4:8084-f1', leaderUrl='https://10.0.0.4:8084/', offset=3, \
            connectorIds=[a], taskIds=[a-0], revokedConnectorIds=[], revokedTaskIds=[], delay=0} \
            with rebalance delay: 5000 (o.a.k.c.r.d.DistributedHerder:2)";
        let told = Group {
            generation: 7,
            leader: "10.0.0.4".to_owned(),
            delay_ms: 5000,
        };
        for before in ["", "x\nJoined group at generation 6 \n"] {
            let log = format!("{before}{joined}\n");
            assert_eq!(group(&log).as_ref(), Some(&told), "{log}");
        }
        let six = joined.replace("10.0.0.4:8084/", "[fd00::1]:8084/");
        assert_eq!(group(&six).unwrap().leader, "[fd00::1]");
    }

    #[test]
    fn the_deepest_exception_says_most() {
        let log = "\
[t] ERROR [Worker] Stopping due to error (o.a.k.c.cli.AbstractConnectCli:99)
org.apache.kafka.connect.errors.ConnectException: Failed to connect
\tat a.b.C(D.java:1)
Caused by: java.util.concurrent.ExecutionException: x
\tat a.b.C(D.java:1)
Caused by: org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment.
\t... 3 more
[t] INFO Kafka Connect stopping (a:1)
";
        assert_eq!(
            cause(log, false).unwrap(),
            "TimeoutException: Timed out waiting for a node assignment."
        );
        assert_eq!(cause("[t] INFO fine (a:1)\n", false), None);
    }
}
