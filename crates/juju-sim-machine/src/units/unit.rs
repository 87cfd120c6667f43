//! A whole unit: its type, its relations to others, and the section of its type. Contract: systemd.unit(5).

use std::time::Duration;

use super::service::{ServiceConfig, ServiceType};
use super::syntax::Setting;
use super::triggers::{PathConfig, SocketConfig, TimerConfig};
use super::{Condition, Problem, UnitError, specifiers, value};

/// What is particular to the type of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Service(Box<ServiceConfig>),
    Socket(SocketConfig),
    Path(PathConfig),
    Timer(TimerConfig),
    Target,
}

/// Names of other units, by relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Relations {
    pub(crate) after: Vec<String>,
    pub(crate) before: Vec<String>,
    pub(crate) wants: Vec<String>,
    pub(crate) requires: Vec<String>,
    pub(crate) requisite: Vec<String>,
    pub(crate) binds_to: Vec<String>,
    pub(crate) part_of: Vec<String>,
    pub(crate) conflicts: Vec<String>,
    pub(crate) on_failure: Vec<String>,
    pub(crate) on_success: Vec<String>,
}

/// `[Install]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Install {
    pub(crate) wanted_by: Vec<String>,
    pub(crate) required_by: Vec<String>,
    pub(crate) alias: Vec<String>,
    pub(crate) also: Vec<String>,
    pub(crate) default_instance: Option<String>,
}

/// A unit as its files describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitConfig {
    pub(crate) description: String,
    pub(crate) relations: Relations,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) start_interval: Duration,
    pub(crate) start_burst: u32,
    pub(crate) refuse_manual_start: bool,
    pub(crate) refuse_manual_stop: bool,
    pub(crate) install: Install,
    pub(crate) kind: Kind,
}

/// The type of a unit, the part after the last dot.
pub(crate) fn type_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, kind)| kind)
}

/// The name without its type.
pub(crate) fn stem_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The name up to the `@`.
pub(crate) fn prefix_of(name: &str) -> &str {
    let stem = stem_of(name);
    stem.split_once('@').map_or(stem, |(prefix, _)| prefix)
}

/// What is between the `@` and the type; `None` when there is no `@`.
pub(crate) fn instance_of(name: &str) -> Option<&str> {
    stem_of(name).split_once('@').map(|(_, instance)| instance)
}

/// `a@b.service` is made from `a@.service`.
pub(crate) fn template_of(name: &str) -> Option<String> {
    instance_of(name)
        .filter(|instance| !instance.is_empty())
        .map(|_| format!("{}@.{}", prefix_of(name), type_of(name)))
}

impl UnitConfig {
    /// Interprets the settings of all files of a unit, in their order. `file` is the first of them.
    pub(super) fn build(name: &str, file: &str, settings: &[Setting]) -> Result<Self, UnitError> {
        let missing = |section: &str, key: &str, problem| UnitError {
            file: file.to_owned(),
            line: 1,
            section: section.to_owned(),
            key: key.to_owned(),
            problem,
        };
        let (own_section, kind) = match type_of(name) {
            "service" => ("Service", Kind::Service(Box::default())),
            "socket" => ("Socket", Kind::Socket(SocketConfig::default())),
            "path" => ("Path", Kind::Path(PathConfig::default())),
            "timer" => ("Timer", Kind::Timer(TimerConfig::default())),
            "target" => ("Target", Kind::Target),
            other => {
                return Err(missing(
                    "",
                    "",
                    Problem::ValueNotHonoured(format!(".{other} units")),
                ));
            }
        };
        let mut unit = Self {
            description: name.to_owned(),
            relations: Relations::default(),
            conditions: Vec::new(),
            start_interval: Duration::from_secs(10),
            start_burst: 5,
            refuse_manual_start: false,
            refuse_manual_stop: false,
            install: Install::default(),
            kind,
        };
        // In these, `%u` and `%h` are the manager's own, not those of `User=`.
        let expand = |text: &str| specifiers::expand(text, name, None);
        for setting in settings {
            let (key, text) = (setting.key.as_str(), setting.value.as_str());
            let outcome = match setting.section.as_str() {
                "Unit" => unit.apply(key, text, &expand),
                "Install" => unit.install.apply(key, text, &expand),
                section if section == own_section => match &mut unit.kind {
                    Kind::Service(service) => service.apply(key, text, &expand),
                    Kind::Socket(socket) => socket.apply(key, text, &expand),
                    Kind::Path(path) => path.apply(key, text, &expand),
                    Kind::Timer(timer) => timer.apply(key, text, &expand),
                    Kind::Target => Err(Problem::NotHonoured),
                },
                _ => Err(Problem::NotHonoured),
            };
            outcome.map_err(|problem| setting.refuse(problem))?;
        }
        if let Kind::Service(service) = &mut unit.kind {
            let runnable = !service.start.is_empty()
                || (service.kind == ServiceType::Oneshot && !service.stop.is_empty())
                || service.remain_after_exit;
            if !runnable {
                return Err(missing("Service", "ExecStart", Problem::Missing));
            }
            if service.kind != ServiceType::Oneshot && service.start.len() > 1 {
                let problem =
                    Problem::ValueNotHonoured("more than one, without Type=oneshot".into());
                return Err(missing("Service", "ExecStart", problem));
            }
            unit.relations.after.extend(service.sockets.iter().cloned());
            unit.relations.wants.extend(service.sockets.iter().cloned());
        }
        if let Some(triggered) = unit.triggers(name) {
            unit.relations.before.push(triggered);
        }
        Ok(unit)
    }

    fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        if let Some(condition) = Condition::parse(key, &expand(text)?) {
            if text.is_empty() {
                self.conditions.clear();
            } else {
                self.conditions.push(condition?);
            }
            return Ok(());
        }
        let relations = &mut self.relations;
        let names = match key {
            "After" => &mut relations.after,
            "Before" => &mut relations.before,
            "Wants" => &mut relations.wants,
            "Requires" => &mut relations.requires,
            "Requisite" => &mut relations.requisite,
            "BindsTo" => &mut relations.binds_to,
            "PartOf" => &mut relations.part_of,
            "Conflicts" => &mut relations.conflicts,
            "OnFailure" => &mut relations.on_failure,
            "OnSuccess" => &mut relations.on_success,
            "Description" => {
                self.description = expand(text)?;
                return Ok(());
            }
            "Documentation" => return Ok(()),
            // What default dependencies order a unit after (the system being up) always holds here.
            "DefaultDependencies" => return value::boolean(text).map(|_| ()),
            "StartLimitIntervalSec" | "StartLimitInterval" => {
                self.start_interval = value::span(text)?;
                return Ok(());
            }
            "StartLimitBurst" => {
                self.start_burst = value::integer(text)?;
                return Ok(());
            }
            "RefuseManualStart" => {
                self.refuse_manual_start = value::boolean(text)?;
                return Ok(());
            }
            "RefuseManualStop" => {
                self.refuse_manual_stop = value::boolean(text)?;
                return Ok(());
            }
            _ => return Err(Problem::NotHonoured),
        };
        // Dependencies add up and cannot be reset by an empty value; so it is in systemd.
        for word in text.split_whitespace() {
            names.push(expand(word)?);
        }
        Ok(())
    }

    /// The unit that this one starts, for sockets, paths and timers.
    pub(crate) fn triggers(&self, name: &str) -> Option<String> {
        let named = match &self.kind {
            Kind::Socket(socket) => &socket.service,
            Kind::Path(path) => &path.unit,
            Kind::Timer(timer) => &timer.unit,
            Kind::Service(_) | Kind::Target => return None,
        };
        Some(
            named
                .clone()
                .unwrap_or_else(|| format!("{}.service", stem_of(name))),
        )
    }

    pub(crate) fn service(&self) -> Option<&ServiceConfig> {
        match &self.kind {
            Kind::Service(service) => Some(service),
            Kind::Socket(_) | Kind::Path(_) | Kind::Timer(_) | Kind::Target => None,
        }
    }
}

impl Install {
    fn apply(
        &mut self,
        key: &str,
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        match key {
            "WantedBy" => super::exec::list(&mut self.wanted_by, text, expand),
            "RequiredBy" => super::exec::list(&mut self.required_by, text, expand),
            "Alias" => super::exec::list(&mut self.alias, text, expand),
            "Also" => super::exec::list(&mut self.also, text, expand),
            "DefaultInstance" => {
                self.default_instance = Some(expand(text)?);
                Ok(())
            }
            _ => Err(Problem::NotHonoured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UnitConfig;
    use crate::units::Problem;
    use crate::units::syntax::Setting;

    /// The keys of a section in the published list: words in backquotes that start with a capital letter.
    fn listed(section: &str) -> Vec<String> {
        let text = include_str!("../honoured-keys.md");
        let mut keys = Vec::new();
        for item in text.split("\n* ").skip(1) {
            let item = item.split("\n\n").next().unwrap_or_default();
            if item.starts_with(&format!("`[{section}]`")) {
                let words = item.split('`').skip(1).step_by(2).skip(1);
                keys.extend(
                    words
                        .filter(|word| word.starts_with(char::is_uppercase))
                        .map(String::from),
                );
            }
        }
        keys
    }

    #[test]
    fn every_published_key_is_known() {
        for (name, section, least) in [
            ("a.service", "Unit", 30),
            ("a.service", "Install", 5),
            ("a.service", "Service", 90),
            ("a.socket", "Socket", 15),
            ("a.path", "Path", 9),
            ("a.timer", "Timer", 10),
        ] {
            let keys = listed(section);
            assert!(keys.len() >= least, "{section} has {}", keys.len());
            for key in keys {
                let setting = Setting {
                    file: "f".into(),
                    line: 1,
                    section: section.into(),
                    key: key.clone(),
                    value: "?".into(),
                };
                let built = UnitConfig::build(name, "f", &[setting]);
                let known = !matches!(&built, Err(error) if error.problem == Problem::NotHonoured);
                assert!(known, "{section}.{key}");
            }
        }
    }
}
