//! A realm around a test, and machines in it.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use juju_sim_machine::realm::{self, RealmSpec};
use juju_sim_machine::{Address, Machine, MachineSpec};

const INSIDE: &str = "SIM_MACHINE_TEST_INSIDE";

/// Waits until the probe answers, for at most ten seconds.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < end, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs the body inside a realm of its own, and checks afterwards that the realm left nothing on the host.
pub(crate) fn in_realm(test: &str, body: impl FnOnce(&World)) {
    if let Some(directory) = std::env::var_os(INSIDE) {
        body(&World {
            directory: directory.into(),
        });
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let program = std::env::current_exe().unwrap();
    let command = vec![
        OsString::from("/usr/bin/env"),
        OsString::from(format!("{INSIDE}={}", directory.path().display())),
        program.into(),
        test.into(),
        "--exact".into(),
        "--nocapture".into(),
    ];
    let pid = realm::launch(&RealmSpec {
        helper: env!("CARGO_BIN_EXE_sim-machine").into(),
        bridge: Ipv4Addr::new(10, 211, 0, 1),
        prefix: 24,
        command,
        log: log.clone(),
    })
    .unwrap();
    let session = pid.to_string();
    // Generous: only a test that hangs gets there, however busy the machine is.
    let end = Instant::now() + Duration::from_secs(120);
    while realm::is_running(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    realm::terminate(pid, Duration::ZERO).unwrap();
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(
        text.contains("test result: ok. 1 passed"),
        "inside realm {session}: {text}"
    );
    let marker = directory.path().display().to_string();
    assert_eq!(processes_that_mention(&marker), Vec::<String>::new());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&marker), "mounts are left: {mounts}");
}

fn processes_that_mention(marker: &str) -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("environ")).ok())
        .map(|environ| String::from_utf8_lossy(&environ).into_owned())
        .filter(|environ| environ.contains(&format!("{INSIDE}={marker}")))
        .collect()
}

/// What a test finds inside its realm.
pub(crate) struct World {
    pub(crate) directory: PathBuf,
}

/// As [`in_realm`], for a realm that is started by a process that ignores SIGHUP, as `nohup` makes it.
pub(crate) fn in_realm_of_nohup(test: &str, body: impl FnOnce(&World)) {
    const IGNORED: &str = "SIM_MACHINE_TEST_IGNORES_HUP";
    if std::env::var_os(INSIDE).is_some() || std::env::var_os(IGNORED).is_some() {
        return in_realm(test, body);
    }
    let output = Command::new("env")
        .args(["--ignore-signal=HUP", &format!("{IGNORED}=1")])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("test result: ok. 1 passed"),
        "{text}{trouble}"
    );
}

impl World {
    pub(crate) fn spec(&self, number: u8) -> MachineSpec {
        let address = Address {
            ip: Ipv4Addr::new(10, 211, 0, number).into(),
            prefix: 24,
        };
        let name = format!("machine-{number}");
        let mut spec = MachineSpec::new(&self.directory.join(&name), &name, address).unwrap();
        spec.helper = env!("CARGO_BIN_EXE_sim-machine").into();
        spec
    }

    pub(crate) fn machine(&self, number: u8) -> Machine {
        Machine::start(self.spec(number)).unwrap()
    }
}

/// Status and output of a shell script in a machine.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) text: String,
}

pub(crate) fn script(machine: &Machine, text: &str) -> Outcome {
    outcome(machine.command("sh").args(["-c", text]))
}

pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Outcome {
        code: output.status.code().unwrap_or(-1),
        text: text.trim_end().to_owned(),
    }
}

/// The output of a script that must succeed.
pub(crate) fn sh(machine: &Machine, text: &str) -> String {
    let outcome = script(machine, text);
    assert_eq!(outcome.code, 0, "`{text}` said: {}", outcome.text);
    outcome.text
}

pub(crate) fn write(machine: &Machine, path: &str, text: &str) {
    let file = machine
        .root()
        .join(Path::new(path).strip_prefix("/").unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// One property of a unit.
pub(crate) fn property(machine: &Machine, unit: &str, name: &str) -> String {
    sh(machine, &format!("systemctl show {unit} -p {name} --value"))
}
