//! Single steps, as they show on the machine.

use std::os::unix::fs::MetadataExt as _;

use super::machine::{KAFKA, Machine, children, pack};

fn deployed() -> Machine {
    let machine = Machine::new();
    for name in ["install", "start"] {
        machine.good_hook(name);
    }
    machine
}

#[test]
fn files_have_their_mode_and_owner() {
    let machine = deployed();
    let number = |name: &str| -> u32 {
        let passwd = machine.read("root/etc/passwd");
        let line = passwd
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")));
        line.unwrap().split(':').nth(2).unwrap().parse().unwrap()
    };
    let worker = number("kafka-connect");
    let gateway = number("kafka-connect-gateway");
    for (path, mode, user, group) in [
        ("etc/kafka-connect/worker.properties", 0o640, 0, worker),
        ("etc/kafka-connect/users.properties", 0o640, 0, worker),
        ("etc/kafka-connect-gateway/gateway.json", 0o640, 0, gateway),
        ("etc/kafka-connect-gateway/users.json", 0o640, 0, gateway),
        ("etc/kafka-connect-gateway/peer.key", 0o640, 0, gateway),
        ("etc/kafka-connect", 0o750, 0, worker),
        ("var/lib/kafka-connect/staging", 0o700, 0, 0),
        ("var/log/kafka-connect", 0o750, worker, worker),
        ("etc/systemd/system/kafka-connect.service", 0o644, 0, 0),
        (
            "opt/kafka-connect-gateway/kafka-connect-gateway",
            0o750,
            0,
            gateway,
        ),
    ] {
        let metadata = machine.path("root").join(path).metadata().unwrap();
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()),
            (mode, user, group),
            "{path}"
        );
    }
}

#[test]
fn what_was_lost_or_damaged_is_restored() {
    let machine = deployed();
    let path = "root/etc/kafka-connect-gateway/gateway.json";
    let before = machine.read(path);
    std::fs::write(machine.path(path), "{}").unwrap();
    machine.remove("root/opt/kafka-connect-gateway");
    machine.remove("root/opt/kafka-connect");
    machine.good_hook("update-status");
    assert_eq!(machine.read(path), before);
    assert_eq!(
        machine.read("root/opt/kafka-connect-gateway/kafka-connect-gateway"),
        "the gateway"
    );
    assert_eq!(children(&machine.path("root/opt/kafka-connect")).len(), 1);
}

#[test]
fn a_resource_that_is_no_archive_blocks_and_heals() {
    let machine = Machine::new();
    let archive = machine.path(KAFKA);
    let good = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, "<html>").unwrap();
    machine.good_hook("install");
    assert!(
        machine
            .status()
            .starts_with("blocked: cannot install Kafka"),
        "{}",
        machine.status()
    );
    std::fs::write(&archive, good).unwrap();
    machine.good_hook("upgrade-charm");
    assert!(
        !machine.status().starts_with("blocked"),
        "{}",
        machine.status()
    );
    let debris: Vec<_> = children(&machine.path("root/opt/kafka-connect"));
    assert_eq!(debris.len(), 1, "{debris:?}");
}

#[test]
fn the_certificate_is_issued_once() {
    let machine = deployed();
    let path = "root/etc/kafka-connect-gateway/peer.crt";
    let before = machine.read(path);
    assert!(before.starts_with("-----BEGIN CERTIFICATE-----"));
    machine.good_hook("update-status");
    assert_eq!(machine.read(path), before);
}

#[test]
fn without_java_the_resource_brings_it() {
    let machine = Machine::new().without_java();
    pack(
        &machine.path("resources/jre/jre.tgz"),
        &[
            ("jdk-21/bin/java", "java"),
            ("jdk-21/release", "JAVA_VERSION=\"21.0.1\"\n"),
        ],
    );
    for name in ["install", "start"] {
        machine.good_hook(name);
    }
    let unit = machine.read("root/etc/systemd/system/kafka-connect.service");
    let java = children(&machine.path("root/opt/kafka-connect-jre"));
    let expected = format!("ExecStart={}/bin/java ", java[0].display());
    assert!(unit.contains(&expected), "{unit}");
    assert!(
        !machine
            .programs()
            .iter()
            .any(|line| line.starts_with("apt-get"))
    );
}

#[test]
fn without_java_and_resource_the_distribution_brings_it() {
    let machine = Machine::new().without_java();
    std::fs::write(machine.path("root/apt-fails"), "").unwrap();
    machine.good_hook("install");
    assert!(
        machine
            .status()
            .starts_with("blocked: cannot install packages openjdk-17-jre-headless: apt-get failed with exit status 100: E: Could not get lock"),
        "{}",
        machine.status()
    );
    let programs = machine.programs().join("\n");
    assert!(
        programs
            .contains("apt-get --yes --no-install-recommends install -- openjdk-17-jre-headless"),
        "{programs}"
    );
    machine.remove("root/apt-fails");
    let home = machine.path("root/usr/lib/jvm/java-17");
    std::fs::create_dir_all(home.join("bin")).unwrap();
    std::fs::write(home.join("release"), "JAVA_VERSION=\"17.0.1\"\n").unwrap();
    std::fs::copy("/bin/true", home.join("bin/java")).unwrap();
    machine.good_hook("update-status");
    let unit = machine.read("root/etc/systemd/system/kafka-connect.service");
    assert!(
        !machine.status().starts_with("blocked"),
        "{}",
        machine.status()
    );
    assert!(
        unit.is_empty() || unit.contains("/usr/lib/jvm/java-17/bin/java"),
        "{unit}"
    );
}

#[test]
fn an_upgrade_installs_a_gateway_that_only_its_content_tells_apart() {
    let machine = deployed();
    let packed = machine.path("charm/bin/kafka-connect-gateway");
    let time = packed.metadata().unwrap().modified().unwrap();
    std::fs::write(&packed, "THE GATEWAY").unwrap();
    std::fs::File::open(&packed)
        .unwrap()
        .set_modified(time)
        .unwrap();
    machine.good_hook("upgrade-charm");
    let installed = "root/opt/kafka-connect-gateway/kafka-connect-gateway";
    assert_eq!(machine.read(installed), "THE GATEWAY");
    let restart = "systemctl restart --no-block kafka-connect-gateway.service";
    assert!(machine.programs().iter().any(|line| line == restart));
}

#[test]
fn a_gateway_that_was_installed_and_not_restarted_is_restarted_later() {
    let machine = deployed();
    let restarts = || {
        let restart = "systemctl restart --no-block kafka-connect-gateway.service";
        machine
            .programs()
            .iter()
            .filter(|line| *line == restart)
            .count()
    };
    machine.good_hook("update-status");
    assert_eq!(restarts(), 0);
    // As a hook leaves it that is killed between the two: the file is another one, with the same
    // bytes and time.
    let installed = machine.path("root/opt/kafka-connect-gateway/kafka-connect-gateway");
    let new = installed.with_extension("new");
    let time = installed.metadata().unwrap().modified().unwrap();
    std::fs::copy(&installed, &new).unwrap();
    std::fs::File::open(&new)
        .unwrap()
        .set_modified(time)
        .unwrap();
    std::fs::rename(&new, &installed).unwrap();
    machine.good_hook("update-status");
    assert_eq!(restarts(), 1);
    machine.good_hook("update-status");
    assert_eq!(restarts(), 1);
}

#[test]
fn what_a_crash_left_half_unpacked_is_swept() {
    let machine = deployed();
    let places = [
        "root/var/lib/kafka-connect/staging",
        "root/opt/kafka-connect",
        "root/opt/kafka-connect-jre",
    ];
    let before = places.map(|place| children(&machine.path(place)));
    machine.write(&format!("{}/fetch-1/item/path/x.jar", places[0]), "x");
    machine.write(&format!("{}/stray", places[0]), "x");
    machine.write(&format!("{}/.unpack-1/libs/x.jar", places[1]), "x");
    machine.write(&format!("{}/.download-1", places[1]), "x");
    machine.write(&format!("{}/.unpack-1/bin/java", places[2]), "x");
    machine.good_hook("update-status");
    assert_eq!(places.map(|place| children(&machine.path(place))), before);
}

#[test]
fn the_attached_plugin_is_taken_swapped_and_named_if_it_is_bad() {
    let machine = Machine::new();
    let file = machine.path("resources/connect-plugin/connect-plugin.tgz");
    let stored = || {
        let mut names = children(&machine.path("root/var/lib/kafka-connect/plugins"));
        names.retain(|path| !path.ends_with(".references"));
        names
    };
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, testkit::archive::plugin::bundle()).unwrap();
    for name in ["install", "start"] {
        machine.good_hook(name);
    }
    machine.keep_peer_databag();
    let first = stored();
    assert_eq!(first.len(), 1, "{first:?}");
    let properties = machine.read("root/etc/kafka-connect/worker.properties");
    assert!(
        properties.contains(&*first[0].to_string_lossy()),
        "{properties}"
    );
    let asks = |calls: Vec<String>| {
        let asks = |call: &String| call.starts_with("resource-get connect-plugin");
        calls.iter().filter(|call| asks(call)).count()
    };
    assert_eq!(asks(machine.good_hook("update-status")), 0);

    let outcome = machine.dispatch("actions/list-plugins", &[("JUJU_ACTION_UUID", "3")]);
    assert!(outcome.success, "{}", outcome.stderr);
    let answer = machine.read("juju/answers");
    for expected in ["used-by=resource connect-plugin", ".jars=", "(source)"] {
        assert!(answer.contains(expected), "{expected} in {answer}");
    }

    // Juju replaces the file before the hook that says so.
    std::fs::write(&file, "<html>").unwrap();
    let calls = machine.good_hook("upgrade-charm").join("\n");
    assert!(
        calls.contains("resource connect-plugin: cannot use the plugin: "),
        "{calls}"
    );
    assert_eq!(stored(), first);
    // A file does not get better by itself: it is not taken up again.
    let asked = machine.read("root/var/lib/kafka-connect/asked.json");
    assert!(asked.contains(r#""lasting":true"#), "{asked}");
    let calls = machine.good_hook("update-status").join("\n");
    assert!(!calls.contains("resource connect-plugin"), "{calls}");
    assert_eq!(stored(), first);

    std::fs::write(&file, "").unwrap();
    machine.good_hook("upgrade-charm");
    let properties = machine.read("root/etc/kafka-connect/worker.properties");
    assert!(
        !properties.contains(&*first[0].to_string_lossy()),
        "{properties}"
    );
}

#[test]
fn a_unit_without_an_attached_plugin_asks_juju_once() {
    let machine = Machine::new();
    let asks = |name| {
        let calls = machine.good_hook(name);
        let asks = |call: &&String| call.starts_with("resource-get connect-plugin");
        calls.iter().filter(asks).count()
    };
    assert_eq!(asks("install"), 1);
    machine.keep_peer_databag();
    assert_eq!(
        [asks("start"), asks("update-status"), asks("upgrade-charm")],
        [0, 0, 1]
    );
}
