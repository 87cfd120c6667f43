//! What became of a request whose answer got lost.
//!
//! *Expected flow:* a connection breaks in the middle of a request that changes something; the
//! gateway reads the connector back and compares it with what was wanted. *Guarantee:* "applied" is
//! said only of what was seen. *Caveat:* what was not seen may still come, so only two kinds of
//! request may be sent again after it: a creation, since a name is given once, and a replacement
//! whose connector still has the configuration that was read before.

use connect_core::gateway::OWNER_KEY;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::delivery::{Outbound, Payload};
use crate::target::{Route, Target};

type Config = Map<String, Value>;

/// What a request was to do to a connector.
#[derive(Debug, PartialEq)]
pub struct Wish {
    /// The connector.
    pub connector: String,
    change: Change,
}

#[derive(Debug, PartialEq)]
enum Change {
    Create(Config),
    Replace { to: Config, from: Option<Config> },
    Merge(Config),
    Remove,
    Enter(&'static str),
}

/// What the connector looks like afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// As it was to become.
    Applied,
    /// As if there had been no request, and sending it again does no harm.
    Untouched,
    /// Not as it was to become, for now or for good.
    Otherwise,
    /// Nobody can tell.
    Unreadable,
}

impl Wish {
    /// The wish of a request; `None` if its effect cannot be read back. `before` is the
    /// configuration that a replacement was made for.
    #[must_use]
    pub fn of(outbound: &Outbound, before: Option<&[u8]>) -> Option<Self> {
        let Payload::Held(body) = &outbound.payload else {
            return None;
        };
        let object = || serde_json::from_slice::<Config>(body).ok();
        let route = outbound.target.route;
        if outbound.method == Method::POST && route == Route::Connectors {
            let mut body = object()?;
            let Some(Value::String(connector)) = body.remove("name") else {
                return None;
            };
            let Some(Value::Object(config)) = body.remove("config") else {
                return None;
            };
            let change = Change::Create(plain(config));
            return Some(Self { connector, change });
        }
        let change = match (outbound.method.as_str(), route) {
            ("PUT", Route::Config) => Change::Replace {
                to: plain(object()?),
                from: before
                    .and_then(|before| serde_json::from_slice(before).ok())
                    .map(plain),
            },
            ("PATCH", Route::Config) => Change::Merge(plain(object()?)),
            ("DELETE", Route::Connector) => Change::Remove,
            ("PUT", Route::Pause) => Change::Enter("PAUSED"),
            ("PUT", Route::Resume) => Change::Enter("RUNNING"),
            ("PUT", Route::Stop) => Change::Enter("STOPPED"),
            _ => return None,
        };
        Some(Self {
            connector: outbound.target.connector()?.to_owned(),
            change,
        })
    }

    /// What to read.
    #[must_use]
    pub fn question(&self) -> Option<Target> {
        match self.change {
            Change::Create(_) | Change::Replace { .. } | Change::Merge(_) => {
                Some(Target::config_of(&self.connector))
            }
            Change::Remove => self.beside_config(""),
            Change::Enter(_) => self.beside_config("/status"),
        }
    }

    /// The connector itself, for the answer to a request that would have shown it.
    #[must_use]
    pub fn shown(&self) -> Option<Target> {
        match self.change {
            Change::Create(_) | Change::Replace { .. } | Change::Merge(_) => self.beside_config(""),
            Change::Remove | Change::Enter(_) => None,
        }
    }

    /// The status of the answer that got lost.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.change {
            Change::Create(_) => StatusCode::CREATED,
            Change::Replace { .. } | Change::Merge(_) => StatusCode::OK,
            Change::Remove | Change::Enter("STOPPED") => StatusCode::NO_CONTENT,
            Change::Enter(_) => StatusCode::ACCEPTED,
        }
    }

    /// Compares an answer to the question with what was wanted.
    #[must_use]
    pub fn judge(&self, status: StatusCode, body: &[u8]) -> Found {
        let object = || serde_json::from_slice::<Config>(body).ok();
        match (status, &self.change) {
            (StatusCode::NOT_FOUND, Change::Create(_)) => Found::Untouched,
            (StatusCode::NOT_FOUND, Change::Remove) => Found::Applied,
            (StatusCode::NOT_FOUND, _) | (StatusCode::OK, Change::Remove) => Found::Otherwise,
            (StatusCode::OK, change) => match object() {
                Some(found) => change.compare(found),
                None => Found::Unreadable,
            },
            _ => Found::Unreadable,
        }
    }

    fn beside_config(&self, ending: &str) -> Option<Target> {
        let config = Target::config_of(&self.connector).to_path_and_query();
        let path = config.strip_suffix("/config")?;
        Target::parse(&format!("{path}{ending}"), None).ok()
    }
}

impl Change {
    fn compare(&self, found: Config) -> Found {
        let applied = |applied| {
            if applied {
                Found::Applied
            } else {
                Found::Otherwise
            }
        };
        match self {
            Self::Create(config) => applied(plain(found) == *config),
            Self::Replace { to, from } => {
                let found = plain(found);
                if found == *to {
                    Found::Applied
                } else if from.as_ref() == Some(&found) {
                    Found::Untouched
                } else {
                    Found::Otherwise
                }
            }
            Self::Merge(patch) => {
                let found = plain(found);
                let has = |(key, value): (&String, &Value)| {
                    if value.is_null() {
                        !found.contains_key(key)
                    } else {
                        found.get(key) == Some(value)
                    }
                };
                applied(patch.iter().all(has))
            }
            Self::Enter(state) => {
                let now = found.get("connector").and_then(|one| one.get("state"));
                applied(now.is_some_and(|now| now == state))
            }
            Self::Remove => Found::Otherwise,
        }
    }
}

/// A configuration as the worker keeps it: texts, without the name that it adds itself. A tag that
/// an operator's connector does not have is left alone.
fn plain(config: Config) -> Config {
    let text = |(key, value): (String, Value)| {
        if value.is_boolean() || value.is_number() {
            (key, Value::String(value.to_string()))
        } else {
            (key, value)
        }
    };
    let keeps =
        |(key, value): &(String, Value)| key != "name" && !(key == OWNER_KEY && value.is_null());
    config.into_iter().map(text).filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    fn wish(method: &str, path: &str, body: &str, before: Option<&str>) -> Option<Wish> {
        let outbound = Outbound {
            method: method.parse().unwrap(),
            target: Target::parse(path, None).unwrap(),
            headers: HeaderMap::new(),
            payload: Payload::Held(body.to_owned().into()),
        };
        Wish::of(&outbound, before.map(str::as_bytes))
    }

    #[test]
    fn what_is_read_back_tells_what_became_of_a_request() {
        let config = r#"{"a":"1","n":2}"#;
        let create = r#"{"name":"x y","config":{"a":"1","n":2}}"#;
        let missing = r#"{"error_code":404,"message":"Connector x not found"}"#;
        let put = ("PUT", "/connectors/x/config", config);
        let rows = [
            (
                ("POST", "/connectors", create),
                404,
                missing,
                Found::Untouched,
            ),
            (
                ("POST", "/connectors", create),
                200,
                r#"{"a":"1","n":"2","name":"x y"}"#,
                Found::Applied,
            ),
            (
                ("POST", "/connectors", create),
                200,
                r#"{"a":"1","n":"2","b":""}"#,
                Found::Otherwise,
            ),
            (put, 200, r#"{"name":"x","n":"2","a":"1"}"#, Found::Applied),
            (put, 200, r#"{"name":"x","a":"0"}"#, Found::Untouched),
            (put, 200, r#"{"name":"x","a":"3"}"#, Found::Otherwise),
            (put, 404, missing, Found::Otherwise),
            (put, 503, "", Found::Unreadable),
            (put, 200, "[]", Found::Unreadable),
            (
                ("PATCH", "/connectors/x/config", r#"{"a":1,"b":null}"#),
                200,
                r#"{"a":"1","c":""}"#,
                Found::Applied,
            ),
            (
                ("PATCH", "/connectors/x/config", r#"{"a":1,"b":null}"#),
                200,
                r#"{"a":"1","b":""}"#,
                Found::Otherwise,
            ),
            (
                ("DELETE", "/connectors/x", ""),
                404,
                missing,
                Found::Applied,
            ),
            (
                ("DELETE", "/connectors/x", ""),
                200,
                r#"{"name":"x"}"#,
                Found::Otherwise,
            ),
            (
                ("PUT", "/connectors/x/pause", ""),
                200,
                r#"{"connector":{"state":"PAUSED"}}"#,
                Found::Applied,
            ),
            (
                ("PUT", "/connectors/x/pause", ""),
                200,
                r#"{"connector":{"state":"RUNNING"}}"#,
                Found::Otherwise,
            ),
            (
                ("PUT", "/connectors/x/stop", ""),
                200,
                r#"{"connector":{"state":"STOPPED"}}"#,
                Found::Applied,
            ),
        ];
        for ((method, path, body), status, found, expect) in rows {
            let before = Some(r#"{"name":"x","a":"0"}"#);
            let wish = wish(method, path, body, before).unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                wish.judge(status, found.as_bytes()),
                expect,
                "{method} {path} {found}"
            );
        }
        // Without what was there before, a replacement is never untouched.
        let unread = wish(put.0, put.1, put.2, None).unwrap();
        assert_eq!(
            unread.judge(StatusCode::OK, br#"{"a":"0"}"#),
            Found::Otherwise
        );
    }

    #[test]
    fn questions_name_the_connector() {
        let rows = [
            (
                "POST",
                "/connectors",
                r#"{"name":"x/ y","config":{}}"#,
                "/connectors/x%2F%20y/config",
            ),
            ("DELETE", "/connectors/x%20y", "", "/connectors/x%20y"),
            ("PUT", "/connectors/x/resume", "", "/connectors/x/status"),
        ];
        for (method, path, body, expect) in rows {
            let question = wish(method, path, body, None).unwrap().question();
            assert_eq!(question.unwrap().to_path_and_query(), expect);
        }
        for (method, path) in [
            ("POST", "/connectors/x/restart"),
            ("DELETE", "/connectors/x/offsets"),
            ("PUT", "/admin/loggers/root"),
        ] {
            assert_eq!(wish(method, path, "{}", None), None, "{path}");
        }
    }
}
