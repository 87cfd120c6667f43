//! The plugin resource, and the service that gives it to the workers.

use std::path::Path;
use std::process::Command;

use hook_tools::{Context, ToolError, Tools};

const RESOURCE: &str = "connect-plugin";
const SERVICE: &str = "connect-integrator-plugin.service";
const UNIT: &str = "/etc/systemd/system/connect-integrator-plugin.service";
const HOME: &str = "/var/lib/connect-integrator";
const PROGRAM: &str = "/var/lib/connect-integrator/connect-integrator";
const FILE: &str = "/var/lib/connect-integrator/plugin.tar";

/// Why the plugin is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("cannot get the plugin resource")]
    Resource(#[source] ToolError),
    #[error("cannot copy `{from}` to `{to}`")]
    Copy {
        from: String,
        to: String,
        source: std::io::Error,
    },
    #[error("cannot write `{path}`")]
    Write {
        path: String,
        source: std::io::Error,
    },
    #[error("cannot run systemctl {what}")]
    Systemctl {
        what: String,
        source: std::io::Error,
    },
    #[error("systemctl {what} failed: {message}")]
    Refused { what: String, message: String },
}

/// Serves the plugin resource on `port`; false if there is none (nothing attached, or an empty
/// file). Restarts the service only when the plugin, the program or the port changed.
pub(crate) fn serve(tools: &Tools, context: &Context, port: u16) -> Result<bool, PluginError> {
    let archive = match tools.resource(RESOURCE) {
        Ok(path) => path,
        Err(ToolError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(PluginError::Resource(error)),
    };
    if std::fs::metadata(&archive).map_or(0, |file| file.len()) == 0 {
        return Ok(false);
    }
    let write = |path: &str| {
        let path = path.to_owned();
        move |source| PluginError::Write { path, source }
    };
    std::fs::create_dir_all(HOME).map_err(write(HOME))?;
    let program = context.charm_dir.join("bin/connect-integrator");
    // Copies: a refreshed charm directory must not change a running program.
    let mut changed = copy(Path::new(&archive), FILE)?;
    changed |= copy(&program, PROGRAM)?;
    let unit = unit(port);
    if std::fs::read_to_string(UNIT).ok().as_deref() != Some(&unit) {
        std::fs::write(UNIT, unit).map_err(write(UNIT))?;
        systemctl(&["daemon-reload"])?;
        systemctl(&["enable", SERVICE])?;
        changed = true;
    }
    systemctl(&[if changed { "restart" } else { "start" }, SERVICE])?;
    Ok(true)
}

/// Stops serving; nothing to stop is fine.
pub(crate) fn leave() -> Result<(), PluginError> {
    if Path::new(UNIT).exists() {
        systemctl(&["disable", "--now", SERVICE])?;
        std::fs::remove_file(UNIT).map_err(|source| PluginError::Write {
            path: UNIT.to_owned(),
            source,
        })?;
        systemctl(&["daemon-reload"])?;
    }
    match std::fs::remove_dir_all(HOME) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(PluginError::Write {
            path: HOME.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn unit(port: u16) -> String {
    format!(
        "[Unit]
Description=Serves a connector plugin to Kafka Connect's workers
After=network-online.target

[Service]
Type=simple
ExecStart={PROGRAM} serve 0.0.0.0:{port} {FILE}
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"
    )
}

/// Copies by rename; false if the copy is there already (same size, not older).
fn copy(from: &Path, to: &str) -> Result<bool, PluginError> {
    let fail = |source| PluginError::Copy {
        from: from.display().to_string(),
        to: to.to_owned(),
        source,
    };
    let source = std::fs::metadata(from).map_err(fail)?;
    if let Ok(target) = std::fs::metadata(to) {
        let newer = source.modified().ok() > target.modified().ok();
        if target.len() == source.len() && !newer {
            return Ok(false);
        }
    }
    let aside = format!("{to}.new");
    std::fs::copy(from, &aside).map_err(fail)?;
    std::fs::rename(&aside, to).map_err(fail)?;
    Ok(true)
}

fn systemctl(arguments: &[&str]) -> Result<(), PluginError> {
    let what = arguments.join(" ");
    let output = Command::new("systemctl")
        .args(arguments)
        .output()
        .map_err(|source| PluginError::Systemctl {
            what: what.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PluginError::Refused { what, message })
}
