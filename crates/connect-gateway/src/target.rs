//! What a request is aimed at, decided on a parsed and normalised path.
//!
//! A path that two parsers could read differently is refused rather than guessed at; what is sent
//! on is written anew from the parsed segments, so the worker sees exactly what was judged.

/// Why a request target was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither a path nor a path with a query.
    #[error("cannot use a request target that is not a path")]
    NotAPath,
    /// `//` somewhere.
    #[error("cannot use a path with an empty segment")]
    EmptySegment,
    /// `.` or `..`, plain or encoded.
    #[error("cannot use a path with a dot segment")]
    DotSegment,
    /// `;`, plain or encoded.
    #[error("cannot use a path with matrix parameters")]
    Matrix,
    /// `/` or `\` inside a segment.
    #[error("cannot use a path with a separator inside a segment")]
    Separator,
    /// `%` without two hexadecimal digits, or not UTF-8 once decoded.
    #[error("cannot decode the percent-encoding of the request target")]
    Encoding,
    /// A control character.
    #[error("cannot use a path with a control character")]
    Control,
}

/// The REST routes of Kafka Connect 3.9 to 4.3.
///
/// **Contract:** the resource classes of Kafka Connect's REST server. An unknown path is
/// [`Route::Unknown`] and answered with 404 here: a route of a later release stays closed until
/// somebody has thought about who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/`
    Root,
    /// `/health`
    Health,
    /// `/connectors`
    Connectors,
    /// `/connectors/{connector}`
    Connector,
    /// `/connectors/{connector}/config`
    Config,
    /// `/connectors/{connector}/status`
    Status,
    /// `/connectors/{connector}/restart`
    Restart,
    /// `/connectors/{connector}/pause`
    Pause,
    /// `/connectors/{connector}/resume`
    Resume,
    /// `/connectors/{connector}/stop`
    Stop,
    /// `/connectors/{connector}/tasks`
    Tasks,
    /// `/connectors/{connector}/tasks-config`, up to 3.9
    TasksConfig,
    /// `/connectors/{connector}/tasks/{task}/status`
    TaskStatus,
    /// `/connectors/{connector}/tasks/{task}/restart`
    TaskRestart,
    /// `/connectors/{connector}/topics`
    Topics,
    /// `/connectors/{connector}/topics/reset`
    TopicsReset,
    /// `/connectors/{connector}/offsets`
    Offsets,
    /// `/connectors/{connector}/fence`, workers only
    Fence,
    /// `/connector-plugins`
    Plugins,
    /// `/connector-plugins/{plugin}/config`
    PluginConfig,
    /// `/connector-plugins/{plugin}/config/validate`
    Validate,
    /// `/admin/loggers`
    Loggers,
    /// `/admin/loggers/{logger}`
    Logger,
    /// Anything else.
    Unknown,
}

impl Route {
    /// Every route but [`Route::Unknown`].
    pub const ALL: [Self; 23] = [
        Self::Root,
        Self::Health,
        Self::Connectors,
        Self::Connector,
        Self::Config,
        Self::Status,
        Self::Restart,
        Self::Pause,
        Self::Resume,
        Self::Stop,
        Self::Tasks,
        Self::TasksConfig,
        Self::TaskStatus,
        Self::TaskRestart,
        Self::Topics,
        Self::TopicsReset,
        Self::Offsets,
        Self::Fence,
        Self::Plugins,
        Self::PluginConfig,
        Self::Validate,
        Self::Loggers,
        Self::Logger,
    ];

    /// The route as the documentation writes it; for logs and metrics.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Health => "/health",
            Self::Connectors => "/connectors",
            Self::Connector => "/connectors/{connector}",
            Self::Config => "/connectors/{connector}/config",
            Self::Status => "/connectors/{connector}/status",
            Self::Restart => "/connectors/{connector}/restart",
            Self::Pause => "/connectors/{connector}/pause",
            Self::Resume => "/connectors/{connector}/resume",
            Self::Stop => "/connectors/{connector}/stop",
            Self::Tasks => "/connectors/{connector}/tasks",
            Self::TasksConfig => "/connectors/{connector}/tasks-config",
            Self::TaskStatus => "/connectors/{connector}/tasks/{task}/status",
            Self::TaskRestart => "/connectors/{connector}/tasks/{task}/restart",
            Self::Topics => "/connectors/{connector}/topics",
            Self::TopicsReset => "/connectors/{connector}/topics/reset",
            Self::Offsets => "/connectors/{connector}/offsets",
            Self::Fence => "/connectors/{connector}/fence",
            Self::Plugins => "/connector-plugins",
            Self::PluginConfig => "/connector-plugins/{plugin}/config",
            Self::Validate => "/connector-plugins/{plugin}/config/validate",
            Self::Loggers => "/admin/loggers",
            Self::Logger => "/admin/loggers/{logger}",
            Self::Unknown => "unknown",
        }
    }

    fn of(segments: &[&str]) -> Self {
        match segments {
            [] => Self::Root,
            ["health"] => Self::Health,
            ["connectors"] => Self::Connectors,
            ["connectors", _] => Self::Connector,
            ["connectors", _, "config"] => Self::Config,
            ["connectors", _, "status"] => Self::Status,
            ["connectors", _, "restart"] => Self::Restart,
            ["connectors", _, "pause"] => Self::Pause,
            ["connectors", _, "resume"] => Self::Resume,
            ["connectors", _, "stop"] => Self::Stop,
            ["connectors", _, "tasks"] => Self::Tasks,
            ["connectors", _, "tasks-config"] => Self::TasksConfig,
            ["connectors", _, "tasks", _, "status"] => Self::TaskStatus,
            ["connectors", _, "tasks", _, "restart"] => Self::TaskRestart,
            ["connectors", _, "topics"] => Self::Topics,
            ["connectors", _, "topics", "reset"] => Self::TopicsReset,
            ["connectors", _, "offsets"] => Self::Offsets,
            ["connectors", _, "fence"] => Self::Fence,
            ["connector-plugins"] => Self::Plugins,
            ["connector-plugins", _, "config"] => Self::PluginConfig,
            ["connector-plugins", _, "config", "validate"] => Self::Validate,
            ["admin", "loggers"] => Self::Loggers,
            ["admin", "loggers", _] => Self::Logger,
            _ => Self::Unknown,
        }
    }
}

/// What a list of connectors says of each, besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expand {
    /// Its configuration and tasks.
    pub info: bool,
    /// Its state and its tasks'.
    pub status: bool,
}

/// A parsed request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub route: Route,
    segments: Vec<String>,
    query: Option<String>,
    forward: bool,
}

impl Target {
    /// Parses a path and query as they stand in the request line.
    ///
    /// # Errors
    /// [`TargetError`] for anything ambiguous; the caller answers 400.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, TargetError> {
        let rest = path.strip_prefix('/').ok_or(TargetError::NotAPath)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = Vec::new();
        if rest.is_empty() {
            // `//` is not the root.
            if path.len() > 1 {
                return Err(TargetError::EmptySegment);
            }
        } else {
            for raw in rest.split('/') {
                segments.push(segment(raw)?);
            }
        }
        let mut forward = false;
        for pair in query.unwrap_or_default().split(['&', ';']) {
            let key = pair.split('=').next().unwrap_or_default();
            let key = decode(&key.replace('+', " "))?;
            forward |= key.trim().eq_ignore_ascii_case("forward");
        }
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        Ok(Self {
            route: Route::of(&names),
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
            forward,
            segments,
        })
    }

    /// A connector's configuration, for requests of the gateway's own.
    #[must_use]
    pub fn config_of(connector: &str) -> Self {
        Self {
            route: Route::Config,
            segments: vec!["connectors".into(), connector.into(), "config".into()],
            query: None,
            forward: false,
        }
    }

    /// The list of connectors, for requests of the gateway's own.
    #[must_use]
    pub fn connectors() -> Self {
        Self {
            route: Route::Connectors,
            segments: vec!["connectors".into()],
            query: None,
            forward: false,
        }
    }

    /// The list of connectors with what is wanted of each, for requests of the gateway's own.
    #[must_use]
    pub fn listing(expand: Expand) -> Self {
        let wanted = [
            (expand.info, "expand=info"),
            (expand.status, "expand=status"),
        ];
        let wanted: Vec<&str> = wanted
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, of)| *of)
            .collect();
        Self {
            query: Some(wanted.join("&")).filter(|query| !query.is_empty()),
            ..Self::connectors()
        }
    }

    /// What the query wants of each connector in a list: none without the parameter `expand`,
    /// neither for values that mean nothing.
    #[must_use]
    pub fn expand(&self) -> Option<Expand> {
        let text = |raw: &str| decode(&raw.replace('+', " ")).unwrap_or_default();
        let pairs = self.query.as_deref().unwrap_or_default().split('&');
        let mut found = None;
        for pair in pairs {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if text(key) == "expand" {
                let value = text(value);
                let none = Expand {
                    info: false,
                    status: false,
                };
                let expand = found.get_or_insert(none);
                expand.info |= value == "info";
                expand.status |= value == "status";
            }
        }
        found
    }

    /// The connector that the path names.
    #[must_use]
    pub fn connector(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [first, name, ..] if first == "connectors" => Some(name),
            _ => None,
        }
    }

    /// Whether the query has the parameter with which workers mark a forwarded request.
    #[must_use]
    pub fn forward(&self) -> bool {
        self.forward
    }

    /// The path, written anew, and the query as it came.
    #[must_use]
    pub fn to_path_and_query(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            for byte in segment.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    text.push('%');
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                    }
                }
            }
        }
        if text.is_empty() {
            text.push('/');
        }
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query);
        }
        text
    }
}

fn segment(raw: &str) -> Result<String, TargetError> {
    if raw.is_empty() {
        return Err(TargetError::EmptySegment);
    }
    let text = decode(raw)?;
    if text == "." || text == ".." {
        return Err(TargetError::DotSegment);
    }
    for character in text.chars() {
        match character {
            '/' | '\\' => return Err(TargetError::Separator),
            ';' => return Err(TargetError::Matrix),
            other if other.is_control() => return Err(TargetError::Control),
            _ => {}
        }
    }
    Ok(text)
}

fn decode(raw: &str) -> Result<String, TargetError> {
    let mut bytes = raw.bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = bytes.next().and_then(hex).ok_or(TargetError::Encoding)?;
            let low = bytes.next().and_then(hex).ok_or(TargetError::Encoding)?;
            decoded.push(high * 16 + low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| TargetError::Encoding)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_one_way_only() {
        use TargetError as E;
        type Row<'a> = (&'a str, Result<(Route, &'a str), E>);
        let rows: &[Row<'_>] = &[
            ("/", Ok((Route::Root, "/"))),
            ("/connectors", Ok((Route::Connectors, "/connectors"))),
            ("/connectors/", Ok((Route::Connectors, "/connectors"))),
            ("/%63onnectors", Ok((Route::Connectors, "/connectors"))),
            (
                "/connectors/a%20b",
                Ok((Route::Connector, "/connectors/a%20b")),
            ),
            (
                "/connectors/%C3%A4/status",
                Ok((Route::Status, "/connectors/%C3%A4/status")),
            ),
            (
                "/connectors/a/%74asks",
                Ok((Route::Tasks, "/connectors/a/tasks")),
            ),
            (
                "/connectors/100%25",
                Ok((Route::Connector, "/connectors/100%25")),
            ),
            ("/connectors/...", Ok((Route::Connector, "/connectors/..."))),
            ("/connectors/a?", Ok((Route::Connector, "/connectors/a%3F"))),
            ("/nothing/here", Ok((Route::Unknown, "/nothing/here"))),
            ("//", Err(E::EmptySegment)),
            ("//connectors", Err(E::EmptySegment)),
            ("/connectors//config", Err(E::EmptySegment)),
            ("/connectors//", Err(E::EmptySegment)),
            ("/connectors/./a", Err(E::DotSegment)),
            ("/connectors/..", Err(E::DotSegment)),
            ("/connectors/%2e%2E/health", Err(E::DotSegment)),
            ("/connectors/.%2e", Err(E::DotSegment)),
            ("/connectors/a;b=c", Err(E::Matrix)),
            ("/connectors/a/tasks;a=b", Err(E::Matrix)),
            ("/connectors/a%3Bb", Err(E::Matrix)),
            ("/connectors/a%2Fb", Err(E::Separator)),
            ("/connectors/a%5cb", Err(E::Separator)),
            ("/connectors/a\\b", Err(E::Separator)),
            ("/connectors/a%0d%0a", Err(E::Control)),
            ("/connectors/a%00", Err(E::Control)),
            ("/connectors/a%C2%85", Err(E::Control)),
            ("/connectors/%", Err(E::Encoding)),
            ("/connectors/%g0", Err(E::Encoding)),
            ("/connectors/%ff", Err(E::Encoding)),
            ("*", Err(E::NotAPath)),
            ("", Err(E::NotAPath)),
        ];
        for (path, expect) in rows {
            let found = Target::parse(path, None).map(|t| (t.route, t.to_path_and_query()));
            let expect = expect.map(|(route, text)| (route, text.to_owned()));
            assert_eq!(found, expect, "{path}");
        }
    }

    #[test]
    fn the_forward_parameter_is_found_however_it_is_spelled() {
        let rows = [
            ("forward=true", true),
            ("forward", true),
            ("a=b&forward=false", true),
            ("a=b;forward=false", true),
            ("%66orward=1", true),
            ("+forward+=1", true),
            ("Forward=1", true),
            ("includeTasks=true&onlyFailed=false", false),
            ("forwarded=1", false),
            ("a=forward", false),
            ("", false),
        ];
        for (query, expect) in rows {
            let target = Target::parse("/connectors/a/restart", Some(query)).unwrap();
            assert_eq!(target.forward(), expect, "{query}");
        }
        assert_eq!(
            Target::parse("/connectors", Some("a=%zz")).map(|_| ()),
            Ok(()),
            "values are the worker's affair"
        );
        assert_eq!(
            Target::parse("/connectors", Some("%zz=1")),
            Err(TargetError::Encoding)
        );
    }

    #[test]
    fn a_list_is_expanded_as_asked() {
        let rows = [
            ("", None),
            ("expanded=info", None),
            ("Expand=info", None),
            ("expand", Some((false, false))),
            ("expand=Info", Some((false, false))),
            ("expand=info", Some((true, false))),
            ("a=b&%65xpand=%69nfo", Some((true, false))),
            ("expand=status&expand=info&expand=x", Some((true, true))),
            ("expand=status;expand=info", Some((false, false))),
            ("expand=%zz&expand=status", Some((false, true))),
        ];
        for (query, expect) in rows {
            let target = Target::parse("/connectors", Some(query)).unwrap();
            let expect = expect.map(|(info, status)| Expand { info, status });
            assert_eq!(target.expand(), expect, "{query}");
            if let Some(expand) = expect {
                let target = Target::listing(expand);
                let none = !(expand.info || expand.status);
                assert_eq!(target.expand(), expect.filter(|_| !none), "{query}");
            }
        }
    }

    #[test]
    fn a_query_is_kept_and_a_connector_is_named() {
        let target = Target::parse("/connectors/x/restart/", Some("includeTasks=true")).unwrap();
        assert_eq!(
            target.to_path_and_query(),
            "/connectors/x/restart?includeTasks=true"
        );
        assert_eq!(target.connector(), Some("x"));
        let target = Target::parse("/connector-plugins/x/config", None).unwrap();
        assert_eq!(target.connector(), None);
    }
}
