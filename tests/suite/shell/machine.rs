//! A machine in a temporary directory, and what Juju knows of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const TOOLS: &[&str] = &[
    "action-fail",
    "action-get",
    "action-set",
    "application-version-set",
    "close-port",
    "config-get",
    "is-leader",
    "juju-log",
    "network-get",
    "open-port",
    "opened-ports",
    "relation-get",
    "relation-ids",
    "relation-list",
    "relation-set",
    "resource-get",
    "secret-add",
    "secret-get",
    "secret-grant",
    "secret-info-get",
    "secret-remove",
    "secret-set",
    "status-get",
    "status-set",
];
const PROGRAMS: &[&str] = &["apt-get", "systemctl", "useradd", "userdel"];

/// Where Juju puts the `kafka` resource.
pub(super) const KAFKA: &str = "resources/kafka/kafka.tgz";

/// What became of a hook.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) success: bool,
    pub(super) stderr: String,
}

pub(super) struct Machine {
    directory: tempfile::TempDir,
    /// Where the programs of the host are.
    programs: String,
}

impl Machine {
    /// A machine with a unit `kc/0` that leads, the peer relation, a Kafka that answered, and a
    /// `kafka` resource.
    pub(super) fn new() -> Self {
        let machine = Self::bare();
        machine.juju("leader", "true");
        machine.relate("workers", 1, "kc");
        machine.relate("kafka-client", 2, "kafka");
        let answer = json!({
            "endpoints": "10.0.0.1:9092",
            "secret-user": "secret:kafkauser",
        });
        machine.juju("relations/kafka-client:2/kafka.json", &answer.to_string());
        machine.juju(
            "shared/kafkauser",
            r#"{"username":"connect","password":"of-kafka"}"#,
        );
        let archive = machine.path(KAFKA);
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        pack(
            &archive,
            &[("kafka_2.13-4.1.2/libs/connect-runtime-4.1.2.jar", "jar")],
        );
        machine
    }

    /// A machine with a unit `kc/0` and nothing else.
    pub(super) fn bare() -> Self {
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
            programs: std::env::var("PATH").unwrap(),
        };
        for directory in [
            "juju/ids",
            "juju/relations",
            "tools",
            "charm/bin",
            "root/etc/systemd/system",
        ] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        machine.write("root/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        machine.write("root/etc/group", "root:x:0:\n");
        machine.write("charm/bin/kafka-connect-gateway", "the gateway");
        for (names, script) in [(TOOLS, "juju.sh"), (PROGRAMS, "host.sh")] {
            // Links: a program written here could be held open by another test's child and not be
            // run.
            let script = format!("{}/tests/suite/shell/{script}", env!("CARGO_MANIFEST_DIR"));
            for name in names {
                symlink(&script, machine.path("tools").join(name)).unwrap();
            }
        }
        machine
    }

    /// Hides the host's Java: of its programs only those stay that the scripts use.
    pub(super) fn without_java(mut self) -> Self {
        let directory = self.path("programs");
        fs::create_dir(&directory).unwrap();
        for name in [
            "awk", "basename", "cat", "cp", "dirname", "head", "mkdir", "rm", "sed", "sh", "stat",
            "touch", "tr", "wc",
        ] {
            let found = std::env::split_paths(&self.programs)
                .map(|directory| directory.join(name))
                .find(|path| path.exists());
            symlink(found.unwrap(), directory.join(name)).unwrap();
        }
        self.programs = directory.to_string_lossy().into_owned();
        self
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(super) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap_or_default()
    }

    /// Tells Juju something.
    pub(super) fn juju(&self, name: &str, text: &str) {
        self.write(&format!("juju/{name}"), text);
    }

    pub(super) fn remove(&self, below: &str) {
        fs::remove_dir_all(self.path(below))
            .or_else(|_| fs::remove_file(self.path(below)))
            .unwrap();
    }

    pub(super) fn relate(&self, endpoint: &str, id: u32, application: &str) {
        self.juju(
            &format!("relations/{endpoint}:{id}/application"),
            &format!("{application:?}\n"),
        );
        self.juju(
            &format!("ids/{endpoint}"),
            &json!([format!("{endpoint}:{id}")]).to_string(),
        );
    }

    /// A client that asked.
    pub(super) fn client(&self, id: u32, plugin: &str) {
        self.relate("connect-client", id, "app");
        let request = json!({
            "plugin-url": plugin,
            "requested-secrets": r#"["username","password"]"#,
        });
        self.juju(
            &format!("relations/connect-client:{id}/app.json"),
            &request.to_string(),
        );
    }

    /// Has Juju give back what the unit wrote into its peer databag, as it does once a hook is over.
    pub(super) fn keep_peer_databag(&self) {
        let mut bag = serde_json::Map::new();
        for line in self.read("juju/written").lines() {
            if let Some(text) = line.strip_prefix("workers:1 {")
                && let Ok(Value::Object(set)) = serde_json::from_str(&format!("{{{text}"))
            {
                bag.extend(set);
            }
        }
        assert!(!bag.is_empty(), "{}", self.read("juju/written"));
        self.juju("relations/workers:1/kc_0.json", &json!(bag).to_string());
    }

    pub(super) fn hook(&self, name: &str) -> Outcome {
        self.dispatch(&format!("hooks/{name}"), &[])
    }

    pub(super) fn dispatch(&self, path: &str, extra: &[(&str, &str)]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_kafka-connect-charm"))
            .env_clear()
            .env(
                "PATH",
                format!("{}:{}", self.path("tools").display(), self.programs),
            )
            .env("JUJU", self.path("juju"))
            .env("RESOURCES", self.path("resources"))
            .env("KAFKA_CONNECT_CHARM_ROOT", self.path("root"))
            .env("JUJU_CHARM_DIR", self.path("charm"))
            .env("JUJU_UNIT_NAME", "kc/0")
            .env("JUJU_MODEL_UUID", "11111111-2222-4333-8444-555555555555")
            .env("JUJU_DISPATCH_PATH", path)
            .envs(extra.iter().copied())
            .output()
            .unwrap();
        Outcome {
            success: output.status.success(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a hook that has to succeed, and returns the hook commands it ran.
    pub(super) fn good_hook(&self, name: &str) -> Vec<String> {
        let before = self.calls().len();
        let outcome = self.hook(name);
        assert!(outcome.success, "{name}: {}", outcome.stderr);
        self.calls().split_off(before)
    }

    pub(super) fn calls(&self) -> Vec<String> {
        lines(&self.read("juju/calls"))
    }

    pub(super) fn programs(&self) -> Vec<String> {
        lines(&self.read("root/programs"))
    }

    /// The status as `state: message`.
    pub(super) fn status(&self) -> String {
        let status: Value = serde_json::from_str(&self.read("juju/status")).unwrap();
        let text = |key: &str| status[key].as_str().unwrap().to_owned();
        format!("{}: {}", text("status"), text("message"))
    }

    /// Contents of every secret that was added.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut found = Vec::new();
        for label in children(&self.path("juju/secrets")) {
            for key in children(&label) {
                found.push(fs::read_to_string(key).unwrap());
            }
        }
        found
    }
}

pub(super) fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

/// Writes a tar.gz of executable files.
pub(super) fn pack(path: &Path, entries: &[(&str, &str)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}
