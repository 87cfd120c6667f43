//! Questions about units: `is-active`, `show`, `status` and the lists. Contract: systemctl(1).

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use super::unit::{Active, Exit, Load, Moment, Phase, Unit};
use super::{Manager, SPECIAL_TARGETS};
use crate::control::{Reply, Request};
use crate::units::ServiceConfig;

/// `EXIT_STATUS`: a number, or the name of a signal without `SIG`.
pub(super) fn exit_status_text(exit: Exit) -> String {
    match exit {
        Exit::Exited(code) => code.to_string(),
        Exit::Killed(number) | Exit::Dumped(number) => signal_name(number),
    }
}

fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number).map_or_else(
        |_| number.to_string(),
        |signal| signal.as_str().trim_start_matches("SIG").to_owned(),
    )
}

/// As the log has it: `1/FAILURE`, `9/KILL`.
pub(super) fn exit_status_words(exit: Exit) -> String {
    match exit {
        Exit::Exited(code) => {
            let word = match code {
                0 => "SUCCESS",
                1 => "FAILURE",
                200 => "CHDIR",
                203 => "EXEC",
                216 => "GROUP",
                217 => "USER",
                218 => "CAPABILITIES",
                226 => "NAMESPACE",
                233 => "RUNTIME_DIRECTORY",
                _ => "n/a",
            };
            format!("{code}/{word}")
        }
        Exit::Killed(number) | Exit::Dumped(number) => format!("{number}/{}", signal_name(number)),
    }
}

impl Manager {
    pub(super) fn answer(&mut self, request: &Request, reply: &mut Reply) {
        match request.verb.as_str() {
            "is-active" => self.is_state(request, reply, 3, Active::is_up),
            "is-failed" => self.is_state(request, reply, 1, |active| active == Active::Failed),
            "is-enabled" => {
                let mut any = false;
                let mut worst = 1;
                for name in &request.units {
                    let (state, code) = self.file_state(name);
                    any |= code == 0;
                    worst = worst.max(code);
                    if !request.quiet {
                        reply.line(state);
                    }
                }
                reply.code = if any { 0 } else { worst };
            }
            "is-system-running" => {
                let failed = self
                    .units
                    .values()
                    .any(|unit| unit.active() == Active::Failed);
                let (state, code) = match (self.shutdown, failed) {
                    (Some(_), _) => ("stopping", 1),
                    (None, true) => ("degraded", 1),
                    (None, false) => ("running", 0),
                };
                reply.code = code;
                if !request.quiet {
                    reply.line(state);
                }
            }
            "show" => self.show(request, reply),
            "status" => self.status(request, reply),
            "cat" => self.cat(request, reply),
            "list-units" => self.list_units(request, reply),
            "list-unit-files" => self.list_unit_files(request, reply),
            "get-default" => reply.line("multi-user.target"),
            verb => reply.fail(
                1,
                &format!("the systemctl stand-in does not know the verb `{verb}`"),
            ),
        }
    }

    pub(super) fn is_state(
        &mut self,
        request: &Request,
        reply: &mut Reply,
        otherwise: i32,
        good: impl Fn(Active) -> bool,
    ) {
        let mut any = false;
        let mut known = false;
        for given in &request.units {
            let name = self.loader.canonical(given);
            let unit = self.ensure(&name);
            let active = unit.active();
            known |= !matches!(unit.load, Load::Absent) || !active.is_down();
            any |= good(active);
            if !request.quiet {
                reply.line(active.name());
            }
        }
        reply.code = match (any, known || otherwise == 1) {
            (true, _) => 0,
            (false, true) => otherwise,
            (false, false) => 4,
        };
    }

    pub(super) fn show(&mut self, request: &Request, reply: &mut Reply) {
        if request.units.is_empty() {
            let all = [
                ("Version", "255 (stand-in)".to_owned()),
                ("SystemState", "running".to_owned()),
                ("NNames", self.units.len().to_string()),
                ("NJobs", self.jobs.len().to_string()),
            ];
            print_properties(&all, request, reply);
            return;
        }
        for (index, given) in request.units.iter().enumerate() {
            if index > 0 {
                reply.line("");
            }
            let name = self.loader.canonical(given);
            self.ensure(&name);
            let properties = self.properties(&name);
            print_properties(&properties, request, reply);
        }
    }

    /// The properties of a unit that this manager knows.
    pub(super) fn properties(&self, name: &str) -> Vec<(&'static str, String)> {
        let Some(unit) = self.units.get(name) else {
            return Vec::new();
        };
        let (load, fragment, problem) = match &unit.load {
            Load::Absent if SPECIAL_TARGETS.contains(&name) => ("loaded", None, None),
            Load::Absent => ("not-found", None, None),
            Load::Masked(path) => ("masked", Some(path), None),
            Load::Bad { fragment, reason } => {
                ("bad-setting", Some(fragment), Some(reason.as_str()))
            }
            Load::Loaded { fragment, .. } => ("loaded", Some(fragment), None),
        };
        let (state, _) = self.file_state(name);
        let config = unit.config();
        let relation = |pick: fn(&crate::units::Relations) -> &Vec<String>| {
            config
                .map(|config| pick(&config.relations).join(" "))
                .unwrap_or_default()
        };
        let mut all = vec![
            ("Id", name.to_owned()),
            ("Names", name.to_owned()),
            (
                "Description",
                config.map_or_else(|| name.to_owned(), |config| config.description.clone()),
            ),
            ("LoadState", load.to_owned()),
            ("LoadError", problem.unwrap_or_default().to_owned()),
            ("ActiveState", unit.active().name().to_owned()),
            ("SubState", unit.sub_state().to_owned()),
            ("Result", unit.outcome.name().to_owned()),
            (
                "FragmentPath",
                fragment
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            ),
            (
                "UnitFileState",
                if state == "not-found" {
                    String::new()
                } else {
                    state.to_owned()
                },
            ),
            ("InvocationID", unit.invocation.clone()),
            ("ConditionResult", yes_no(unit.condition_met)),
            ("NeedDaemonReload", "no".to_owned()),
            ("CanReload", yes_no(self.can_reload(name))),
            ("After", relation(|relations| &relations.after)),
            ("Before", relation(|relations| &relations.before)),
            ("Wants", relation(|relations| &relations.wants)),
            ("Requires", relation(|relations| &relations.requires)),
            ("BindsTo", relation(|relations| &relations.binds_to)),
            ("PartOf", relation(|relations| &relations.part_of)),
            ("Conflicts", relation(|relations| &relations.conflicts)),
        ];
        if let Load::Loaded { drop_ins, .. } = &unit.load {
            let paths: Vec<String> = drop_ins
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            all.push(("DropInPaths", paths.join(" ")));
        }
        add_moments(&mut all, unit);
        if let Some(service) = config.and_then(|config| config.service()) {
            add_service(&mut all, unit, service);
        }
        if let Some(target) = config.and_then(|config| config.triggers(name)) {
            all.push(("Unit", target.clone()));
            all.push(("Triggers", target));
            all.push(("LastTriggerUSec", timestamp(unit.last_trigger)));
        }
        let triggered_by: Vec<&str> = self
            .units
            .iter()
            .filter(|(other, unit)| {
                unit.config()
                    .and_then(|config| config.triggers(other))
                    .as_deref()
                    == Some(name)
            })
            .map(|(other, _)| other.as_str())
            .collect();
        all.push(("TriggeredBy", triggered_by.join(" ")));
        all
    }

    pub(super) fn status(&mut self, request: &Request, reply: &mut Reply) {
        let names = if request.units.is_empty() {
            self.units
                .iter()
                .filter(|(_, unit)| unit.config().is_some())
                .map(|(name, _)| name.clone())
                .collect()
        } else {
            request.units.clone()
        };
        let mut code = 0;
        for given in names {
            let name = self.loader.canonical(&given);
            let unit = self.ensure(&name);
            let active = unit.active();
            match &unit.load {
                Load::Absent if active.is_down() => {
                    reply.note(&format!("Unit {given} could not be found.\n"));
                    code = 4;
                    continue;
                }
                Load::Absent | Load::Masked(_) | Load::Bad { .. } | Load::Loaded { .. } => {}
            }
            if !active.is_up() && code == 0 && active != Active::Activating {
                code = 3;
            }
            self.describe(&name, reply);
        }
        reply.code = code;
    }

    pub(super) fn describe(&self, name: &str, reply: &mut Reply) {
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let (state, _) = self.file_state(name);
        let mark = match unit.active() {
            Active::Inactive | Active::Deactivating => "\u{25cb}",
            Active::Failed => "\u{d7}",
            Active::Activating | Active::Active | Active::Reloading => "\u{25cf}",
        };
        reply.line(&format!("{mark} {}", self.description(name)));
        let loaded = match &unit.load {
            Load::Absent => "not-found".to_owned(),
            Load::Masked(path) => format!("masked ({})", path.display()),
            Load::Bad { fragment, reason } => {
                format!("bad-setting ({}; {reason})", fragment.display())
            }
            Load::Loaded { fragment, .. } => format!("loaded ({}; {state})", fragment.display()),
        };
        reply.line(&format!("     Loaded: {loaded}"));
        let since = if unit.moments.change == Moment::default() {
            String::new()
        } else {
            format!(" since {}", timestamp(unit.moments.change))
        };
        let result = if unit.phase == Phase::Failed {
            format!("Result: {}", unit.outcome.name())
        } else {
            unit.sub_state().to_owned()
        };
        reply.line(&format!(
            "     Active: {} ({result}){since}",
            unit.active().name()
        ));
        if let Some(pid) = unit.main {
            reply.line(&format!(
                "   Main PID: {pid} ({})",
                super::process::name(pid)
            ));
        } else if let Some(exit) = unit.main_exit {
            let words = exit_status_words(exit);
            reply.line(&format!(
                "   Main PID: {} (code={}, status={words})",
                unit.last_main,
                exit.code_name()
            ));
        }
        if !unit.status_text.is_empty() {
            reply.line(&format!("     Status: \"{}\"", unit.status_text));
        }
        let file = crate::journal::file(std::path::Path::new(crate::root::STATE));
        let entries = crate::journal::read(&file).unwrap_or_default();
        let own: Vec<_> = entries.iter().filter(|entry| entry.unit == name).collect();
        if !own.is_empty() {
            reply.line("");
        }
        for entry in own.iter().skip(own.len().saturating_sub(10)) {
            reply.line(&crate::journal::short(entry));
        }
    }

    pub(super) fn cat(&mut self, request: &Request, reply: &mut Reply) {
        for given in &request.units {
            let name = self.loader.canonical(given);
            let files = match Load::from(self.loader.load(&name)) {
                Load::Absent => {
                    reply.fail(1, &format!("No files found for {given}."));
                    continue;
                }
                Load::Masked(fragment) | Load::Bad { fragment, .. } => vec![fragment],
                Load::Loaded {
                    fragment, drop_ins, ..
                } => std::iter::once(fragment).chain(drop_ins).collect(),
            };
            for file in files {
                reply.line(&format!("# {}", file.display()));
                reply
                    .out
                    .push_str(&fs::read_to_string(&file).unwrap_or_default());
                reply.line("");
            }
        }
    }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn timestamp(moment: Moment) -> String {
    if moment == Moment::default() {
        return String::new();
    }
    crate::journal::calendar(UNIX_EPOCH + Duration::from_micros(moment.realtime_us))
}

fn microseconds(span: Duration) -> String {
    if span == Duration::MAX {
        "infinity".into()
    } else {
        format!("{}us", span.as_micros())
    }
}

fn add_moments(all: &mut Vec<(&'static str, String)>, unit: &Unit) {
    let moments = unit.moments;
    for (plain, monotonic, moment) in [
        (
            "StateChangeTimestamp",
            "StateChangeTimestampMonotonic",
            moments.change,
        ),
        (
            "InactiveExitTimestamp",
            "InactiveExitTimestampMonotonic",
            moments.inactive_exit,
        ),
        (
            "ActiveEnterTimestamp",
            "ActiveEnterTimestampMonotonic",
            moments.active_enter,
        ),
        (
            "ActiveExitTimestamp",
            "ActiveExitTimestampMonotonic",
            moments.active_exit,
        ),
        (
            "InactiveEnterTimestamp",
            "InactiveEnterTimestampMonotonic",
            moments.inactive_enter,
        ),
    ] {
        all.push((plain, timestamp(moment)));
        all.push((monotonic, moment.monotonic_us.to_string()));
    }
}

fn add_service(all: &mut Vec<(&'static str, String)>, unit: &Unit, service: &ServiceConfig) {
    let (code, status) = unit.main_exit.map_or((0, 0), |exit| {
        let code = match exit {
            Exit::Exited(_) => 1,
            Exit::Killed(_) => 2,
            Exit::Dumped(_) => 3,
        };
        (code, exit.number())
    });
    let kind = format!("{:?}", service.kind)
        .to_lowercase()
        .replace("notifyreload", "notify-reload");
    all.extend([
        ("Type", kind),
        ("MainPID", unit.main.unwrap_or(0).to_string()),
        ("ControlPID", unit.control.unwrap_or(0).to_string()),
        ("ExecMainPID", unit.last_main.to_string()),
        ("ExecMainStartTimestamp", timestamp(unit.moments.main_start)),
        (
            "ExecMainStartTimestampMonotonic",
            unit.moments.main_start.monotonic_us.to_string(),
        ),
        ("ExecMainExitTimestamp", timestamp(unit.moments.main_exit)),
        (
            "ExecMainExitTimestampMonotonic",
            unit.moments.main_exit.monotonic_us.to_string(),
        ),
        ("ExecMainCode", code.to_string()),
        ("ExecMainStatus", status.to_string()),
        ("NRestarts", unit.restarts.to_string()),
        ("StatusText", unit.status_text.clone()),
        ("User", service.exec.user.clone().unwrap_or_default()),
        ("Group", service.exec.group.clone().unwrap_or_default()),
        ("RestartUSec", microseconds(service.restart_after)),
        ("TimeoutStartUSec", microseconds(service.start_limit())),
        ("TimeoutStopUSec", microseconds(service.timeout_stop)),
        ("RemainAfterExit", yes_no(service.remain_after_exit)),
    ]);
}

fn print_properties(all: &[(&'static str, String)], request: &Request, reply: &mut Reply) {
    let mut print = |name: &str, value: &str| {
        if request.value_only {
            reply.line(value);
        } else {
            reply.line(&format!("{name}={value}"));
        }
    };
    if request.properties.is_empty() {
        for (name, value) in all {
            print(name, value);
        }
    }
    // Those asked for, in the order of the request; unknown ones are left out, as systemctl does.
    for wanted in &request.properties {
        if let Some((name, value)) = all.iter().find(|(name, _)| name == wanted) {
            print(name, value);
        }
    }
}
