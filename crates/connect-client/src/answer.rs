//! What the provider answers.

use std::collections::BTreeMap;

use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A password: redacted in `Debug`, wiped on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes charge of a password.
    #[must_use]
    pub const fn new(password: String) -> Self {
        Self(password)
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How to reach Kafka Connect, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// REST URLs, in the provider's order, at least one.
    pub endpoints: Vec<Url>,
    /// REST user.
    pub username: String,
    /// Its password.
    pub password: Password,
    /// PEM certificates of the CA that signed the endpoints' certificates; absent without TLS.
    pub ca: Option<String>,
}

/// The provider's answer as far as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not complete: wait for the next event.
    Pending {
        /// The fields that are missing, for a status.
        missing: Vec<&'static str>,
    },
    /// Complete.
    Ready(Access),
}

/// The provider's answer breaks the contract. The provider has to change it; the requirer can only
/// say so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AnswerError {
    /// A databag key does not follow the schema.
    #[error("cannot use the answer of Kafka Connect: `{field}` {fault}")]
    Invalid {
        /// The key.
        field: String,
        /// What is wrong with it; never its value.
        fault: String,
    },
}

fn invalid(field: &str, fault: &str) -> AnswerError {
    AnswerError::Invalid {
        field: field.to_owned(),
        fault: fault.to_owned(),
    }
}

impl Answer {
    /// Reads the provider's application databag together with the content of the secrets that its
    /// `secret-…` keys name (`secrets`: databag key to content; leave out those that cannot be read
    /// yet, which Juju may refuse for a moment after the URI appears).
    ///
    /// Each field is looked up by itself: first in the secret of its group, then as a plain key.
    ///
    /// # Errors
    ///
    /// The provider's move: a value does not follow `schemas/provider.json`.
    ///
    /// **Contract:** `connect_client` v0, provider side.
    pub fn read(
        databag: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self, AnswerError> {
        validate(databag)?;
        let field = |group: &str, name: &str| {
            secrets
                .get(group)
                .and_then(|content| content.get(name))
                .or_else(|| databag.get(name))
                .filter(|value| !value.is_empty())
        };
        let endpoints = field("secret-extra", "endpoints");
        let username = field("secret-user", "username");
        let password = field("secret-user", "password");
        let (Some(endpoints), Some(username), Some(password)) = (endpoints, username, password)
        else {
            let missing = [
                ("endpoints", endpoints.is_none()),
                ("username", username.is_none()),
                ("password", password.is_none()),
            ];
            let missing = missing
                .iter()
                .filter(|field| field.1)
                .map(|field| field.0)
                .collect();
            return Ok(Self::Pending { missing });
        };
        let endpoints = endpoints
            .split(',')
            .map(|text| {
                Url::parse(text.trim())
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                    .ok_or_else(|| invalid("endpoints", "holds something that is no http(s) URL"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let tls = field("secret-tls", "tls").is_some_and(|tls| {
            tls.eq_ignore_ascii_case("enabled") || tls.eq_ignore_ascii_case("true")
        });
        let ca = field("secret-tls", "tls-ca").filter(|ca| tls && ca.contains("BEGIN CERTIFICATE"));
        Ok(Self::Ready(Access {
            endpoints,
            username: username.clone(),
            password: Password::new(password.clone()),
            ca: ca.cloned(),
        }))
    }
}

/// Checks what is there; what is missing is no fault, the provider may not be ready yet.
fn validate(databag: &BTreeMap<String, String>) -> Result<(), AnswerError> {
    const NAME: &str = "schemas/provider.json";
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../schemas/provider.json"))
            .map_err(|error| invalid(NAME, &error.to_string()))?;
    let validator =
        jsonschema::validator_for(&schema).map_err(|error| invalid(NAME, &error.to_string()))?;
    let value = serde_json::json!(databag);
    for error in validator.iter_errors(&value) {
        let path = error.instance_path().to_string();
        let field = path.trim_start_matches('/');
        if field.is_empty() {
            continue;
        }
        // The schema says in words what a field must be; an error's own text quotes the value.
        let fault = &schema["properties"][field]["x-fault"];
        return Err(invalid(
            field,
            fault.as_str().unwrap_or("does not follow the schema"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn an_answer_is_ready_when_endpoints_and_credentials_are_readable() {
        let user = map(&[("username", "relation-7"), ("password", "pw")]);
        let bag = map(&[
            ("endpoints", "http://10.20.0.4:8083,http://10.20.0.5:8083"),
            ("secret-user", "secret:d2c7user000000000000"),
        ]);
        let secrets = BTreeMap::from([("secret-user".to_owned(), user)]);
        let Ok(Answer::Ready(access)) = Answer::read(&bag, &secrets) else {
            panic!("not ready")
        };
        assert_eq!(access.endpoints.len(), 2);
        assert_eq!(access.username, "relation-7");
        assert_eq!(access.password.expose(), "pw");
        assert_eq!(access.ca, None);
        assert!(
            !format!("{access:?}").contains("pw\""),
            "the password must not be shown"
        );
    }

    #[test]
    fn what_is_missing_is_named_until_it_is_there() {
        type Bag<'a> = &'a [(&'a str, &'a str)];
        let rows: [(Bag<'_>, &[&str]); 3] = [
            (&[], &["endpoints", "username", "password"]),
            (
                &[("endpoints", "http://10.20.0.4:8083")],
                &["username", "password"],
            ),
            (
                &[("secret-user", "secret:d2c7user000000000000")],
                &["endpoints", "username", "password"],
            ),
        ];
        for (bag, expected) in rows {
            let answer = Answer::read(&map(bag), &BTreeMap::new()).unwrap();
            assert_eq!(
                answer,
                Answer::Pending {
                    missing: expected.to_vec()
                },
                "{bag:?}"
            );
        }
    }

    #[test]
    fn plain_credentials_and_tls_fields_are_understood() {
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
        for (tls, expected) in [("enabled", Some(pem)), ("disabled", None)] {
            let bag = map(&[
                ("endpoints", "https://10.20.0.4:8083"),
                ("username", "relation-7"),
                ("password", "pw"),
                ("tls", tls),
                ("tls-ca", pem),
            ]);
            let Ok(Answer::Ready(access)) = Answer::read(&bag, &BTreeMap::new()) else {
                panic!("not ready with tls {tls}")
            };
            assert_eq!(access.ca.as_deref(), expected, "tls {tls}");
        }
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named_without_its_value() {
        let bag = map(&[
            ("endpoints", "10.20.0.4:8083"),
            ("username", "u"),
            ("password", "hidden"),
        ]);
        let error = Answer::read(&bag, &BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("endpoints"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
