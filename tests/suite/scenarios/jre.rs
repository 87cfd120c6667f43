//! A machine without Java.

use std::process::Command;

use super::model::{Model, SOON};

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn the_jre_resource_serves_where_the_machine_has_no_java() {
    let model = Model::new();
    let java = std::fs::canonicalize("/usr/bin/java").unwrap();
    let home = java.parent().unwrap().parent().unwrap();
    let archive = model.folder().join("jre.tgz");
    let archive = archive.to_str().unwrap();
    // Links are followed: distributions link configuration out of the folder.
    let packed = Command::new("tar")
        .args(["-c", "-h", "-I", "gzip -1", "-f", archive])
        .args(["--exclude=jmods", "--exclude=src.zip", "--exclude=ct.sym"])
        .args(["--exclude=docs", "--exclude=man", "--exclude=include"])
        .args(["--ignore-failed-read", "--warning=none"])
        .arg("-C")
        .arg(home.parent().unwrap())
        .arg(home.file_name().unwrap())
        .output()
        .unwrap();
    assert!(std::path::Path::new(archive).exists(), "{packed:?}");

    model.deploy_kafka(&[]);
    let resource = format!("jre={archive}");
    model.deploy_connect(&[
        "--hide",
        "/usr/lib/jvm",
        "--hide",
        "/usr/bin/java",
        "--resource",
        &resource,
    ]);
    model.sim(&["integrate", "kafka-connect", "kafka"]);
    let unit = "kafka-connect/0";
    model.wait_until("the worker runs", SOON, || {
        model.status(unit).state == "active"
    });
    model.wait_active(unit);
    let shown = model.attempt(&["ssh", unit, "java", "-version"]);
    assert!(
        !shown.status.success(),
        "the machine has no Java of its own"
    );
    let worker = model.worker(unit);
    let program = model.sim(&["ssh", unit, "readlink", &format!("/proc/{worker}/exe")]);
    assert!(
        program.starts_with("/opt/kafka-connect-jre/"),
        "the worker runs on the resource's Java: {program}"
    );
    model.assert_no_hook_failed();
}
