//! The owner's tag in the three kinds of body that carry a connector's configuration.
//!
//! Bodies are taken apart only as far as needed and values are passed on in the client's own
//! spelling. A duplicated key counts as the worker counts it: the last one wins.

use std::collections::BTreeMap;

use connect_core::gateway::OWNER_KEY;
use serde_json::value::RawValue;

/// Why a body that carries a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// Not a JSON object of the expected shape.
    #[error("cannot read the request body as {0}")]
    Shape(&'static str, #[source] serde_json::Error),
    /// A client wants to write the tag.
    #[error("cannot change `{OWNER_KEY}`: it records who created the connector")]
    Reserved,
    /// The parts that were just read cannot be written; a bug.
    #[error("cannot write the request body")]
    Write(#[source] serde_json::Error),
}

/// A configuration, or any JSON object, with its values untouched.
pub type Map = BTreeMap<String, Box<RawValue>>;

/// Reads a flat configuration, as `PUT …/config` and `GET …/config` carry it.
///
/// # Errors
/// [`TagError::Shape`] if it is not an object.
pub fn read_config(body: &[u8]) -> Result<Map, TagError> {
    serde_json::from_slice(body)
        .map_err(|source| TagError::Shape("a connector's configuration", source))
}

/// The tag in a configuration, if there is one.
#[must_use]
pub fn owner_of(config: &Map) -> Option<String> {
    serde_json::from_str(config.get(OWNER_KEY)?.get()).ok()
}

/// Writes a flat configuration with exactly this tag, whatever it said before.
///
/// # Errors
/// [`TagError::Write`] never in practice.
pub fn write_config(mut config: Map, owner: Option<&str>) -> Result<Vec<u8>, TagError> {
    set(&mut config, owner)?;
    serde_json::to_vec(&config).map_err(TagError::Write)
}

/// Writes the body of `POST /connectors` for a configuration that came by `PUT`.
///
/// # Errors
/// [`TagError::Write`] never in practice.
pub fn write_creation(name: &str, config: Map, owner: Option<&str>) -> Result<Vec<u8>, TagError> {
    let mut config = config;
    set(&mut config, owner)?;
    let mut body = Map::new();
    body.insert("name".into(), raw(name)?);
    body.insert("config".into(), raw(&config)?);
    serde_json::to_vec(&body).map_err(TagError::Write)
}

/// The body of `POST /connectors` with exactly this tag, and the connector's name if it has one.
///
/// # Errors
/// [`TagError::Shape`] if it is not an object with an object `config`.
pub fn tag_creation(
    body: &[u8],
    owner: Option<&str>,
) -> Result<(Vec<u8>, Option<String>), TagError> {
    const WHAT: &str = "a connector's name and configuration";
    let shape = |source| TagError::Shape(WHAT, source);
    let mut map: Map = serde_json::from_slice(body).map_err(shape)?;
    let name = map
        .get("name")
        .and_then(|name| serde_json::from_str(name.get()).ok());
    let config = map.get("config").map_or("null", |config| config.get());
    let mut config: Map = serde_json::from_str(config).map_err(shape)?;
    set(&mut config, owner)?;
    map.insert("config".into(), raw(&config)?);
    Ok((serde_json::to_vec(&map).map_err(TagError::Write)?, name))
}

/// Checks the body of `PATCH …/config`, which may not name the tag at all.
///
/// Returned written anew, so that what was checked is what is sent.
///
/// # Errors
/// [`TagError::Shape`] if it is not an object, [`TagError::Reserved`] if it names the tag.
pub fn check_patch(body: &[u8]) -> Result<Vec<u8>, TagError> {
    let config = read_config(body)?;
    if config.contains_key(OWNER_KEY) {
        return Err(TagError::Reserved);
    }
    serde_json::to_vec(&config).map_err(TagError::Write)
}

fn set(config: &mut Map, owner: Option<&str>) -> Result<(), TagError> {
    match owner {
        Some(owner) => config.insert(OWNER_KEY.into(), raw(owner)?),
        None => config.remove(OWNER_KEY),
    };
    Ok(())
}

fn raw<T: serde::Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, TagError> {
    serde_json::value::to_raw_value(value).map_err(TagError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(body: &str, owner: Option<&str>) -> Option<String> {
        let (body, _) = tag_creation(body.as_bytes(), owner).ok()?;
        Some(String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_created_connector_carries_exactly_its_creator() {
        let rows = [
            (
                r#"{"name":"x","config":{"a":"1"}}"#,
                Some("me"),
                r#"{"config":{"a":"1","juju.client":"me"},"name":"x"}"#,
            ),
            (
                r#"{"name":"x","config":{"juju.client":"you"}}"#,
                Some("me"),
                r#"{"config":{"juju.client":"me"},"name":"x"}"#,
            ),
            (
                r#"{"name":"x","config":{"juju\u002eclient":"you"}}"#,
                Some("me"),
                r#"{"config":{"juju.client":"me"},"name":"x"}"#,
            ),
            (
                r#"{"config":{"juju.client":"you","juju.client":null}}"#,
                Some("me"),
                r#"{"config":{"juju.client":"me"}}"#,
            ),
            (
                r#"{"config":{},"config":{"b":2.50}}"#,
                Some("me"),
                r#"{"config":{"b":2.50,"juju.client":"me"}}"#,
            ),
            (
                r#"{"config":{"juju.client":"you","a":null}}"#,
                None,
                r#"{"config":{"a":null}}"#,
            ),
        ];
        for (body, owner, expect) in rows {
            assert_eq!(created(body, owner).as_deref(), Some(expect), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_tagged_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"config":null}"#,
            r#"{"config":[]}"#,
            r#"{"config":{}} x"#,
            "\u{feff}{}",
        ] {
            assert!(created(body, Some("me")).is_none(), "{body}");
        }
        assert!(read_config(br#"{"a":"b""#).is_err());
        assert!(read_config(b"\xff\xfe{\0}\0").is_err());
    }

    #[test]
    fn an_updated_connector_keeps_its_tag() {
        let write = |body: &str, owner| {
            let config = read_config(body.as_bytes()).unwrap();
            String::from_utf8(write_config(config, owner).unwrap()).unwrap()
        };
        assert_eq!(
            write(r#"{"a":1.10}"#, Some("me")),
            r#"{"a":1.10,"juju.client":"me"}"#
        );
        assert_eq!(write(r#"{"juju.client":"you"}"#, None), "{}");
        let config = read_config(br#"{"juju.client":"me"}"#).unwrap();
        assert_eq!(owner_of(&config).as_deref(), Some("me"));
        assert_eq!(owner_of(&read_config(b"{}").unwrap()), None);
        let body = write_creation("x\"", config, Some("you")).unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"config":{"juju.client":"you"},"name":"x\""}"#
        );
    }

    #[test]
    fn a_patch_may_not_name_the_tag() {
        assert!(check_patch(br#"{"a":null}"#).is_ok());
        for body in [
            r#"{"juju.client":"me"}"#,
            r#"{"juju.client":null}"#,
            r#"{"\u006auju.client":"me"}"#,
        ] {
            assert!(
                matches!(check_patch(body.as_bytes()), Err(TagError::Reserved)),
                "{body}"
            );
        }
    }
}
