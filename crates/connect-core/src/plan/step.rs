//! What a step is called in the log, in a status and in a failure.

use super::{OnFailure, Step};

impl Step {
    /// One line naming the step and what it works on; no secret. A failure carries it, and the
    /// planner recognises a step that failed in this hook by it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::InstallPackages { packages } => {
                format!("install packages {}", packages.join(" "))
            }
            Self::InstallJre { directory, .. } => format!("unpack the jre resource as {directory}"),
            Self::CreateUser { name } => format!("create system user {name}"),
            Self::CreateDirectory { path, .. } => format!("prepare directory {path}"),
            Self::InstallWorkload { directory, .. } => format!("install Kafka as {directory}"),
            Self::InstallGateway { path, .. } => format!("install the gateway as {path}"),
            Self::FetchBundle { client, .. } => format!("fetch the plugin of client {client}"),
            Self::AdmitResource { .. } => "take the plugin of resource connect-plugin".to_owned(),
            Self::Sweep { path } => format!("sweep {path}"),
            Self::IssueCertificate {
                certificate_path, ..
            } => {
                format!("issue certificate {certificate_path}")
            }
            Self::WriteFile { path, .. } => format!("write {path}"),
            Self::RemoveFile { path } => format!("remove {path}"),
            Self::RetireBundle { digest } => format!("retire bundle {digest}"),
            Self::RestoreBundle { digest } => format!("restore bundle {digest}"),
            Self::RemoveBundle { digest } => format!("remove bundle {digest}"),
            Self::ReloadUnits => "reload systemd units".to_owned(),
            Self::EnableUnit { unit } => format!("enable {unit}"),
            Self::StartUnit { unit } => format!("start {unit}"),
            Self::RestartUnit { unit, .. } => format!("restart {unit}"),
            Self::StopUnit { unit, .. } => format!("stop {unit}"),
            Self::AwaitUsers { generation, .. } => format!("await users {generation}"),
            Self::AwaitClients => "let clients go to the other units".to_owned(),
            Self::DeleteConnector { name, .. } => format!("delete connector {name}"),
            Self::Leave => "leave this machine".to_owned(),
        }
    }

    /// Whether the step's failure stops the round or touches one client only.
    #[must_use]
    pub const fn on_failure(&self) -> OnFailure {
        match self {
            Self::FetchBundle { client, .. } | Self::DeleteConnector { client, .. } => {
                OnFailure::Isolate(*client)
            }
            Self::InstallPackages { .. }
            | Self::InstallJre { .. }
            | Self::CreateUser { .. }
            | Self::CreateDirectory { .. }
            | Self::InstallWorkload { .. }
            | Self::InstallGateway { .. }
            | Self::AdmitResource { .. }
            | Self::Sweep { .. }
            | Self::IssueCertificate { .. }
            | Self::WriteFile { .. }
            | Self::RemoveFile { .. }
            | Self::RetireBundle { .. }
            | Self::RestoreBundle { .. }
            | Self::RemoveBundle { .. }
            | Self::ReloadUnits
            | Self::EnableUnit { .. }
            | Self::StartUnit { .. }
            | Self::RestartUnit { .. }
            | Self::StopUnit { .. }
            | Self::AwaitUsers { .. }
            | Self::AwaitClients
            | Self::Leave => OnFailure::Abort,
        }
    }

    /// Whether it may take longer than a second or two, so that `maintenance` is shown first.
    #[must_use]
    pub const fn is_slow(&self) -> bool {
        matches!(
            self,
            Self::InstallPackages { .. }
                | Self::InstallJre { .. }
                | Self::InstallWorkload { .. }
                | Self::FetchBundle { .. }
                | Self::AdmitResource { .. }
                | Self::AwaitClients
        )
    }
}
