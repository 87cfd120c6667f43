//! `systemctl list-units` and `list-unit-files`.

use super::unit::Active;
use super::{Manager, SPECIAL_TARGETS};
use crate::control::{Reply, Request};
use crate::units::{entries, type_of};

impl Manager {
    pub(super) fn list_units(&self, request: &Request, reply: &mut Reply) {
        let mut rows = Vec::new();
        for (name, unit) in &self.units {
            let loaded = unit.config().is_some();
            let shown = request.all || unit.active() != Active::Inactive;
            let typed =
                request.types.is_empty() || request.types.iter().any(|kind| kind == type_of(name));
            let stated = request.states.is_empty()
                || request
                    .states
                    .iter()
                    .any(|state| state == unit.active().name() || state == unit.sub_state());
            let named = request.units.is_empty()
                || request
                    .units
                    .iter()
                    .any(|pattern| matches_pattern(pattern, name));
            if shown && typed && stated && named {
                rows.push([
                    name.clone(),
                    if loaded || SPECIAL_TARGETS.contains(&name.as_str()) {
                        "loaded"
                    } else {
                        "not-found"
                    }
                    .to_owned(),
                    unit.active().name().to_owned(),
                    unit.sub_state().to_owned(),
                    unit.config()
                        .map_or(name.as_str(), |config| &config.description)
                        .to_owned(),
                ]);
            }
        }
        table(
            &["UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"],
            &rows,
            request,
            reply,
        );
        if !request.no_legend {
            reply.line(&format!("\n{} loaded units listed.", rows.len()));
        }
    }

    pub(super) fn list_unit_files(&self, request: &Request, reply: &mut Reply) {
        let mut names: Vec<String> = self
            .loader
            .directories()
            .flat_map(|directory| entries(&directory))
            .filter(|name| {
                matches!(
                    type_of(name),
                    "service" | "socket" | "path" | "timer" | "target"
                )
            })
            .collect();
        names.sort();
        names.dedup();
        let mut rows = Vec::new();
        for name in names {
            let typed =
                request.types.is_empty() || request.types.iter().any(|kind| kind == type_of(&name));
            let named = request.units.is_empty()
                || request
                    .units
                    .iter()
                    .any(|pattern| matches_pattern(pattern, &name));
            if typed && named {
                let state = self.file_state(&name).0.to_owned();
                rows.push([name, state, "-".to_owned()]);
            }
        }
        table(&["UNIT FILE", "STATE", "PRESET"], &rows, request, reply);
        if !request.no_legend {
            reply.line(&format!("\n{} unit files listed.", rows.len()));
        }
        if rows.is_empty() {
            reply.code = 1;
        }
    }
}

/// A name with `*` in it, or a whole name.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.trim_matches('*').len()
                && name.starts_with(start)
                && name.ends_with(end.trim_matches('*'))
        }
    }
}

fn table<const N: usize>(
    head: &[&str; N],
    rows: &[[String; N]],
    request: &Request,
    reply: &mut Reply,
) {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut print = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        reply.line(padded.join(" ").trim_end());
    };
    if !request.no_legend {
        print(&head.map(str::to_owned));
    }
    for row in rows {
        print(row);
    }
}
