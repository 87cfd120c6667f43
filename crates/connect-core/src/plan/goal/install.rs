//! Programs that have to be there first: Java and Kafka.

use crate::fingerprint;
use crate::layout::Layout;
use crate::model::Model;
use crate::observation::{Observation, Reading, Resource};
use crate::plan::{Step, WorkloadSource};
use crate::status::{Finding, Id};

fn attached<'a>(seen: &'a Observation, name: &str) -> Option<&'a Resource> {
    seen.resources
        .get(name)
        .and_then(Reading::known)
        .filter(|resource| resource.bytes > 0)
}

fn installed_as(resource: &Resource) -> String {
    format!(
        "resource-{}",
        fingerprint::short(resource.identity.as_bytes())
    )
}

/// Java: the machine's, else of the resource, else of the distribution.
pub(super) fn java<'a>(
    seen: &'a Observation,
    layout: &Layout,
    install: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) -> Option<&'a str> {
    if let Some((path, _)) = &seen.host.java {
        return Some(path);
    }
    if let Some(Reading::Unreadable(fault)) = seen.resources.get("jre") {
        findings.push(Finding::new(
            Id::ResourceUnreadable,
            [("resource", "jre"), ("fault", fault)],
        ));
        return None;
    }
    if let Some(resource) = attached(seen, "jre") {
        let name = installed_as(resource);
        if seen.host.jres.contains(&name) {
            findings.push(Finding::bare(Id::JreUnusable));
            return None;
        }
        install.push(Step::InstallJre {
            archive: resource.path.clone(),
            directory: format!("{}/{name}", layout.jres()),
        });
    } else {
        install.push(Step::InstallPackages {
            packages: vec!["openjdk-17-jre-headless".to_owned()],
        });
    }
    findings.push(Finding::new(Id::Installing, [("what", "Java")]));
    None
}

/// The workload's directory and version: of the resource, else the pinned release.
pub(super) fn workload(
    model: &Model<'_>,
    layout: &Layout,
    install: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) -> Option<(String, String)> {
    let seen = model.seen;
    if let Some(Reading::Unreadable(fault)) = seen.resources.get("kafka") {
        findings.push(Finding::new(
            Id::ResourceUnreadable,
            [("resource", "kafka"), ("fault", fault)],
        ));
        return None;
    }
    let (name, source) = if let Some(resource) = attached(seen, "kafka") {
        (
            installed_as(resource),
            WorkloadSource::Resource {
                path: resource.path.clone(),
            },
        )
    } else {
        if !model.config_is_good() {
            return None;
        }
        let release = model.config.release;
        let name = format!("kafka_2.13-{}", release.version);
        let url = format!(
            "{}/{}/{name}.tgz",
            model.config.kafka_mirror, release.version
        );
        (
            name,
            WorkloadSource::Release {
                url,
                sha512: release.sha512.to_owned(),
            },
        )
    };
    let directory = format!("{}/{name}", layout.workloads());
    if let Some(version) = seen.host.workloads.get(&name) {
        return Some((directory, version.clone()));
    }
    findings.push(Finding::new(Id::Installing, [("what", "Kafka")]));
    install.push(Step::InstallWorkload { source, directory });
    None
}
