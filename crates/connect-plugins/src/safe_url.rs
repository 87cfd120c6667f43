//! A URL that can be logged.

use std::fmt;

use url::Url;

use crate::digest::Digest;

/// The URL of a bundle. `Display` and `Debug` show scheme, host, port and path only: user name,
/// password, query and fragment may hold a credential and are left out.
///
/// A fragment `#sha256=<64 hex digits>` pins the content: nothing else is taken from there.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl {
    url: Url,
    pin: Option<Digest>,
}

impl SafeUrl {
    /// Parses the text a client wrote.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the text itself (it may hold a password): not a
    /// URL, neither http nor https, no host, or a pin that is no digest. The client's move.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign enum that may grow"
        )]
        let url = Url::parse(text.trim()).map_err(|error| match error {
            url::ParseError::EmptyHost => "it has no host",
            url::ParseError::InvalidPort => "its port is not a number up to 65535",
            url::ParseError::RelativeUrlWithoutBase => "it does not start with http:// or https://",
            _ => "it is not a URL",
        })?;
        let pin = match url.fragment().and_then(|it| it.strip_prefix("sha256")) {
            None => None,
            Some(rest) => Some(
                rest.trim_start_matches('=')
                    .to_ascii_lowercase()
                    .parse()
                    .map_err(|_| "its #sha256= is not followed by 64 hex digits")?,
            ),
        };
        let safe = Self { url, pin };
        safe.check()?;
        Ok(safe)
    }

    /// The digest that the URL asks for.
    #[must_use]
    pub fn pin(&self) -> Option<&Digest> {
        self.pin.as_ref()
    }

    /// The host's name or address, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether bundles may be fetched from here at all.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err("it is neither http nor https");
        }
        if self.url.host_str().is_none_or(str::is_empty) {
            return Err("it has no host");
        }
        Ok(())
    }

    /// The whole URL, credentials included: for the HTTP client only.
    pub(crate) fn expose(&self) -> &Url {
        &self.url
    }

    /// `host:port`, for messages.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl From<Url> for SafeUrl {
    fn from(url: Url) -> Self {
        Self { url, pin: None }
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.url.scheme(),
            self.url.host_str().unwrap_or_default()
        )?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::SafeUrl;

    #[test]
    fn a_url_never_shows_its_credentials() {
        let url =
            SafeUrl::parse("https://bob:hunter2@h.example:8443/p/x.tar?token=abc#frag").unwrap();
        for shown in [format!("{url}"), format!("{url:?}"), url.authority()] {
            for secret in ["bob", "hunter2", "token", "abc", "frag"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
        assert_eq!(url.to_string(), "https://h.example:8443/p/x.tar");
    }

    #[test]
    fn a_pin_is_taken_from_the_fragment() {
        let pin = "A1".repeat(32);
        let url = SafeUrl::parse(&format!("http://h/x#sha256={pin}")).unwrap();
        assert_eq!(url.pin().unwrap().as_str(), "a1".repeat(32));
        assert_eq!(SafeUrl::parse("http://h/x#top").unwrap().pin(), None);
    }

    #[test]
    fn what_is_not_a_fetchable_url_is_named() {
        for (text, reason) in [
            ("", "it does not start with http:// or https://"),
            ("plugin.tar", "it does not start with http:// or https://"),
            ("ftp://h/x.tar", "it is neither http nor https"),
            ("file:///etc/passwd", "it is neither http nor https"),
            ("http://:8080/api/v1/plugin", "it has no host"),
            ("http://", "it has no host"),
            ("http://h:99999/", "its port is not a number up to 65535"),
            ("http://h h/", "it is not a URL"),
            (
                "http://h/x#sha256=12",
                "its #sha256= is not followed by 64 hex digits",
            ),
        ] {
            assert_eq!(SafeUrl::parse(text), Err(reason), "{text}");
        }
    }
}
