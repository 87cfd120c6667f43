//! HTTP basic credentials as a request carries them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// User name and password as a request carried them. Has no `Debug` on purpose.
pub struct Login {
    /// The name, up to the first colon.
    pub username: String,
    /// What follows it, colons included.
    pub password: String,
}

impl Login {
    /// Reads the one `Authorization` header, if it is a well-formed `Basic` one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn login(value: &str) -> Option<Login> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Login::of(&headers)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn only_one_well_formed_basic_header_is_a_login() {
        assert!(login(&basic("a:b").replace("Basic", "bAsIc")).is_some());
        for value in [
            "Basic %%%",
            "Basic",
            "Basic ",
            "Bearer YTpi",
            "YTpi",
            "Basic YTpi YTpi",
            "Basic /w==",
        ] {
            assert!(login(value).is_none(), "{value}");
        }
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(AUTHORIZATION, HeaderValue::from_str(&basic("a:b")).unwrap());
        }
        assert!(Login::of(&headers).is_none());
    }
}
