//! Which finding becomes the status; all of them become log lines.

use super::{Finding, Id};
use crate::limits;
use crate::plan::{Note, State, Status};

/// The status: the finding that stands first in the catalogue, and of several of one kind the
/// first found.
#[must_use]
pub fn choose(findings: &[Finding]) -> Status {
    let ready = Finding::bare(Id::Ready);
    let finding = findings
        .iter()
        .min_by_key(|finding| finding.id)
        .unwrap_or(&ready);
    Status {
        state: finding.id.entry().state,
        message: shorten(&message(finding), limits::STATUS_LENGTH),
    }
}

/// One line per finding.
#[must_use]
pub fn notes(findings: &[Finding]) -> Vec<Note> {
    findings
        .iter()
        .filter(|finding| finding.id != Id::Ready)
        .map(|finding| Note {
            problem: match finding.id.entry().state {
                State::Blocked | State::Waiting => true,
                State::Maintenance => false,
                State::Active => matches!(
                    finding.id,
                    Id::ClientHeld
                        | Id::ClientPlugin
                        | Id::ClientPlain
                        | Id::ClientSecretLost
                        | Id::ConnectorFailed
                        | Id::TransferFaulty
                        | Id::RollStopped
                        | Id::UnitLost
                ),
            },
            text: message(finding),
        })
        .collect()
}

fn message(finding: &Finding) -> String {
    let mut message = finding.id.entry().template.to_owned();
    for (name, value) in &finding.values {
        let value: String = value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        message = message.replace(&format!("{{{name}}}"), value.trim());
    }
    message
}

/// A text of at most `longest` characters.
pub(crate) fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(longest - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::catalogue::CATALOGUE;

    #[test]
    fn the_most_pressing_finding_wins() {
        let status = choose(&[
            Finding::bare(Id::RestartPending),
            Finding::new(Id::KafkaMissing, [("application", "kc")]),
            Finding::bare(Id::PeersMissing),
        ]);
        assert_eq!(status.state, State::Blocked);
        assert_eq!(
            status.message,
            "needs Kafka: juju integrate kc:kafka-client <kafka>"
        );
        assert_eq!(
            choose(&[]),
            Status {
                state: State::Active,
                message: String::new()
            }
        );
    }

    #[test]
    fn a_message_is_one_short_line() {
        let cause = "x\ny".repeat(100);
        let status = choose(&[Finding::new(Id::WorkerFailing, [("cause", &cause)])]);
        assert_eq!(status.message.chars().count(), limits::STATUS_LENGTH);
        assert!(!status.message.contains('\n'));
    }

    #[test]
    fn the_catalogue_has_no_gaps() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.id as usize, index);
            assert!(
                !entry.meaning.is_empty() && !entry.remedy.is_empty(),
                "{}",
                entry.name
            );
            let twins = CATALOGUE
                .iter()
                .filter(|other| other.name == entry.name)
                .count();
            assert_eq!(twins, 1, "{}", entry.name);
        }
    }
}
