//! Which connectors the options ask for. Pure: options in, connector configurations out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Options that do not make sense together; the operator's move.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum OptionError {
    #[error("option role must be source, sink, both or none, not `{0}`")]
    Role(String),
    #[error("option settings: line {line} is neither `key=value` nor a section")]
    Line { line: usize },
    #[error("option settings: unknown section `{0}`")]
    Section(String),
    #[error("option settings: no connector.class for the {0} connector")]
    NoClass(&'static str),
    #[error("option settings: `{0}` needs a related Kafka")]
    NoKafka(String),
}

/// The direction of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Source,
    Sink,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// The options that shape connectors, as Juju gives them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    pub(crate) role: &'a str,
    pub(crate) topics: &'a str,
    pub(crate) settings: &'a str,
}

/// What makes connector names unique: application, relation and model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'a> {
    pub(crate) application: &'a str,
    pub(crate) relation: u32,
    pub(crate) model_uuid: &'a str,
}

/// A connector to keep running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connector {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) config: Value,
}

impl Naming<'_> {
    /// The name of our connector with this role, as the published integrators build theirs.
    pub(crate) fn connector(&self, role: Role) -> String {
        let model = self.model_uuid.replace('-', "");
        format!(
            "{}_{}_r{}_{model}",
            role.name(),
            self.application,
            self.relation
        )
    }
}

/// The topics, for settings and for a status.
pub(crate) fn topics(options: &Options<'_>) -> Vec<String> {
    let topics = options
        .topics
        .split(',')
        .map(str::trim)
        .filter(|topic| !topic.is_empty());
    topics.map(str::to_owned).collect()
}

/// The roles to play.
pub(crate) fn roles(options: &Options<'_>) -> Result<Vec<Role>, OptionError> {
    match options.role {
        "source" => Ok(vec![Role::Source]),
        "sink" => Ok(vec![Role::Sink]),
        "both" => Ok(vec![Role::Source, Role::Sink]),
        "none" | "" => Ok(Vec::new()),
        other => Err(OptionError::Role(other.to_owned())),
    }
}

/// The connectors the options ask for. `kafka` holds what a related Kafka shared, for the
/// placeholders in the settings.
pub(crate) fn connectors(
    options: &Options<'_>,
    naming: &Naming<'_>,
    kafka: &BTreeMap<String, String>,
) -> Result<Vec<Connector>, OptionError> {
    let sections = sections(options.settings)?;
    let topics = topics(options);
    let mut connectors = Vec::new();
    for role in roles(options)? {
        let mut config = Map::new();
        match role {
            Role::Source => drop(
                topics
                    .first()
                    .map(|t| config.insert("topic".into(), t.as_str().into())),
            ),
            Role::Sink if topics.is_empty() => {}
            Role::Sink => drop(config.insert("topics".into(), topics.join(",").into())),
        }
        for section in ["", role.name()] {
            for (key, value) in sections.get(section).into_iter().flatten() {
                config.insert(key.clone(), substitute(value, kafka)?.into());
            }
        }
        if !config.contains_key("connector.class") {
            return Err(OptionError::NoClass(role.name()));
        }
        connectors.push(Connector {
            role,
            name: naming.connector(role),
            config: config.into(),
        });
    }
    Ok(connectors)
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

fn sections(settings: &str) -> Result<Sections, OptionError> {
    let mut sections = Sections::new();
    let mut current = String::new();
    for (index, line) in settings.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if !matches!(section, "source" | "sink") {
                return Err(OptionError::Section(section.to_owned()));
            }
            section.clone_into(&mut current);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(OptionError::Line { line: index + 1 });
        };
        let section = sections.entry(current.clone()).or_default();
        section.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(sections)
}

fn substitute(value: &str, kafka: &BTreeMap<String, String>) -> Result<String, OptionError> {
    const START: &str = "${kafka-client:";
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(START) {
        let Some((field, behind)) = after.split_once('}') else {
            break;
        };
        let known = kafka.get(field);
        let known = known.ok_or_else(|| OptionError::NoKafka(format!("{START}{field}}}")))?;
        out.push_str(before);
        out.push_str(known);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming<'static> = Naming {
        application: "files",
        relation: 10,
        model_uuid: "5a4c3b2a-1111-4222-8333-444455556666",
    };

    fn build(role: &str, topics: &str, settings: &str) -> Result<Vec<Connector>, OptionError> {
        let kafka = BTreeMap::from([("endpoints".to_owned(), "10.0.0.9:9092".to_owned())]);
        connectors(
            &Options {
                role,
                topics,
                settings,
            },
            &NAMING,
            &kafka,
        )
    }

    #[test]
    fn a_source_gets_one_topic_and_a_sink_all_of_them() {
        let settings =
            "tasks.max=1\n[source]\nconnector.class=S\nfile=/in\n[sink]\nconnector.class=K";
        let both = build("both", "orders, refunds", settings).unwrap();
        assert_eq!(
            both[0].name,
            "source_files_r10_5a4c3b2a111142228333444455556666"
        );
        assert_eq!(
            both[0].config,
            serde_json::json!({"topic": "orders", "tasks.max": "1", "connector.class": "S", "file": "/in"})
        );
        assert_eq!(
            both[1].config,
            serde_json::json!({"topics": "orders,refunds", "tasks.max": "1", "connector.class": "K"})
        );
    }

    #[test]
    fn settings_win_over_what_the_topics_option_implies() {
        let sink = build("sink", "a", "connector.class=K\ntopics.regex=x=y\ntopics=b").unwrap();
        assert_eq!(sink[0].config["topics"], "b");
        assert_eq!(sink[0].config["topics.regex"], "x=y");
    }

    #[test]
    fn no_role_means_no_connector_whatever_the_settings_say() {
        assert_eq!(build("none", "", "connector.class=K"), Ok(Vec::new()));
    }

    #[test]
    fn placeholders_stand_for_what_kafka_shared() {
        let settings = "connector.class=M\nbootstrap=${kafka-client:endpoints}/x";
        assert_eq!(
            build("source", "", settings).unwrap()[0].config["bootstrap"],
            "10.0.0.9:9092/x"
        );
        let missing = build(
            "source",
            "",
            "connector.class=M\np=${kafka-client:password}",
        );
        assert_eq!(
            missing,
            Err(OptionError::NoKafka("${kafka-client:password}".to_owned()))
        );
    }

    #[test]
    fn a_bad_option_is_named() {
        let rows = [
            (
                build("sinks", "", ""),
                "option role must be source, sink, both or none, not `sinks`",
            ),
            (
                build("sink", "", "tasks.max"),
                "option settings: line 1 is neither `key=value` nor a section",
            ),
            (
                build("sink", "", "[sinks]"),
                "option settings: unknown section `sinks`",
            ),
            (
                build("sink", "t", "a=b"),
                "option settings: no connector.class for the sink connector",
            ),
        ];
        for (result, expected) in rows {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
}
