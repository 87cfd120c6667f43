//! The environment of a charm's process: the variables of each kind of run, and no others.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and reads best with the words of its rules"
)]

use std::collections::BTreeMap;

use juju_sim_model::context::{HookContext, HookKind, HookSpec, Host, RelationEvent, RelationHook};
use juju_sim_model::state::{Application, Endpoint, Model, Role, Scope, Unit};

fn environment(version: &str, name: &str, kind: HookKind) -> BTreeMap<String, String> {
    let mut model = Model::new("aaaaaaaa-0000-4000-8000-000000000001", "shop", version);
    model
        .config
        .insert("juju-http-proxy".to_owned(), "http://proxy:1".to_owned());
    model
        .config
        .insert("no-proxy".to_owned(), "local".to_owned());
    model
        .applications
        .insert("web".to_owned(), Application::new("web", "web"));
    model
        .units
        .insert("web/0".to_owned(), Unit::new("web/0", "3"));
    let endpoint = |application: &str, name: &str, role| Endpoint {
        application: application.to_owned(),
        name: name.to_owned(),
        role,
        interface: "sql".to_owned(),
        scope: Scope::Global,
        model_uuid: None,
    };
    let endpoints = vec![
        endpoint("web", "database", Role::Requirer),
        endpoint("db", "clients", Role::Provider),
    ];
    let id = model.add_relation(endpoints);
    model.enter_scope(id, "web/0");
    let spec = HookSpec {
        name: name.to_owned(),
        kind,
        context_id: "web/0-x-1".to_owned(),
        agent_dir: "/agent".to_owned(),
    };
    let context = HookContext::open(&mut model, "web/0", spec).unwrap();
    let host = Host {
        charm_dir: "/agent/charm".to_owned(),
        socket: "/agent/agent.socket".to_owned(),
        tools_dir: "/tools".to_owned(),
        path: "/usr/bin:/bin".to_owned(),
        api_addresses: vec!["10.0.0.1:17070".to_owned(), "10.0.0.2:17070".to_owned()],
    };
    context.environment(&model, &host).into_iter().collect()
}

fn relation(event: RelationEvent, unit: Option<&str>, departing: Option<&str>) -> HookKind {
    HookKind::Relation(RelationHook {
        event,
        relation: 0,
        remote_unit: unit.map(str::to_owned),
        remote_application: "db".to_owned(),
        departing_unit: departing.map(str::to_owned),
    })
}

/// The variables whose names do not stand in a plain hook's environment.
fn particulars(variables: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let plain = environment("3.6.11", "start", HookKind::Plain);
    let more = variables
        .iter()
        .filter(|(name, _)| !plain.contains_key(*name));
    more.map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn a_plain_hook_sees_these_and_no_others() {
    let seen = environment("3.6.11", "config-changed", HookKind::Plain);
    let expected: BTreeMap<String, String> = [
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("CHARM_DIR", "/agent/charm"),
        ("CLOUD_API_VERSION", ""),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("JUJU_AGENT_SOCKET_ADDRESS", "/agent/agent.socket"),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix"),
        ("JUJU_API_ADDRESSES", "10.0.0.1:17070 10.0.0.2:17070"),
        ("JUJU_AVAILABILITY_ZONE", ""),
        ("JUJU_CHARM_DIR", "/agent/charm"),
        ("JUJU_CHARM_FTP_PROXY", ""),
        ("JUJU_CHARM_HTTPS_PROXY", ""),
        ("JUJU_CHARM_HTTP_PROXY", "http://proxy:1"),
        ("JUJU_CHARM_NO_PROXY", ""),
        ("JUJU_CONTEXT_ID", "web/0-x-1"),
        ("JUJU_DISPATCH_PATH", "hooks/config-changed"),
        ("JUJU_HOOK_NAME", "config-changed"),
        ("JUJU_MACHINE_ID", "3"),
        ("JUJU_MODEL_NAME", "shop"),
        ("JUJU_MODEL_UUID", "aaaaaaaa-0000-4000-8000-000000000001"),
        ("JUJU_PRINCIPAL_UNIT", ""),
        ("JUJU_SLA", "unsupported"),
        ("JUJU_UNIT_NAME", "web/0"),
        ("JUJU_VERSION", "3.6.11"),
        ("LANG", "C.UTF-8"),
        ("NO_PROXY", "local"),
        ("PATH", "/tools:/usr/bin:/bin"),
        ("TERM", "tmux-256color"),
        ("no_proxy", "local"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(seen, expected);
}

#[test]
fn juju_4_has_no_support_level_and_the_trace_variables() {
    let seen = environment("4.0.1", "config-changed", HookKind::Plain);
    assert!(!seen.contains_key("JUJU_SLA"));
    assert_eq!(seen["JUJU_CHARM_TRACE_CONFIG_HTTP"], "");
}

#[test]
fn a_relation_hook_names_the_other_side() {
    let kind = relation(RelationEvent::Departed, Some("db/1"), Some("db/1"));
    assert_eq!(
        particulars(&environment("3.6.11", "database-relation-departed", kind)),
        [
            ("JUJU_DEPARTING_UNIT", "db/1"),
            ("JUJU_RELATION", "database"),
            ("JUJU_RELATION_ID", "database:0"),
            ("JUJU_REMOTE_APP", "db"),
            ("JUJU_REMOTE_UNIT", "db/1"),
        ]
    );
    let kind = relation(RelationEvent::Broken, None, None);
    let broken = environment("3.6.11", "database-relation-broken", kind);
    assert_eq!(
        (
            broken["JUJU_REMOTE_UNIT"].as_str(),
            broken["JUJU_REMOTE_APP"].as_str()
        ),
        ("", "db")
    );
}

#[test]
fn secrets_and_actions_have_their_own() {
    let kind = HookKind::Secret {
        uri: "secret:x".to_owned(),
        label: String::new(),
        revision: Some(2),
    };
    assert_eq!(
        particulars(&environment("3.6.11", "secret-remove", kind)),
        [
            ("JUJU_SECRET_ID", "secret:x"),
            ("JUJU_SECRET_LABEL", ""),
            ("JUJU_SECRET_REVISION", "2")
        ]
    );
    let kind = HookKind::Action {
        id: "4".to_owned(),
        name: "restart".to_owned(),
        params: serde_json::Map::new(),
    };
    let action = environment("3.6.11", "restart", kind);
    assert_eq!(
        particulars(&action),
        [
            ("JUJU_ACTION_NAME", "restart"),
            ("JUJU_ACTION_TAG", "action-4"),
            ("JUJU_ACTION_UUID", "4")
        ]
    );
    assert_eq!(
        (
            action["JUJU_HOOK_NAME"].as_str(),
            action["JUJU_DISPATCH_PATH"].as_str()
        ),
        ("", "actions/restart")
    );
}

#[test]
fn commands_from_outside_are_not_dispatched() {
    let kind = HookKind::Exec {
        relation: Some(0),
        remote_unit: Some("db/0".to_owned()),
        remote_application: None,
    };
    let seen = environment("3.6.11", "run-commands", kind);
    assert!(!seen.contains_key("JUJU_DISPATCH_PATH"));
    assert_eq!(seen["JUJU_HOOK_NAME"], "");
    assert_eq!(
        (
            seen["JUJU_RELATION_ID"].as_str(),
            seen["JUJU_REMOTE_APP"].as_str()
        ),
        ("database:0", "")
    );
}
