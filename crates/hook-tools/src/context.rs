//! The environment that Juju gives a hook.

use std::path::PathBuf;

use crate::hook::Hook;

/// What the environment says, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Why the process runs.
    pub hook: Hook,
    /// `JUJU_UNIT_NAME`, such as `app/0`.
    pub unit: String,
    /// The application's part of it.
    pub application: String,
    /// The unit's number.
    pub unit_number: u32,
    /// `JUJU_MODEL_UUID`.
    pub model_uuid: String,
    /// `JUJU_VERSION`, as far as it can be read.
    pub juju_version: Option<JujuVersion>,
    /// `JUJU_CHARM_DIR`.
    pub charm_dir: PathBuf,
    /// `JUJU_CHARM_HTTP_PROXY`, if set.
    pub http_proxy: Option<String>,
    /// `JUJU_CHARM_HTTPS_PROXY`, if set.
    pub https_proxy: Option<String>,
    /// `JUJU_CHARM_NO_PROXY`, if set.
    pub no_proxy: Option<String>,
}

/// The agent's version. What follows major and minor differs in form between releases
/// (`3.6.28`, `4.0-rc1.2`), and nothing should depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JujuVersion {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
}

impl JujuVersion {
    /// Reads a version; nothing if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(['.', '-']);
        Some(Self {
            major: parts.next()?.parse().ok()?,
            minor: parts.next()?.parse().ok()?,
        })
    }
}

/// The environment is not one that Juju gives: a bug of whoever started us.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ContextError {
    /// A variable is missing.
    #[error("cannot tell what to do: environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable's value makes no sense.
    #[error("cannot tell what to do: environment variable {name} is `{value}`")]
    Malformed {
        /// Variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

impl Context {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// A variable that every hook has is missing or malformed.
    pub fn from_env() -> Result<Self, ContextError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads an environment; `get` gives a variable's value. An empty value counts as none.
    ///
    /// # Errors
    ///
    /// As [`Context::from_env`].
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ContextError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(ContextError::Missing(name));
        let unit = need("JUJU_UNIT_NAME")?;
        let (application, number) = unit
            .split_once('/')
            .and_then(|(app, number)| Some((app.to_owned(), number.parse().ok()?)))
            .ok_or_else(|| ContextError::Malformed {
                name: "JUJU_UNIT_NAME",
                value: unit.clone(),
            })?;
        Ok(Self {
            hook: Hook::read(&get)?,
            unit,
            application,
            unit_number: number,
            model_uuid: need("JUJU_MODEL_UUID")?,
            juju_version: get("JUJU_VERSION").and_then(|text| JujuVersion::read(&text)),
            charm_dir: need("JUJU_CHARM_DIR")?.into(),
            http_proxy: get("JUJU_CHARM_HTTP_PROXY"),
            https_proxy: get("JUJU_CHARM_HTTPS_PROXY"),
            no_proxy: get("JUJU_CHARM_NO_PROXY"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extra: &[(&str, &str)]) -> Result<Context, ContextError> {
        let mut pairs = vec![
            ("JUJU_UNIT_NAME", "kc/12"),
            ("JUJU_MODEL_UUID", "5a4c3b2a-1111-4222-8333-444455556666"),
            ("JUJU_CHARM_DIR", "/charm"),
            ("JUJU_DISPATCH_PATH", "hooks/start"),
            ("JUJU_CHARM_NO_PROXY", ""),
        ];
        pairs.extend(extra);
        let get = |name: &str| {
            pairs
                .iter()
                .rev()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Context::read(get)
    }

    #[test]
    fn a_unit_is_its_application_and_number() {
        let context = read(&[]).unwrap();
        assert_eq!(
            (context.application.as_str(), context.unit_number),
            ("kc", 12)
        );
        assert_eq!(context.no_proxy, None, "an empty variable is none");
    }

    #[test]
    fn versions_are_read_in_every_form() {
        for (text, expected) in [
            ("3.6.28", Some((3, 6))),
            ("4.0-rc1.2", Some((4, 0))),
            ("4.1", Some((4, 1))),
            ("next", None),
            ("", None),
        ] {
            let version = read(&[("JUJU_VERSION", text)]).unwrap().juju_version;
            assert_eq!(version.map(|v| (v.major, v.minor)), expected, "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_missing_or_malformed_is_named() {
        assert_eq!(
            read(&[("JUJU_UNIT_NAME", "")]),
            Err(ContextError::Missing("JUJU_UNIT_NAME"))
        );
        let malformed = read(&[("JUJU_UNIT_NAME", "kc")]).unwrap_err().to_string();
        assert!(malformed.contains("JUJU_UNIT_NAME is `kc`"), "{malformed}");
    }
}
