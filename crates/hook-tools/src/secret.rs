//! Juju secrets. Content goes in by files that only root can read, never by argument.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;

use crate::tools::{ToolError, Tools};

type Content = BTreeMap<String, String>;

/// How to name a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRef<'a> {
    /// By URI.
    Uri(&'a str),
    /// By a label of ours.
    Label(&'a str),
    /// By URI, and have it known by this label from now on.
    Labelled {
        /// URI.
        uri: &'a str,
        /// Label.
        label: &'a str,
    },
}

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOwner {
    /// The application's: all its units read it.
    Application,
    /// This unit's alone.
    Unit,
}

/// Which revision to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The one this unit tracks.
    Tracked,
    /// The latest, without tracking it.
    Peek,
    /// The latest, tracked from now on.
    Refresh,
}

/// What an owner may know of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// The id, without scheme or model.
    pub id: String,
    /// Latest revision.
    pub revision: u64,
}

/// Why a secret's content could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The content could not be put where the agent reads it.
    #[error("cannot hand the content of secret `{label}` to Juju")]
    HandOver {
        /// Owner label or URI.
        label: String,
        /// Reason.
        source: std::io::Error,
    },
    /// The tool failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

impl Tools {
    /// `secret-add`: creates a secret and returns its URI. Buffered until the hook exits 0; readable
    /// in this hook at once. The application's: leader only.
    ///
    /// # Errors
    ///
    /// Not the leader; a label that exists fails only when the hook ends.
    pub fn add_secret(
        &self,
        owner: SecretOwner,
        label: &str,
        description: &str,
        content: &Content,
    ) -> Result<String, SecretError> {
        let files = Files::new(label, content)?;
        let mut arguments = vec![
            "--owner",
            match owner {
                SecretOwner::Application => "application",
                SecretOwner::Unit => "unit",
            },
            "--label",
            label,
            "--description",
            description,
        ];
        arguments.extend(files.arguments.iter().map(String::as_str));
        let output = self.run("secret-add", &arguments, None)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// `secret-set`: replaces the content of a secret we own; a new revision unless it is the same.
    ///
    /// # Errors
    ///
    /// Juju's failure; a secret that is not ours fails only when the hook ends.
    pub fn set_secret(&self, uri: &str, content: &Content) -> Result<(), SecretError> {
        let files = Files::new(uri, content)?;
        let mut arguments = vec![uri];
        arguments.extend(files.arguments.iter().map(String::as_str));
        Ok(self.run("secret-set", &arguments, None).map(drop)?)
    }

    /// `secret-get`: the content.
    ///
    /// # Errors
    ///
    /// [`ToolError::NotFound`] and [`ToolError::Denied`] also stand for "not yet": a URI may be seen
    /// before its grant.
    pub fn secret(&self, which: SecretRef<'_>, revision: Revision) -> Result<Content, ToolError> {
        let mut arguments = match which {
            SecretRef::Uri(uri) => vec![uri],
            SecretRef::Label(label) => vec!["--label", label],
            SecretRef::Labelled { uri, label } => vec![uri, "--label", label],
        };
        match revision {
            Revision::Tracked => {}
            Revision::Peek => arguments.push("--peek"),
            Revision::Refresh => arguments.push("--refresh"),
        }
        self.json("secret-get", &arguments)
    }

    /// `secret-info-get --label`: for a secret we own (as leader, if it is the application's).
    ///
    /// # Errors
    ///
    /// [`ToolError::NotFound`] if there is none that we may see.
    pub fn secret_info(&self, label: &str) -> Result<SecretInfo, ToolError> {
        let infos: BTreeMap<String, serde_json::Value> =
            self.json("secret-info-get", &["--label", label])?;
        let found = infos.into_iter().next();
        let (id, info) = found.ok_or_else(|| ToolError::NotFound {
            tool: "secret-info-get".to_owned(),
            message: format!("secret {label:?} not found"),
        })?;
        let revision = info
            .get("revision")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        Ok(SecretInfo { id, revision })
    }

    /// `secret-grant`: lets the remote application of a relation read a secret; idempotent.
    ///
    /// # Errors
    ///
    /// The secret or the relation is not ours.
    pub fn grant_secret(&self, uri: &str, endpoint: &str, id: u32) -> Result<(), ToolError> {
        self.run(
            "secret-grant",
            &[uri, "-r", &format!("{endpoint}:{id}")],
            None,
        )
        .map(drop)
    }

    /// `secret-remove`: the whole secret, or one revision that nobody tracks any more.
    ///
    /// # Errors
    ///
    /// Juju's failure; a secret that is not ours fails only when the hook ends.
    pub fn remove_secret(&self, uri: &str, revision: Option<u64>) -> Result<(), ToolError> {
        let revision = revision.map(|revision| revision.to_string());
        let mut arguments = vec![uri];
        arguments.extend(
            revision
                .iter()
                .flat_map(|revision| ["--revision", revision.as_str()]),
        );
        self.run("secret-remove", &arguments, None).map(drop)
    }
}

/// Secret content in files (0600 in a directory of 0700), wiped from disk on drop.
struct Files {
    arguments: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Files {
    fn new(label: &str, content: &Content) -> Result<Self, SecretError> {
        let hand_over = |source| SecretError::HandOver {
            label: label.to_owned(),
            source,
        };
        let directory = tempfile::Builder::new()
            .prefix("secret-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(hand_over)?;
        let mut arguments = Vec::new();
        for (key, value) in content {
            let mut file = tempfile::Builder::new()
                .prefix(key)
                .tempfile_in(directory.path())
                .map_err(hand_over)?;
            file.write_all(value.as_bytes()).map_err(hand_over)?;
            // Removed with the directory.
            let (_, path) = file.keep().map_err(|error| hand_over(error.error))?;
            // Absolute: the unit agent opens the file, and it has another working directory.
            arguments.push(format!("{key}#file={}", path.display()));
        }
        Ok(Self {
            arguments,
            _directory: directory,
        })
    }
}
