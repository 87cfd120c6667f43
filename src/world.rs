//! What a hook works with: Juju's commands, this machine's places, randomness.

use std::path::PathBuf;

use connect_core::layout::Layout;
use connect_core::plan::{State, Status};
use connect_plugins::Proxies;
use hook_tools::{Context, ToolError, Tools};

use crate::host::entropy::OsEntropy;

/// The real world, or that part of it that is below a root.
#[derive(Debug)]
pub struct World {
    /// Why we run, and for whom.
    pub context: Context,
    /// Juju's hook commands.
    pub tools: Tools,
    /// The machine's root; `/` but for tests.
    pub root: PathBuf,
    /// Where our things are.
    pub layout: Layout,
    /// Randomness.
    pub entropy: OsEntropy,
    /// The status as shown now, once it was asked for.
    shown: Option<(String, String)>,
}

impl World {
    /// A world for a hook on the machine below `root`.
    #[must_use]
    pub fn new(context: Context, root: PathBuf) -> Self {
        let layout = Layout::new(&root.to_string_lossy());
        Self {
            context,
            tools: Tools::new(),
            root,
            layout,
            entropy: OsEntropy,
            shown: None,
        }
    }

    /// Shows a status unless it is shown already: each change is a row in the model's history.
    /// Returns whether it was a change.
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn show(&mut self, status: &Status) -> Result<bool, ToolError> {
        let state = match status.state {
            State::Active => "active",
            State::Maintenance => "maintenance",
            State::Waiting => "waiting",
            State::Blocked => "blocked",
        };
        let shown = match self.shown.take() {
            Some(shown) => shown,
            None => self.tools.status()?,
        };
        let changed = shown.0 != state || shown.1 != status.message;
        if changed {
            self.tools.set_status(state, &status.message)?;
        }
        self.shown = Some((state.to_owned(), status.message.clone()));
        Ok(changed)
    }

    /// How to reach servers outside, as the model's configuration says.
    #[must_use]
    pub fn proxies(&self) -> Proxies {
        Proxies {
            http: self.context.http_proxy.clone(),
            https: self.context.https_proxy.clone(),
            no_proxy: self.context.no_proxy.clone(),
        }
    }

    /// The gateway program that came with this charm.
    #[must_use]
    pub fn packed_gateway(&self) -> PathBuf {
        self.context.charm_dir.join("bin/kafka-connect-gateway")
    }
}
