//! The gateway as a service: nobody who connects is refused while it is replaced, restarted or
//! killed, and no plugin can read what it keeps.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::model::{Model, SOON, built, source};

const UNIT: &str = "kafka-connect/0";
const SERVICE: &str = "kafka-connect-gateway.service";
/// Pause between the beginnings of two requests.
const EVERY_MS: &str = "20";

/// A request that has ended.
#[derive(Debug)]
struct Request {
    began: f64,
    ended: f64,
    outcome: String,
}

/// A client that begins a request every 20 ms over a new connection. It ends when it is dropped.
struct Client {
    process: Child,
    output: PathBuf,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

impl Client {
    fn start(model: &Model) -> Self {
        let (host, port) = endpoint(model);
        let login = model.folder().join("login");
        std::fs::write(&login, login_of(model)).unwrap();
        let output = model.folder().join("requests");
        let script = source("tests/suite/scenarios/door_client.py");
        let program = [
            "/usr/bin/python3",
            &script,
            &host,
            &port,
            login.to_str().unwrap(),
            "/connectors",
            output.to_str().unwrap(),
            EVERY_MS,
        ];
        let process = model.start_in_network(&program, Stdio::null());
        Self { process, output }
    }

    fn ended(&self) -> Vec<Request> {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        // The last line may not be whole yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(|line| {
            let mut words = line.split(' ');
            let mut number = || words.next().unwrap().parse().unwrap();
            let (began, ended) = (number(), number());
            let outcome = words.next().unwrap().to_owned();
            Request {
                began,
                ended,
                outcome,
            }
        });
        lines.collect()
    }

    /// Waits until a good many requests that began after `moment` have been answered.
    fn go_on(&self, model: &Model, moment: f64) {
        model.wait_until("the client is answered", SOON, || {
            let late = |request: &&Request| request.began > moment && request.outcome == "200";
            self.ended().iter().filter(late).count() >= 50
        });
    }

    /// What became of the requests that ended since `moment`; prints it.
    fn since(&self, moment: f64, what: &str) -> Vec<Request> {
        let mut requests = self.ended();
        requests.retain(|request| request.ended >= moment);
        let count = |outcome: &str| requests.iter().filter(|r| r.outcome == outcome).count();
        let longest = requests
            .iter()
            .map(|r| r.ended - r.began)
            .fold(0.0, f64::max);
        println!(
            "{what}: {} requests, {} answered 200, {} refused, {} cut off, longest {:.0} ms",
            requests.len(),
            count("200"),
            count("refused"),
            count("cut"),
            longest * 1000.0
        );
        requests
    }
}

fn endpoint(model: &Model) -> (String, String) {
    let endpoints = model.given("client/0", "endpoints").unwrap();
    let (host, port) = endpoints
        .strip_prefix("http://")
        .and_then(|rest| rest.rsplit_once(':'))
        .unwrap();
    (host.to_owned(), port.to_owned())
}

/// `user:password` of the client.
fn login_of(model: &Model) -> String {
    let uri = model.given("client/0", "secret-user").unwrap();
    let id = uri.rsplit('/').next().unwrap();
    let shown = model.sim(&["show-secret", id, "--reveal", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let content = &shown[id]["content"];
    let content = content.get("Data").unwrap_or(content);
    let text = |key: &str| content[key].as_str().unwrap();
    format!("{}:{}", text("username"), text("password"))
}

fn shell(model: &Model, script: &str) -> String {
    model.sim(&["ssh", UNIT, "sh", "-c", script])
}

fn property(model: &Model, unit: &str, name: &str) -> String {
    let show = format!("systemctl show -p {name} --value {unit}");
    shell(model, &show).trim().to_owned()
}

fn gateway(model: &Model) -> String {
    property(model, SERVICE, "MainPID")
}

/// The shipped charm with another gateway in it: the same program with more bytes at its end.
fn charm_with_another_gateway(model: &Model) -> PathBuf {
    let directory = model.folder().join("charm");
    let unpacked = Command::new("/usr/bin/python3")
        .args(["-m", "zipfile", "-e"])
        .arg(built("pack/kafka-connect_ubuntu@24.04-amd64.charm"))
        .arg(&directory)
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    // That module forgets modes.
    for program in [
        "dispatch",
        "bin/kafka-connect-charm",
        "bin/kafka-connect-gateway",
    ] {
        let path = directory.join(program);
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let program = directory.join("bin/kafka-connect-gateway");
    let mut bytes = std::fs::read(&program).unwrap();
    bytes.extend(b"another release");
    std::fs::write(program, bytes).unwrap();
    directory
}

/// Waits until the unit's gateway is another process than before, and serves.
fn wait_replaced(model: &Model, before: &str) {
    model.wait_until("another gateway serves", SOON, || {
        let process = gateway(model);
        process != "0" && process != before && property(model, SERVICE, "ActiveState") == "active"
    });
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn nobody_is_refused_while_the_gateway_is_replaced_and_no_plugin_reads_its_files() {
    let model = Model::with_kafka(&[]);
    model.deploy_client("client", None);
    model.sim(&["integrate", "client", "kafka-connect"]);
    model.wait_active(UNIT);
    model.wait_served("client/0");
    let worker = model.worker(UNIT);
    let client = Client::start(&model);
    client.go_on(&model, now());

    // The charm is refreshed, with another gateway in it.
    let (before, moment) = (gateway(&model), now());
    let charm = charm_with_another_gateway(&model);
    model.sim(&[
        "refresh",
        "kafka-connect",
        "--path",
        charm.to_str().unwrap(),
    ]);
    wait_replaced(&model, &before);
    let program = shell(&model, &format!("tail -c 15 /proc/{}/exe", gateway(&model)));
    assert_eq!(program, "another release");
    client.go_on(&model, now());
    let requests = client.since(moment, "a refresh with another gateway");
    assert_all_answered(&requests);

    // Restarted by hand, twice.
    let moment = now();
    for _ in 0..2 {
        let before = gateway(&model);
        shell(&model, &format!("systemctl restart {SERVICE}"));
        wait_replaced(&model, &before);
    }
    client.go_on(&model, now());
    assert_all_answered(&client.since(moment, "two restarts by systemctl"));

    // Killed, three times: what it was answering is cut off, and nothing else.
    let moment = now();
    let mut kills = Vec::new();
    for _ in 0..3 {
        let before = gateway(&model);
        let killing = now();
        shell(&model, &format!("kill -9 {before}"));
        kills.push((killing, now()));
        wait_replaced(&model, &before);
        client.go_on(&model, now());
    }
    let requests = client.since(moment, "three times kill -9");
    let (cut, others): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| r.outcome == "cut");
    assert_all_answered(&others);
    for request in cut {
        let in_flight = |(from, to): &(f64, f64)| request.began <= *to && request.ended >= *from;
        assert!(
            kills.iter().any(in_flight),
            "{request:?} is not of {kills:?}"
        );
    }
    drop(client);

    // A port that clients are told of anew: the door moves, and the old one refuses at once.
    let (host, port) = endpoint(&model);
    model.sim(&["config", "kafka-connect", "rest-port=9083"]);
    model.wait_until("the new endpoint is published", SOON, || {
        endpoint(&model) == (host.clone(), "9083".to_owned())
    });
    assert_eq!(model.codes("client/0"), "200");
    let listens = shell(
        &model,
        "systemctl is-active kafka-connect-gateway.socket kafka-connect-gateway-peer.socket",
    );
    assert_eq!(listens, "active\nactive\n");
    let old = format!("curl -s -o /dev/null -m 5 http://{host}:{port}/; echo $?");
    assert_eq!(shell(&model, &old), "7\n", "the old port refuses");

    assert_eq!(model.worker(UNIT), worker, "none of it restarts the worker");
    model.wait_active(UNIT);
    nobody_reads_what_is_not_theirs(&model);
    model.assert_no_hook_failed();
}

fn assert_all_answered(requests: &[Request]) {
    let wrong: Vec<&Request> = requests.iter().filter(|r| r.outcome != "200").collect();
    assert!(
        wrong.is_empty(),
        "of {} requests: {wrong:?}",
        requests.len()
    );
}

/// Walks what is really on the machine, and tries every file as the gateway's and as the worker's
/// user.
fn nobody_reads_what_is_not_theirs(model: &Model) {
    model.deploy(
        &source("tests/fixtures/charms/certificates"),
        "authority",
        &[],
    );
    model.sim(&[
        "integrate",
        "kafka-connect:certificates",
        "authority:certificates",
    ]);
    // The key of the client door is one of its files.
    let pem = "test -e /etc/kafka-connect-gateway/client.pem && echo there || true";
    model.wait_until("the client door has a key", SOON, || {
        shell(model, pem) == "there\n"
    });
    // The hook that wrote it writes others yet: none may be replaced while they are tried.
    model.wait_active(UNIT);
    model.wait_idle();
    let archived = "test -e /var/cache/kafka-connect/worker.key && echo there || true";
    model.wait_until("nor the archive of classes", SOON, || {
        shell(model, archived) == "there\n"
    });
    let (gateway_user, worker_user) = ("kafka-connect-gateway", "kafka-connect");
    for user in [gateway_user, worker_user] {
        // So neither is in a group that reads the journal, where the gateway's audit lines go.
        assert_eq!(shell(model, &format!("id -nG {user}")).trim(), user);
    }
    let theirs = files(model, gateway_user);
    let process = gateway(model);
    let memory = ["environ", "maps"].map(|name| format!("/proc/{process}/{name}"));
    for name in [
        "gateway.json",
        "users.json",
        "peer.key",
        "client.pem",
        "state.json",
    ] {
        assert!(theirs.iter().any(|file| file.ends_with(name)), "{theirs:?}");
    }
    let ours = files(model, worker_user);
    for name in ["worker.properties", "users.properties", "worker.log"] {
        assert!(ours.iter().any(|file| file.ends_with(name)), "{ours:?}");
    }
    for (user, other, paths) in [
        (gateway_user, worker_user, [&theirs[..], &memory].concat()),
        (worker_user, gateway_user, ours),
    ] {
        println!("{} files of {user}, tried as {other}", paths.len());
        assert_eq!(readable(model, user, &paths), paths, "{user} reads its own");
        assert_eq!(
            readable(model, other, &paths),
            [""; 0],
            "{other} reads none"
        );
    }
}

/// Every file on the machine that belongs to a user or to its group, or lies in a directory of its
/// name; without Kafka's jars and the plugins, which are everybody's to read, and without what only
/// the inside of a service sees.
fn files(model: &Model, user: &str) -> Vec<String> {
    let script = format!(
        "find /etc /opt /run /srv /var -xdev -type f \
         \\( -user {user} -o -group {user} -o -path '*/{user}/*' \\) \
         ! -path '/opt/kafka-connect/*' ! -path '/var/lib/kafka-connect/*' \
         ! -path '*/systemd-private-*' 2>/dev/null | sort"
    );
    shell(model, &script).lines().map(str::to_owned).collect()
}

/// Which of the files a user can read the first byte of.
fn readable(model: &Model, user: &str, paths: &[String]) -> Vec<String> {
    let script = format!(
        "for file in {}; do runuser -u {user} -- head -c 1 \"$file\" >/dev/null 2>&1 && echo \"$file\"; done; true",
        paths.join(" ")
    );
    shell(model, &script).lines().map(str::to_owned).collect()
}
