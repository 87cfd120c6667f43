//! A simulated model of one scenario, driven through the command line that users have.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(super) use super::log::Status;
use super::log::{self, Run};

/// How long anything may take that is not waiting for a limit of the charm's own. Generous, for only
/// a failure waits for its end; but less than the five minutes after which `update-status` would make
/// up for a wake-up that never came.
pub(super) const SOON: Duration = Duration::from_secs(180);

/// By how much longer everything may take here: `TEST_PATIENCE`, for machines that do much else.
fn patience() -> u32 {
    let set = std::env::var("TEST_PATIENCE").ok();
    set.map_or(1, |text| text.parse().unwrap())
}

/// Reads what the client of our fixtures was given, so that no password is in an argument.
const REST: &str = r#"
import base64, json, sys, urllib.error, urllib.request
method, endpoint, path, body = sys.argv[1:]
given = json.load(open("/var/lib/client/given.json"))
token = base64.b64encode(f"{given['username']}:{given['password']}".encode()).decode()
headers = {"Authorization": "Basic " + token, "Content-Type": "application/json"}
url = given["endpoints"].split(",")[int(endpoint)] + path
request = urllib.request.Request(url, body.encode() or None, headers, method=method)
try:
    reply = urllib.request.urlopen(request, timeout=40)
except urllib.error.HTTPError as error:
    reply = error
text = reply.read()
try:
    body = json.loads(text or b"null")
except ValueError:
    body = text.decode(errors="replace")
print(json.dumps({"code": reply.status, "body": body}))
"#;

/// The model. It ends when it is dropped.
pub(super) struct Model {
    directory: tempfile::TempDir,
}

/// A file of the repository.
pub(super) fn source(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// A file that `make` built before the tests: in cargo's folder, or else in the usual one.
pub(super) fn built(path: &str) -> String {
    std::env::var("CARGO_TARGET_DIR")
        .map(|target| format!("{target}/{path}"))
        .ok()
        .filter(|there| Path::new(there).exists())
        .unwrap_or_else(|| source(&format!("target/{path}")))
}

impl Model {
    /// An empty model.
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    /// A model with Kafka and one worker, integrated; `more` goes to the worker's deploy.
    pub(super) fn with_kafka(more: &[&str]) -> Self {
        let model = Self::new();
        model.deploy_kafka(&[]);
        model.deploy_connect(more);
        model.sim(&["integrate", "kafka-connect", "kafka"]);
        model
    }

    pub(super) fn deploy_kafka(&self, more: &[&str]) {
        let broker = built("kafka/kafka-broker-4.1.2.tgz");
        self.deploy(
            &source("tests/fixtures/charms/kafka"),
            "kafka",
            &[&["--resource", &format!("kafka-broker={broker}")], more].concat(),
        );
    }

    pub(super) fn deploy_connect(&self, more: &[&str]) {
        self.deploy_connect_as("kafka-connect", more);
    }

    /// Deploys an integrator `files` that has everything of topic `orders` written to a file, by so many
    /// tasks; it is not integrated yet.
    pub(super) fn deploy_sink(&self, tasks: usize, file: &str) {
        let plugin = format!(
            "connect-plugin={}",
            built("kafka/connect-file-plugin.tar.gz")
        );
        let settings = format!(
            "settings=tasks.max={tasks}\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\n\
             [sink]\n\
             connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\n\
             file={file}\n"
        );
        self.deploy(
            &built("pack/connect-integrator_ubuntu@24.04-amd64.charm"),
            "files",
            &[
                "--resource",
                &plugin,
                "--config",
                "role=sink",
                "--config",
                "topics=orders",
                "--config",
                &settings,
            ],
        );
    }

    pub(super) fn deploy_connect_as(&self, name: &str, more: &[&str]) {
        let kafka = format!("kafka={}", built("kafka/kafka-connect-4.1.2.tgz"));
        self.deploy(
            &built("pack/kafka-connect_ubuntu@24.04-amd64.charm"),
            name,
            &[&["--config", "profile=testing", "--resource", &kafka], more].concat(),
        );
    }

    pub(super) fn deploy(&self, charm: &str, name: &str, more: &[&str]) {
        self.sim(&[&["deploy", charm, name], more].concat());
    }

    /// A client with the databag it is to write; not integrated yet.
    pub(super) fn deploy_client(&self, name: &str, databag: Option<&str>) {
        let option = databag.map(|text| format!("databag={text}"));
        let more: Vec<&str> = option.iter().flat_map(|o| ["--config", o]).collect();
        self.deploy(&source("tests/fixtures/charms/client"), name, &more);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built("tools/juju-sim"));
        command
            .args(arguments)
            .env("JUJU_SIM_DIR", self.directory.path().join("model"));
        command
    }

    /// Runs a command and gives its output, whatever came of it.
    pub(super) fn attempt(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it printed.
    #[track_caller]
    pub(super) fn sim(&self, arguments: &[&str]) -> String {
        let output = self.attempt(arguments);
        assert!(
            output.status.success(),
            "juju-sim {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program of this host in the model's network; what it prints goes to `output`.
    pub(super) fn start_in_network(&self, program: &[&str], output: Stdio) -> Child {
        // Ends with the command that started it: killing that one alone would leave it running.
        let tied = ["network", "--", "setpriv", "--pdeathsig", "KILL"];
        self.command(&[&tied, program].concat())
            .stdout(output)
            .spawn()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.sim(&[arguments, &["--format", "json"]].concat())).unwrap()
    }

    pub(super) fn status(&self, unit: &str) -> Status {
        let status = self.json(&["status"]);
        let application = unit.split('/').next().unwrap();
        let workload = &status["applications"][application]["units"][unit]["workload-status"];
        let text = |key: &str| workload[key].as_str().unwrap_or_default().to_owned();
        Status {
            state: text("current"),
            message: text("message"),
        }
    }

    /// What `status` says of a unit under a key.
    pub(super) fn status_field(&self, unit: &str, key: &str) -> String {
        let status = self.json(&["status"]);
        let application = unit.split('/').next().unwrap();
        let shown = &status["applications"][application]["units"][unit][key];
        shown.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a unit's state and exact message.
    #[track_caller]
    pub(super) fn wait_status(&self, unit: &str, state: &str, message: &str, limit: Duration) {
        let wanted = Status::new(state, message);
        self.wait_until(&format!("{unit} is {state}: {message}"), limit, || {
            self.status(unit) == wanted
        });
    }

    #[track_caller]
    pub(super) fn wait_active(&self, unit: &str) {
        self.wait_status(unit, "active", "", SOON);
    }

    /// Waits for what becomes true and stays so.
    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, limit: Duration, holds: impl Fn() -> bool) {
        let limit = limit * patience();
        let start = Instant::now();
        while !holds() {
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {what}\n{}",
                self.sim(&["status"])
            );
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// Waits until nothing is left to do.
    #[track_caller]
    pub(super) fn wait_idle(&self) {
        let limit = format!("{}s", (SOON * 2 * patience()).as_secs());
        self.sim(&["wait-for", "--idle", "--timeout", &limit]);
    }

    /// The one relation of a unit's endpoint, as that unit sees it.
    pub(super) fn relation(&self, unit: &str, endpoint: &str) -> Option<Value> {
        let shown = self.json(&["show-unit", unit]);
        let relations = shown[unit]["relation-info"].as_array()?;
        let found = relations.iter().find(|one| one["endpoint"] == endpoint)?;
        Some(found.clone())
    }

    /// The number of the client's relation.
    pub(super) fn client_relation(&self, unit: &str) -> u64 {
        let relation = self.relation(unit, "connect-client").unwrap();
        relation["relation-id"].as_u64().unwrap()
    }

    /// A key that the client was given.
    pub(super) fn given(&self, unit: &str, key: &str) -> Option<String> {
        let relation = self.relation(unit, "connect-client")?;
        relation["application-data"][key]
            .as_str()
            .map(str::to_owned)
    }

    /// What the client's own hooks have taken over of what it was given: what it uses.
    pub(super) fn taken(&self, unit: &str) -> Value {
        let text = self.sim(&["ssh", unit, "cat", "/var/lib/client/given.json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// The newest revision of a secret.
    pub(super) fn secret_revision(&self, uri: &str) -> u64 {
        let id = uri.rsplit('/').next().unwrap();
        let shown = self.json(&["show-secret", id]);
        shown[id]["revision"].as_u64().unwrap()
    }

    /// Waits until the client has a user of its relation's name.
    #[track_caller]
    pub(super) fn wait_served(&self, unit: &str) {
        let user = format!("user relation-{}", self.client_relation(unit));
        self.wait_status(unit, "active", &user, SOON);
    }

    /// Runs an action that must succeed, and gives its results.
    #[track_caller]
    pub(super) fn action(&self, unit: &str, words: &[&str]) -> Value {
        let done = self.json(&[&["run", unit], words].concat());
        assert_eq!(done[unit]["status"], "completed", "{words:?}: {done}");
        done[unit]["results"].clone()
    }

    /// What the client's REST call got from each endpoint.
    pub(super) fn codes(&self, unit: &str) -> String {
        let results = self.action(unit, &["call"]);
        results["codes"].as_str().unwrap_or_default().to_owned()
    }

    /// A REST call of a client's unit, with its user, to the endpoint with this place in its
    /// list: the code and, if it is JSON, the body.
    #[track_caller]
    pub(super) fn rest(
        &self,
        unit: &str,
        endpoint: usize,
        (method, path): (&str, &str),
        body: &Value,
    ) -> (u64, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let script = ["ssh", unit, "python3", "-c", REST];
        let words = [method, &endpoint.to_string(), path, &body];
        let shown = self.sim(&[&script[..], &words].concat());
        let reply: Value = serde_json::from_str(&shown).unwrap();
        (reply["code"].as_u64().unwrap(), reply["body"].clone())
    }

    /// How often a unit's worker began to start, as its log tells.
    pub(super) fn starts(&self, unit: &str) -> usize {
        let log = self.sim(&["ssh", unit, "cat", "/var/log/kafka-connect/worker.log"]);
        log.matches("Kafka Connect worker initializing").count()
    }

    /// When a unit's worker was not there in its last restart: from when to when, as its log tells.
    pub(super) fn last_gap(&self, unit: &str) -> (String, String) {
        let log = self.sim(&["ssh", unit, "cat", "/var/log/kafka-connect/worker.log"]);
        let last = |words: &str| {
            let line = log.lines().rfind(|line| line.contains(words));
            line.unwrap().split(']').next().unwrap().to_owned()
        };
        (
            last("Kafka Connect stopping"),
            last("Kafka Connect started"),
        )
    }

    /// Runs an `update-status` hook of a unit to its end.
    pub(super) fn update_status(&self, unit: &str) {
        let hook = "JUJU_DISPATCH_PATH=hooks/update-status JUJU_HOOK_NAME=update-status ./dispatch";
        self.sim(&["exec", "--unit", unit, "--", hook]);
    }

    /// The worker's process.
    pub(super) fn worker(&self, unit: &str) -> String {
        let show = ["systemctl", "show", "-p", "MainPID", "--value"];
        let service = ["kafka-connect.service"];
        let pid = self.sim(&[&["ssh", unit], &show[..], &service].concat());
        let pid = pid.trim().to_owned();
        assert!(pid.parse::<u32>().is_ok_and(|pid| pid > 0), "{pid}");
        pid
    }

    /// Everything that has finished so far.
    pub(super) fn runs(&self) -> Vec<Run> {
        log::read(&self.directory.path().join("model/commits.jsonl"))
    }

    /// Waits for the first finished run that is looked for, `after` so many others.
    fn wait_run(&self, what: &str, after: usize, found: impl Fn(&Run) -> bool) -> usize {
        let position = || {
            let runs = self.runs();
            let rest = runs.iter().enumerate().skip(after);
            rest.filter(|(_, run)| found(run)).map(|(at, _)| at).next()
        };
        self.wait_until(what, SOON, || position().is_some());
        position().unwrap()
    }

    /// Tells a client what its databag is to hold.
    pub(super) fn tell(&self, application: &str, databag: &Value) {
        // In a file: a command line has no room for what some of them hold.
        let file = self.folder().join(format!("{application}.json"));
        std::fs::write(&file, databag.to_string()).unwrap();
        let file = file.to_str().unwrap();
        self.sim(&["config", application, &format!("databag=@{file}")]);
    }

    /// Waits until an application has written to its databag, `after` so many runs, and says at
    /// which run that was.
    pub(super) fn wait_wrote(&self, application: &str, after: usize) -> usize {
        let unit = format!("{application}/0");
        self.wait_run(&format!("{unit} writes"), after, |run| {
            run.unit == unit && run.wrote()
        })
    }

    /// Has a client write its databag anew, and says at which run it did.
    pub(super) fn rewrite(&self, application: &str, databag: &Value) -> usize {
        let before = self.runs().len();
        self.tell(application, databag);
        self.wait_wrote(application, before)
    }

    /// The status of a unit after its first run that could see what another run had committed:
    /// not what a later one made of it.
    pub(super) fn status_after(&self, unit: &str, other: usize) -> Status {
        let since = self.runs()[other].end;
        let what = format!("{unit} sees what happened");
        let first = self.wait_run(&what, other + 1, |run| {
            run.unit == unit && run.start >= since
        });
        log::status(&self.runs()[..=first], unit)
    }

    /// The first status that a unit showed, `after` so many runs, by the end of one of them.
    pub(super) fn next_status(&self, unit: &str, after: usize, limit: Duration) -> Status {
        let was = log::status(&self.runs()[..after], unit);
        let changed = || {
            let runs = self.runs();
            let ends = (after..=runs.len()).map(|end| log::status(&runs[..end], unit));
            ends.into_iter().find(|status| *status != was)
        };
        let what = format!("{unit} shows another status than {was:?}");
        self.wait_until(&what, limit, || changed().is_some());
        changed().unwrap()
    }

    /// The status of a unit after the `config-changed` that these words bring.
    pub(super) fn status_configured(&self, unit: &str, words: &[&str]) -> Status {
        let before = self.runs().len();
        let application = unit.split('/').next().unwrap();
        self.sim(&[&["config", application], words].concat());
        let first = self.wait_run(&format!("{unit} sees {words:?}"), before, |run| {
            run.unit == unit && run.name == "config-changed"
        });
        log::status(&self.runs()[..=first], unit)
    }

    /// That no hook, action or woken round of our charm ended otherwise than with 0.
    pub(super) fn assert_no_hook_failed(&self) {
        let runs = self.runs();
        let ours = || {
            runs.iter()
                .filter(|run| run.unit.starts_with("kafka-connect/"))
        };
        assert!(ours().count() > 5, "the log holds what ran");
        ours().for_each(Run::assert_good);
    }

    /// A folder for files of the scenario.
    pub(super) fn folder(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.attempt(&["debug-log"]).stdout;
            let log = String::from_utf8_lossy(&log).into_owned();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.len().saturating_sub(20);
            eprintln!("the end of the model's log:\n{}", lines[end..].join("\n"));
        }
        let ended = self.attempt(&["destroy-model"]);
        if !ended.status.success() && !std::thread::panicking() {
            eprintln!("{}", String::from_utf8_lossy(&ended.stderr));
        }
    }
}
