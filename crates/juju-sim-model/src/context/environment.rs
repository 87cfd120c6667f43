//! The environment of a charm's process: these variables and no others.
//!
//! Contract: `HookVars` and `env.go` of Juju's hook context.

use super::{HookContext, HookKind};
use crate::state::{Model, StorageKind};

/// What the machine and its agent add to the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The charm's directory, which is also the working directory.
    pub charm_dir: String,
    /// Path of the socket the hook tools connect to.
    pub socket: String,
    /// The directory of the hook tools: first in `PATH`.
    pub tools_dir: String,
    /// The rest of `PATH`.
    pub path: String,
    /// `host:port` of the controllers.
    pub api_addresses: Vec<String>,
}

impl HookContext {
    /// The environment, in a stable order.
    #[must_use]
    pub fn environment(&self, model: &Model, host: &Host) -> Vec<(String, String)> {
        let mut vars = proxies(model);
        let old = model.major() < 4;
        let unit = model.units.get(&self.unit);
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let hook = match self.spec.kind {
            HookKind::Action { .. } | HookKind::Exec { .. } => "",
            HookKind::Plain
            | HookKind::Relation(_)
            | HookKind::Secret { .. }
            | HookKind::Storage { .. } => &self.spec.name,
        };
        let setting = |key: &str| model.config.get(key).cloned().unwrap_or_default();
        let mut put = |name: &str, value: String| vars.push((name.to_owned(), value));
        put("CHARM_DIR", host.charm_dir.clone());
        put("JUJU_CHARM_DIR", host.charm_dir.clone());
        put("JUJU_CONTEXT_ID", self.spec.context_id.clone());
        put("JUJU_HOOK_NAME", hook.to_owned());
        put("JUJU_AGENT_SOCKET_ADDRESS", host.socket.clone());
        put("JUJU_AGENT_SOCKET_NETWORK", "unix".to_owned());
        put("JUJU_UNIT_NAME", self.unit.clone());
        put("JUJU_MODEL_UUID", model.uuid.clone());
        put("JUJU_MODEL_NAME", model.name.clone());
        put("JUJU_API_ADDRESSES", host.api_addresses.join(" "));
        if old {
            put("JUJU_SLA", "unsupported".to_owned());
        }
        put("JUJU_MACHINE_ID", text(unit.map(|unit| &unit.machine)));
        put(
            "JUJU_PRINCIPAL_UNIT",
            text(unit.and_then(|unit| unit.principal.as_ref())),
        );
        put(
            "JUJU_AVAILABILITY_ZONE",
            text(unit.map(|unit| &unit.availability_zone)),
        );
        put("JUJU_VERSION", model.version.clone());
        put("CLOUD_API_VERSION", String::new());
        put("JUJU_CHARM_HTTP_PROXY", setting("juju-http-proxy"));
        put("JUJU_CHARM_HTTPS_PROXY", setting("juju-https-proxy"));
        put("JUJU_CHARM_FTP_PROXY", setting("juju-ftp-proxy"));
        put("JUJU_CHARM_NO_PROXY", setting("juju-no-proxy"));
        if !old {
            for name in ["HTTP", "GRPC", "CA_CERT"] {
                put(&format!("JUJU_CHARM_TRACE_CONFIG_{name}"), String::new());
            }
        }
        self.particulars(model, &mut put);
        put("APT_LISTCHANGES_FRONTEND", "none".to_owned());
        put("DEBIAN_FRONTEND", "noninteractive".to_owned());
        put("LANG", "C.UTF-8".to_owned());
        put("TERM", "tmux-256color".to_owned());
        put("PATH", format!("{}:{}", host.tools_dir, host.path));
        vars
    }

    /// The variables of each kind of run.
    fn particulars(&self, model: &Model, put: &mut impl FnMut(&str, String)) {
        let spec = &self.spec;
        let dispatch = match spec.kind {
            HookKind::Exec { .. } => None,
            HookKind::Action { .. } => Some("actions"),
            HookKind::Plain
            | HookKind::Relation(_)
            | HookKind::Secret { .. }
            | HookKind::Storage { .. } => Some("hooks"),
        };
        if let Some(directory) = dispatch {
            put("JUJU_DISPATCH_PATH", format!("{directory}/{}", spec.name));
        }
        if let Some(id) = spec.relation().filter(|id| self.relations.contains_key(id)) {
            let endpoint = self.endpoint_name(model, id);
            put("JUJU_RELATION", endpoint.to_owned());
            put("JUJU_RELATION_ID", format!("{endpoint}:{id}"));
            put(
                "JUJU_REMOTE_UNIT",
                spec.remote_unit().unwrap_or_default().to_owned(),
            );
            put(
                "JUJU_REMOTE_APP",
                spec.remote_application().unwrap_or_default().to_owned(),
            );
        }
        match &spec.kind {
            HookKind::Relation(hook) => {
                if let Some(unit) = &hook.departing_unit {
                    put("JUJU_DEPARTING_UNIT", unit.clone());
                }
            }
            HookKind::Secret {
                uri,
                label,
                revision,
            } => {
                put("JUJU_SECRET_ID", uri.clone());
                put("JUJU_SECRET_LABEL", label.clone());
                if let Some(revision) = revision {
                    put("JUJU_SECRET_REVISION", revision.to_string());
                }
            }
            HookKind::Storage { id } => {
                let storage = model
                    .units
                    .get(&self.unit)
                    .map(|unit| unit.storage.as_slice());
                let instance = storage.unwrap_or_default().iter().find(|s| s.id == *id);
                if let Some(instance) = instance.filter(|instance| instance.error.is_none()) {
                    let kind = match instance.kind {
                        StorageKind::Filesystem => "filesystem",
                        StorageKind::Block => "block",
                    };
                    put("JUJU_STORAGE_ID", id.clone());
                    put("JUJU_STORAGE_LOCATION", instance.location.clone());
                    put("JUJU_STORAGE_KIND", kind.to_owned());
                }
            }
            HookKind::Action { id, name, .. } => {
                put("JUJU_ACTION_NAME", name.clone());
                put("JUJU_ACTION_UUID", id.clone());
                put("JUJU_ACTION_TAG", format!("action-{id}"));
            }
            HookKind::Plain | HookKind::Exec { .. } => {}
        }
    }
}

/// The old proxy settings, in both spellings, when they are set.
fn proxies(model: &Model) -> Vec<(String, String)> {
    let mut vars = Vec::new();
    for name in ["http-proxy", "https-proxy", "ftp-proxy", "no-proxy"] {
        if let Some(value) = model.config.get(name).filter(|value| !value.is_empty()) {
            let name = name.replace('-', "_");
            vars.push((name.clone(), value.clone()));
            vars.push((name.to_uppercase(), value.clone()));
        }
    }
    vars
}
