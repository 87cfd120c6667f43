//! What the process that unpacks may do, and what becomes of a pass whose process fails.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use connect_plugins::{Admitted, Confinement, Degree, Fault, Unpacker};
use serde_json::Value;
use testkit::Behaviour;
use testkit::archive::plugin::bundle;

use crate::place::{Place, run};

#[test]
fn a_confined_process_reaches_its_directory_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let (inside, outside) = (home.path().join("a"), home.path().join("secret"));
    fs::create_dir(&inside).unwrap();
    fs::write(&outside, "secret").unwrap();
    // Whatever this test's user could do itself, root included, is taken from it.
    let output = Command::new(env!("CARGO_BIN_EXE_fetch-plugin"))
        .arg("probe")
        .arg(&outside)
        .current_dir(&inside)
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let confinement: Confinement = serde_json::from_value(told["confinement"].clone()).unwrap();
    assert!(
        confinement.no_new_privileges && confinement.resources,
        "{told}"
    );
    let files = confinement.landlock != Degree::None;
    let calls = confinement.system_calls;
    for (what, held_by) in [
        ("read outside", files),
        ("read passwd", files),
        ("write outside", files),
        ("write above", files),
        ("link outside", calls),
        ("symbolic link", calls),
        ("connect", calls),
        ("listen", calls),
        ("datagram", calls),
        ("local socket", calls),
        ("start a program", calls),
        ("start a thread", calls),
        ("signal the parent", calls),
        ("change the user", calls),
    ] {
        // A kernel without one of the two is told of by the confinement, not by this test.
        assert!(!held_by || told[what] != "done", "{what}: {told}");
    }
    // The words tell a denial from a file that merely is not there.
    if files {
        assert_eq!(told["read outside"], "Permission denied (os error 13)");
    }
    if calls {
        assert_eq!(told["connect"], "Operation not permitted (os error 1)");
        assert_eq!(
            told["start a program"],
            "Operation not permitted (os error 1)"
        );
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
    for what in ["write inside", "read inside"] {
        assert_eq!(told[what], "done", "{told}");
    }
}

#[test]
fn root_has_it_done_by_a_user_and_keeps_the_result() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(bundle()));
    let mut options = place.options(&place.server.url("/plugin"));
    options.unpacker.user = Some((65534, 65534));
    let Ok(Admitted::Stored(stored)) = run(options) else {
        panic!("a good bundle");
    };
    let mut waiting = vec![place.store().join(stored.digest.as_str())];
    while let Some(path) = waiting.pop() {
        let found = path.symlink_metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (0, 0), "{}", path.display());
        if found.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|it| it.unwrap().path()));
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A shell in the place of the unpacker: what it leaves is what a process that was taken over could.
fn instead(script: &str) -> Unpacker {
    let mut unpacker = crate::place::unpacker();
    unpacker.program = "/bin/sh".into();
    unpacker.arguments = vec!["-c".into(), script.into()];
    unpacker
}

#[test]
fn a_process_that_fails_or_lies_admits_nothing() {
    let says = |classes: &str| {
        format!(
            r#"cat >&2; printf '{{"confinement":{{"no_new_privileges":true,"landlock":"full","system_calls":true,"resources":true}},"outcome":{{"Unpacked":{{"classes":[{classes}],"has_manifests":true,"jars":["a.jar","b.jar"],"warnings":[],"files":1,"bytes":1}}}}}}'"#
        )
    };
    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(bundle()));
    for (script, message) in [
        (
            "kill -9 $$".to_owned(),
            "cannot unpack the plugin: the unpacking process failed: it was ended by signal 9",
        ),
        (
            "cat >&2; exit 3".to_owned(),
            "cannot unpack the plugin: the unpacking process failed: it ended with status 3",
        ),
        (
            "cat >&2; echo hello".to_owned(),
            "cannot unpack the plugin: the unpacking process failed: its report cannot be understood",
        ),
        (
            says(""),
            "cannot use the plugin: there is no jar or class in the archive",
        ),
        (
            format!("ln -s /etc a.jar; {}", says("")),
            "cannot unpack the plugin: entry `a.jar` is a symbolic link",
        ),
        (
            format!("echo x > a.jar; ln a.jar b.jar; {}", says("")),
            "cannot unpack the plugin: entry `a.jar` is a hard link",
        ),
        (
            format!("echo x > a.jar; mkfifo f; {}", says("")),
            "cannot unpack the plugin: entry `f` is of an unknown kind",
        ),
        (
            format!("echo x > a.jar; chmod 4755 a.jar; {}", says("")),
            "cannot unpack the plugin: entry `a.jar` is setuid or setgid",
        ),
        (
            format!("mkdir -p d; echo x > 'd/a\tb.jar'; {}", says("")),
            "cannot unpack the plugin: entry `d/a?b.jar` has a control character in its name",
        ),
    ] {
        let mut options = place.options(&place.server.url("/plugin"));
        options.unpacker = instead(&script);
        let error = run(options).expect_err(&script);
        let told = error
            .to_string()
            .replace("entry `b.jar` is a hard", "entry `a.jar` is a hard");
        assert_eq!(told, message, "{script}");
        assert_eq!(error.fault(), Fault::Content, "{script}");
        place.assert_holds(&[]);
    }
    // A lie about what cannot be checked is cut to what can.
    let mut options = place.options(&place.server.url("/plugin"));
    let lie = r#"{"class":"a.B","kind":"sink","listed":true},{"class":"/etc/../x","kind":"sink","listed":true}"#;
    options.unpacker = instead(&format!("echo x > a.jar; {}", says(lie)));
    let Ok(Admitted::Stored(stored)) = run(options) else {
        panic!("a jar is there");
    };
    assert_eq!(stored.contract.jars, ["a.jar"]);
    assert_eq!(stored.contract.connectors().collect::<Vec<_>>(), ["a.B"]);
}

#[test]
fn a_program_that_is_not_there_is_this_machines_fault() {
    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(bundle()));
    let mut options = place.options(&place.server.url("/plugin"));
    options.unpacker.program = "/nowhere/at/all".into();
    let error = run(options).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/nowhere/at/all`");
    assert_eq!(error.fault(), Fault::Machine);
    place.assert_holds(&[]);
}
