//! A plugin server for the clients of a model.

use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use super::model::Model;
use super::parts::Parts;

/// Serves the plugin in the model's network; ends with this value.
pub(super) struct PluginServer {
    process: Child,
    pub(super) url: String,
}

impl PluginServer {
    /// Serves a part.
    pub(super) fn start(model: &Model, parts: &Parts<'_>, plugin: &str) -> Result<Self> {
        let plugin = parts.get(plugin)?;
        let script = parts.path("bench/plugins.json")?;
        let behaviour = json!({"/plugin": {"do": "ok", "body": {"file": plugin}}});
        std::fs::write(&script, behaviour.to_string())
            .with_context(|| format!("cannot write {}", script.display()))?;
        let shown = model.run(&["network", "--", "ip", "-o", "-4", "addr", "show", "br0"])?;
        let address = shown
            .split_whitespace()
            .nth(3)
            .and_then(|text| text.split('/').next());
        let authority = format!(
            "{}:8000",
            address.context("the model's network has no address")?
        );
        let (server, script) = (
            parts.get("tools/testkit-server")?,
            script.display().to_string(),
        );
        // Ends with the command that started it: killing that one alone would leave it running.
        let tied = ["network", "--", "setpriv", "--pdeathsig", "KILL"];
        let process = model
            .command(&[&tied[..], &[&server, &script, &authority]].concat())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the plugin server")?;
        Ok(Self {
            process,
            url: format!("http://{authority}/plugin"),
        })
    }
}

impl Drop for PluginServer {
    fn drop(&mut self) {
        // It may have ended with an error of its own.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
