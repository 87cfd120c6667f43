//! Names of applications and units, and their tags.
//!
//! Contract: juju/names, `application.go` and `unit.go`.

/// The application part of a unit name; the whole text when there is no `/`.
#[must_use]
pub fn application_of(unit: &str) -> &str {
    unit.split_once('/')
        .map_or(unit, |(application, _)| application)
}

/// The number of a unit; 0 when the text has none.
#[must_use]
pub fn unit_number(unit: &str) -> u32 {
    unit.split_once('/')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}

/// A key that sorts units by application, then by number.
#[must_use]
pub fn unit_order(unit: &str) -> (&str, u32) {
    (application_of(unit), unit_number(unit))
}

/// `unit-kafka-0` for `kafka/0`: the name of the agent's directory and of the unit's tag.
#[must_use]
pub fn unit_tag(unit: &str) -> String {
    format!("unit-{}", unit.replace('/', "-"))
}

/// Whether Juju takes this text for an application name: parts of letters and digits joined by
/// single dashes, the first starting with a letter, and every part holding a letter.
#[must_use]
pub fn is_application_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let letter = |c: char| c.is_ascii_lowercase();
    name.starts_with(letter)
        && name
            .split('-')
            .all(|part| part.chars().all(legal) && part.chars().any(letter))
}

/// Whether Juju takes this text for a unit name.
#[must_use]
pub fn is_unit_name(name: &str) -> bool {
    let Some((application, number)) = name.split_once('/') else {
        return false;
    };
    let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    is_application_name(application) && digits && (number == "0" || !number.starts_with('0'))
}
