//! The hook commands against scripts that stand in for them.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of tests cannot do fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use hook_tools::{Level, Revision, SecretOwner, SecretRef, ToolError, Tools};

/// A directory with one script under the name of each tool, and the tools in it.
struct Fake {
    directory: tempfile::TempDir,
    tools: Tools,
}

/// `script` finds the directory in `$here`.
fn fake(names: &[&str], script: &str) -> Fake {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("script"), script).unwrap();
    // Links: a program written here could be held open by another test's child and not be run.
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tool.sh");
    for name in names {
        symlink(program, directory.path().join(name)).unwrap();
    }
    let tools = Tools::in_directory(directory.path().to_owned());
    Fake { directory, tools }
}

impl Fake {
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }
}

const SAY_ARGUMENTS: &str = r#"for word in "$@"; do echo "$word" >>"$here/arguments"; done"#;

#[test]
fn failures_are_told_apart_by_their_text() {
    for (text, status, expected) in [
        (
            r#"ERROR invalid value "x:7" for option -r: relation not found"#,
            2,
            "cannot find what relation-get was asked for: invalid value \"x:7\" for option -r: relation not found",
        ),
        (
            "ERROR permission denied",
            1,
            "cannot use relation-get: permission denied",
        ),
        (
            "ERROR connection is shut down",
            1,
            "hook tool relation-get failed with exit status 1: connection is shut down",
        ),
    ] {
        let script = format!("echo '{text}' >&2; exit {status}");
        let error = fake(&["relation-get"], &script)
            .tools
            .relation_data("x", 7, "app")
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.is_gone(), !expected.starts_with("hook tool"));
    }
}

#[test]
fn a_tool_that_is_missing_or_talks_nonsense_is_an_error() {
    let error = fake(&[], "").tools.is_leader().unwrap_err();
    assert_eq!(error.to_string(), "cannot run hook tool is-leader");
    let error = fake(&["is-leader"], "echo True").tools.is_leader();
    assert!(matches!(error, Err(ToolError::Answer { .. })));
}

#[test]
fn null_is_empty_wherever_a_list_or_a_map_is_expected() {
    let fake = fake(
        &["relation-get", "opened-ports", "storage-list"],
        "echo null",
    );
    assert!(fake.tools.relation_data("x", 1, "a/0").unwrap().is_empty());
    assert!(fake.tools.opened_ports().unwrap().is_empty());
    assert!(fake.tools.storage("plugins").unwrap().is_empty());
    assert_eq!(fake.tools.calls(), 3);
}

#[test]
fn units_that_go_are_told_from_those_that_stay() {
    let script = r#"echo '{"units":{"a/0":{"status":"active","since":""},"a/1":{"status":"dying","since":""}},"relations":{"x":{"b/0":{"status":"dying","since":""}}}}'"#;
    let dying = fake(&["goal-state"], script).tools.dying_units().unwrap();
    assert_eq!(dying.into_iter().collect::<Vec<_>>(), ["a/1"]);
}

#[test]
fn relation_data_goes_through_standard_input() {
    let script = format!("{SAY_ARGUMENTS}\ncat >\"$here/input\"");
    let fake = fake(&["relation-set"], &script);
    let changes = BTreeMap::from([
        ("a".to_owned(), Some("line\n-r 9 \"x\"".to_owned())),
        ("b".to_owned(), None),
    ]);
    fake.tools.set_application_data("x", 3, &changes).unwrap();
    assert_eq!(fake.read("arguments"), "-r\nx:3\n--app\n--file\n-\n");
    assert_eq!(fake.read("input"), r#"{"a":"line\n-r 9 \"x\"","b":""}"#);
}

#[test]
fn ids_are_in_numerical_order() {
    let fake = fake(&["relation-ids"], r#"echo '["x:10","x:9"]'"#);
    assert_eq!(fake.tools.relation_ids("x").unwrap(), [9, 10]);
}

#[test]
fn secret_content_travels_in_files_for_root_alone_that_are_gone_afterwards() {
    let script = format!(
        r#"{SAY_ARGUMENTS}
for word in "$@"; do
  case $word in *'#file='*)
    file=${{word#*#file=}}
    stat -c %a "$file" "$(dirname "$file")" >>"$here/modes"
    cat "$file" >>"$here/content" ;;
  esac
done
echo secret:abc"#
    );
    let fake = fake(&["secret-add", "secret-set"], &script);
    let content = BTreeMap::from([("password".to_owned(), "s3cret = '\n".to_owned())]);
    let uri = fake
        .tools
        .add_secret(SecretOwner::Unit, "label", "text", &content)
        .unwrap();
    assert_eq!(uri, "secret:abc");
    fake.tools.set_secret(&uri, &content).unwrap();
    assert_eq!(fake.read("content"), "s3cret = '\ns3cret = '\n");
    assert_eq!(fake.read("modes"), "600\n700\n600\n700\n");
    let arguments = fake.read("arguments");
    assert!(!arguments.contains("s3cret"), "{arguments}");
    for file in arguments
        .lines()
        .filter_map(|word| word.split_once("#file="))
    {
        assert!(!fs::exists(file.1).unwrap(), "{}", file.1);
    }
}

#[test]
fn secrets_are_named_by_uri_label_or_both() {
    let script = format!("{SAY_ARGUMENTS}\necho '{{\"key\":\"value\"}}'");
    let fake = fake(&["secret-get"], &script);
    for (which, revision) in [
        (SecretRef::Uri("secret:a"), Revision::Tracked),
        (SecretRef::Label("l"), Revision::Peek),
        (
            SecretRef::Labelled {
                uri: "secret:a",
                label: "l",
            },
            Revision::Refresh,
        ),
    ] {
        let content = fake.tools.secret(which, revision).unwrap();
        assert_eq!(content["key"], "value");
    }
    assert_eq!(
        fake.read("arguments").replace('\n', " "),
        "--format=json secret:a --format=json --label l --peek --format=json secret:a --label l --refresh "
    );
}

#[test]
fn a_long_text_is_logged_in_pieces_and_one_like_an_option_as_text() {
    let script = r#"echo "$2 ${#4}" >>"$here/lengths""#;
    let fake = fake(&["juju-log"], script);
    let text = format!("--help{}", "ü".repeat(50_000));
    fake.tools.log(Level::Warning, &text);
    let lengths = fake.read("lengths");
    assert_eq!(lengths.lines().count(), 2, "{lengths}");
    assert!(lengths.starts_with("WARNING "), "{lengths}");
}

#[test]
fn network_answers_may_lack_anything() {
    for (answer, bind, ingress) in [
        ("{}", 0, 0),
        (r#"{"bind-addresses":null,"ingress-addresses":null}"#, 0, 0),
        (
            r#"{"bind-addresses":[{"addresses":[{"value":"10.0.0.5"},{"value":""}]},{}],"ingress-addresses":["10.0.0.5"]}"#,
            1,
            1,
        ),
    ] {
        let fake = fake(&["network-get"], &format!("echo '{answer}'"));
        let info = fake.tools.network("x").unwrap();
        assert_eq!((info.bind.len(), info.ingress.len()), (bind, ingress));
    }
}

#[test]
fn a_status_is_one_argument() {
    let fake = fake(&["status-set", "status-get"], SAY_ARGUMENTS);
    fake.tools.set_status("blocked", "--two words").unwrap();
    assert_eq!(fake.read("arguments"), "--\nblocked\n--two words\n");
}
