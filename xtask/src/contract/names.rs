//! The grammars of names.

/// Parts separated by one of `separators`, each of lower-case letters and digits and not empty; the
/// name begins with a letter.
fn parts<'a>(name: &'a str, separators: &'a [char]) -> Option<impl Iterator<Item = &'a str>> {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let fine = begins && name.split(separators).all(plain);
    fine.then(|| name.split(separators))
}

/// A charm or a storage: every dash-separated part has a letter.
pub(super) fn is_charm(name: &str) -> bool {
    let lettered = |part: &str| part.bytes().any(|byte| byte.is_ascii_lowercase());
    parts(name, &['-']).is_some_and(|mut parts| parts.all(lettered))
}

/// An endpoint or an interface.
pub(super) fn is_endpoint(name: &str) -> bool {
    parts(name, &['-', '_']).is_some()
}

/// An action.
pub(super) fn is_action(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Names that Juju keeps for itself.
pub(super) fn is_reserved(name: &str) -> bool {
    name == "juju" || name.starts_with("juju-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        for (name, charm, endpoint, action) in [
            ("kafka-connect", true, true, true),
            ("connect_client", false, true, false),
            ("kafka-4", false, true, true),
            ("4kafka", false, false, true),
            ("a--b", false, false, true),
            ("a-", false, false, false),
            ("-a", false, false, false),
            ("A", false, false, false),
            ("", false, false, false),
            ("a.b", false, false, false),
        ] {
            assert_eq!(is_charm(name), charm, "charm {name}");
            assert_eq!(is_endpoint(name), endpoint, "endpoint {name}");
            assert_eq!(is_action(name), action, "action {name}");
        }
    }

    #[test]
    fn reserved_is_a_whole_word() {
        assert!(is_reserved("juju") && is_reserved("juju-info"));
        assert!(!is_reserved("jujube"));
    }
}
