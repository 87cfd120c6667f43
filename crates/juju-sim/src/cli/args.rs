//! What may be typed. Words and options are those of `juju`, so that habits carry over.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// A simulated Juju model that runs real charms in light machines.
#[derive(Debug, Parser)]
#[command(name = "juju-sim", disable_version_flag = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where the model lives.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) model_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Top,
}

/// Commands that need no model come first, the rest goes to the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum Top {
    /// Start an empty model.
    #[command(visible_alias = "bootstrap")]
    AddModel {
        #[arg(default_value = "sim")]
        name: String,
    },
    /// End the model: its processes, machines and files.
    #[command(visible_alias = "kill-controller")]
    DestroyModel {
        /// Keep the logs and the state for a look.
        #[arg(long)]
        keep_files: bool,
        #[arg(long, hide = true)]
        no_prompt: bool,
        #[arg(hide = true)]
        name: Option<String>,
    },
    /// Run a script in a fresh model and print the transcript.
    Script(Script),
    /// Answer hook-tool cases, one JSON object a line.
    HookTools,
    /// The Juju version that is imitated.
    Version,
    #[command(hide = true)]
    Daemon { name: Option<String> },
    /// Run a command of the host in the model's network.
    Network {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    #[command(flatten)]
    Model(Command),
}

#[derive(Args, Debug)]
pub(crate) struct Script {
    pub(crate) file: PathBuf,
    /// Compare the transcript with this file; differences are an error.
    #[arg(long, value_name = "FILE")]
    pub(crate) golden: Option<PathBuf>,
    /// Rewrite the golden file instead of comparing.
    #[arg(long, requires = "golden")]
    pub(crate) update: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Format {
    #[default]
    Tabular,
    Yaml,
    Json,
}

/// What the daemon does.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Deploy a charm directory or a .charm file.
    Deploy(Deploy),
    /// Add units to an application.
    AddUnit {
        application: String,
        #[arg(short = 'n', long, default_value_t = 1)]
        num_units: u32,
    },
    /// Remove units.
    RemoveUnit {
        #[arg(required = true)]
        units: Vec<String>,
        #[arg(long, hide = true)]
        no_prompt: bool,
    },
    /// Remove applications with their units and relations.
    RemoveApplication {
        #[arg(required = true)]
        applications: Vec<String>,
        #[arg(long, hide = true)]
        no_prompt: bool,
    },
    /// Relate two applications.
    #[command(visible_alias = "relate")]
    Integrate { first: String, second: String },
    /// Remove a relation, named by its two ends or by its id.
    RemoveRelation {
        first: String,
        second: Option<String>,
    },
    /// Show or change an application's options.
    Config {
        application: String,
        #[arg(value_name = "KEY | KEY=VALUE | KEY=@FILE")]
        settings: Vec<String>,
        #[arg(long, value_name = "KEY[,KEY]")]
        reset: Vec<String>,
        #[arg(long)]
        file: Option<PathBuf>,
        #[arg(long, default_value = "yaml")]
        format: Format,
    },
    /// Say that a unit is reached at another address: on one endpoint's binding, as if that were bound
    /// to a space of its own, or on all. The machine itself gets it by `ssh UNIT ip addr add`.
    Address {
        unit: String,
        address: std::net::IpAddr,
        #[arg(long, value_name = "ENDPOINT")]
        binding: Option<String>,
    },
    /// Replace a file resource.
    AttachResource {
        application: String,
        #[arg(value_name = "NAME=FILE")]
        resource: String,
    },
    /// Replace an application's charm.
    Refresh {
        application: String,
        #[arg(long)]
        path: PathBuf,
        #[arg(long, value_name = "NAME=FILE")]
        resource: Vec<String>,
    },
    /// Add a secret owned by the model.
    AddSecret {
        name: String,
        #[arg(required = true, value_name = "KEY[#file]=VALUE")]
        content: Vec<String>,
        #[arg(long, default_value = "")]
        info: String,
    },
    /// Change a secret owned by the model.
    UpdateSecret {
        secret: String,
        #[arg(value_name = "KEY[#file]=VALUE")]
        content: Vec<String>,
    },
    /// Let applications read a secret owned by the model.
    GrantSecret { secret: String, application: String },
    /// Take a grant back.
    RevokeSecret { secret: String, application: String },
    /// Remove a secret owned by the model.
    RemoveSecret {
        secret: String,
        #[arg(long)]
        revision: Option<u32>,
    },
    /// List secrets.
    #[command(visible_alias = "list-secrets")]
    Secrets {
        #[arg(long, default_value = "tabular")]
        format: Format,
    },
    /// Show one secret.
    ShowSecret {
        secret: String,
        #[arg(long)]
        reveal: bool,
        #[arg(long, short)]
        revision: Option<u32>,
        #[arg(long, default_value = "yaml")]
        format: Format,
    },
    /// Run an action and wait for its result.
    Run(Run),
    /// Run a command with the hook tools at hand.
    Exec(Exec),
    /// Run a command in a unit's machine, or open a shell there.
    Ssh {
        unit: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Show applications, units and integrations.
    Status {
        #[arg(long, default_value = "tabular")]
        format: Format,
        /// Show integrations.
        #[arg(long, visible_alias = "integrations")]
        relations: bool,
        /// Accepted for habit's sake; the simulated model has no storage table.
        #[arg(long, hide = true)]
        storage: bool,
    },
    /// Show units with their databags.
    ShowUnit {
        #[arg(required = true)]
        units: Vec<String>,
        #[arg(long, default_value = "yaml")]
        format: Format,
    },
    /// Show applications.
    ShowApplication {
        #[arg(required = true)]
        applications: Vec<String>,
        #[arg(long, default_value = "yaml")]
        format: Format,
    },
    /// Show the model's log.
    DebugLog {
        /// Only these units or applications.
        #[arg(long, short)]
        include: Vec<String>,
        /// Only this level and above.
        #[arg(long, short)]
        level: Option<String>,
        /// Only the last lines.
        #[arg(long, short = 'n')]
        lines: Option<usize>,
        /// From the beginning.
        #[arg(long)]
        replay: bool,
        /// Follow.
        #[arg(long)]
        tail: bool,
        #[arg(long, hide = true)]
        no_tail: bool,
    },
    /// Wait for a status, or until nothing is left to do.
    WaitFor(WaitFor),
    /// Show or change options of the model.
    ModelConfig {
        #[arg(value_name = "KEY | KEY=VALUE")]
        settings: Vec<String>,
        #[arg(long, value_name = "KEY")]
        reset: Vec<String>,
    },
    /// Retry a failed hook now.
    #[command(visible_alias = "resolve")]
    Resolved {
        #[arg(required = true)]
        units: Vec<String>,
        /// Take the hook as done.
        #[arg(long)]
        no_retry: bool,
    },
    /// Move leadership to a unit.
    Lead { unit: String },
    /// Plan one fault for a unit's next hook.
    Fault {
        unit: String,
        /// Kill the hook at its n-th tool call (`7`) or at the n-th call of a tool (`secret-add:1`).
        #[arg(
            long,
            value_name = "N | TOOL:N",
            required_unless_present = "lose_leadership"
        )]
        kill_at: Option<String>,
        /// Give leadership to another unit before the hook commits.
        #[arg(long)]
        lose_leadership: bool,
    },
    /// End the daemon, keep the state: the machines go, the next command starts them anew.
    #[command(hide = true)]
    Shutdown,
}

#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deploy {
    pub(crate) charm: PathBuf,
    pub(crate) application: Option<String>,
    #[arg(short = 'n', long, default_value_t = 1)]
    pub(crate) num_units: u32,
    /// An option (`key=value`, `key=@file`) or a YAML file of options.
    #[arg(long, value_name = "KEY=VALUE | FILE")]
    pub(crate) config: Vec<String>,
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) resource: Vec<String>,
    #[arg(long, value_name = "NAME=CONSTRAINT")]
    pub(crate) storage: Vec<String>,
    #[arg(long)]
    pub(crate) trust: bool,
    #[arg(long, hide = true)]
    pub(crate) channel: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) base: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) constraints: Vec<String>,
    /// Hide a path of the host from the application's machines.
    #[arg(long, value_name = "PATH")]
    pub(crate) hide: Vec<PathBuf>,
}

#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// A unit, or `application/leader`, or several units before the action's name.
    #[arg(required = true, value_name = "UNIT... ACTION [KEY=VALUE...]")]
    pub(crate) words: Vec<String>,
    #[arg(long)]
    pub(crate) params: Option<PathBuf>,
    #[arg(long, default_value = "tabular")]
    pub(crate) format: Format,
    #[arg(long, num_args = 0..=1, default_missing_value = "60s", require_equals = true)]
    pub(crate) wait: Option<String>,
    #[arg(long)]
    pub(crate) background: bool,
    #[arg(long, hide = true)]
    pub(crate) string_args: bool,
}

#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Exec {
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) unit: Vec<String>,
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) application: Vec<String>,
    #[arg(long)]
    pub(crate) all: bool,
    #[arg(long, default_value = "tabular")]
    pub(crate) format: Format,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    pub(crate) wait: Option<String>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WaitFor {
    /// A unit or an application; with `application`, `unit` before it as in juju.
    pub(crate) words: Vec<String>,
    /// The workload status; several separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// A part of the status message. `^` and `$` at its ends anchor it.
    #[arg(long)]
    pub(crate) message: Option<String>,
    /// Wait until every agent is idle and nothing is queued.
    #[arg(long)]
    pub(crate) idle: bool,
    /// Wait until the application or unit is gone.
    #[arg(long)]
    pub(crate) gone: bool,
    #[arg(long, default_value = "5m")]
    pub(crate) timeout: String,
}
