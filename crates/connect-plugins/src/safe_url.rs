//! A URL that can be logged.

use std::fmt;

use url::Url;

/// The URL of a bundle. `Display` and `Debug` show scheme, host, port and path only: user name,
/// password, query and fragment may hold a credential and are left out.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(Url);

impl SafeUrl {
    /// Parses the text a client wrote.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the text itself (it may hold a password): not a
    /// URL, neither http nor https, or no host. The client's move.
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
        let safe = Self(url);
        safe.check()?;
        Ok(safe)
    }

    /// Whether bundles may be fetched from here at all.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !matches!(self.0.scheme(), "http" | "https") {
            return Err("it is neither http nor https");
        }
        if self.0.host_str().is_none_or(str::is_empty) {
            return Err("it has no host");
        }
        Ok(())
    }

    /// The whole URL, credentials included: for the HTTP client only.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }

    /// `host:port`, for messages.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl From<Url> for SafeUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default()
        )?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
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
        ] {
            assert_eq!(SafeUrl::parse(text), Err(reason), "{text}");
        }
    }
}
