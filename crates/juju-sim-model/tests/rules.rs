//! Every rule of the model, by example: a few runs of a charm and what its tools answer.
//!
//! The rules stand in `tests/rules/*.yaml`. Each has an id, a sentence, the part of Juju it
//! imitates, and the runs that show it. All start from the same small world, made here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::struct_field_names,
    reason = "a test may panic, and reads best with the words of its rules"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use juju_sim_model::context::{
    Files, HookContext, HookKind, HookSpec, RelationEvent, RelationHook, Reply,
};
use juju_sim_model::state::{
    Application, ConfigOption, ConfigValue, Endpoint, Life, MemberView, Model, Network, OptionType,
    Resource, Role, Scope, StorageInstance, Unit, application_of,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    rule: String,
    imitates: String,
    #[serde(default = "juju_3")]
    juju: String,
    runs: Vec<Run>,
}

fn juju_3() -> String {
    "3.6.11".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    #[serde(default = "web_0")]
    unit: String,
    /// `config-changed`, `db-relation-joined db/0`, `action`.
    #[serde(default = "config_changed")]
    hook: String,
    /// What happens before: `leader web/1`, `remove-relation 1`, `trust web`.
    #[serde(default)]
    first: Option<String>,
    #[serde(default)]
    exit: i32,
    /// The controller's refusal.
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    calls: Vec<Call>,
}

fn web_0() -> String {
    "web/0".to_owned()
}

fn config_changed() -> String {
    "config-changed".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    run: Words,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    out: String,
    /// Without `ERROR ` and the newline.
    #[serde(default)]
    err: Option<String>,
    /// Keeps the output, without its newline, to be used as `$name` further on; its last 20
    /// characters are `$id`.
    #[serde(default)]
    keep: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Words {
    /// Split at spaces.
    Line(String),
    List(Vec<String>),
}

/// Files of the charm's directory.
#[derive(Default)]
struct Charm(RefCell<BTreeMap<String, Vec<u8>>>);

impl Files for Charm {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let content = self.0.borrow().get(path).cloned();
        content.ok_or_else(|| "no such file or directory".to_owned())
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
        self.0
            .borrow_mut()
            .insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

const CHARM: &str = "/agent/charm";

/// Two applications of two units: `web` requires what `db` provides (relation 1), and has a peer
/// relation (0). `cache` is related to nobody.
fn world(version: &str) -> Model {
    let mut model = Model::new("aaaaaaaa-0000-4000-8000-000000000001", "shop", version);
    model.now_ms = 1_800_000_000_000;
    for (name, count) in [("web", 2), ("db", 2), ("cache", 1)] {
        let mut application = Application::new(name, name);
        application.leader = Some(format!("{name}/0"));
        model.applications.insert(name.to_owned(), application);
        for number in 0..count {
            let id = model.counters.machine;
            model.counters.machine += 1;
            let mut unit = Unit::new(&format!("{name}/{number}"), &id.to_string());
            let address = format!("10.1.0.{}", id + 1);
            unit.default_network = Some(Network::simple(
                "eth0",
                "02:00:00:00:00:01",
                &address,
                "10.1.0.0/24",
            ));
            unit.public_address.clone_from(&address);
            unit.private_address = address;
            model.units.insert(unit.name.clone(), unit);
        }
    }
    let web = model.applications.get_mut("web").unwrap();
    for (name, kind, default) in [
        ("port", OptionType::Int, Some(ConfigValue::Int(8080))),
        ("title", OptionType::String, None),
    ] {
        let option = ConfigOption {
            kind,
            default,
            description: String::new(),
        };
        web.options.insert(name.to_owned(), option);
    }
    web.storage_limits.insert("files".to_owned(), Some(2));
    let resource = Resource {
        filename: "site.tgz".to_owned(),
        source: Some("x".to_owned()),
        revision: 1,
    };
    web.resources.insert("site".to_owned(), resource);
    let endpoint = |application: &str, name: &str, role| Endpoint {
        application: application.to_owned(),
        name: name.to_owned(),
        role,
        interface: "sql".to_owned(),
        scope: Scope::Global,
        model_uuid: None,
    };
    model.add_relation(vec![endpoint("web", "cluster", Role::Peer)]);
    model.add_relation(vec![
        endpoint("web", "db", Role::Requirer),
        endpoint("db", "clients", Role::Provider),
    ]);
    for (id, unit, others) in [
        (0, "web/0", vec!["web/1"]),
        (0, "web/1", vec!["web/0"]),
        (1, "web/0", vec!["db/0"]),
        (1, "web/1", vec!["db/0"]),
        (1, "db/0", vec!["web/0", "web/1"]),
        (1, "db/1", vec!["web/0", "web/1"]),
    ] {
        model.enter_scope(id, unit);
        let view = model
            .units
            .get_mut(unit)
            .unwrap()
            .relations
            .get_mut(&id)
            .unwrap();
        view.created = true;
        view.members.extend(
            others
                .iter()
                .map(|other| ((*other).to_owned(), MemberView::default())),
        );
    }
    let storage = StorageInstance {
        id: "files/0".to_owned(),
        location: "/srv/files".to_owned(),
        ..StorageInstance::default()
    };
    model.units.get_mut("web/0").unwrap().storage.push(storage);
    model
}

fn prepare(model: &mut Model, what: &str) {
    let words: Vec<&str> = what.split(' ').collect();
    match words.as_slice() {
        ["leader", unit] => {
            let application = model.applications.get_mut(application_of(unit)).unwrap();
            application.leader = Some((*unit).to_owned());
        }
        ["trust", application] => model.applications.get_mut(*application).unwrap().trusted = true,
        ["dying", relation] => {
            model
                .relations
                .get_mut(&relation.parse().unwrap())
                .unwrap()
                .life = Life::Dying;
        }
        ["gone", relation] => {
            model
                .relations
                .get_mut(&relation.parse().unwrap())
                .unwrap()
                .gone = true;
        }
        ["remove-relation", relation] => model.remove_relation(relation.parse().unwrap()),
        ["config", option, value] => {
            let web = model.applications.get_mut("web").unwrap();
            web.config.insert(
                (*option).to_owned(),
                ConfigValue::String((*value).to_owned()),
            );
        }
        other => panic!("unknown preparation {other:?}"),
    }
}

fn spec(unit: &str, hook: &str) -> HookSpec {
    let mut words = hook.split(' ');
    let name = words.next().unwrap();
    let remote = words.next();
    let events = [
        ("-relation-created", RelationEvent::Created),
        ("-relation-joined", RelationEvent::Joined),
        ("-relation-changed", RelationEvent::Changed),
        ("-relation-departed", RelationEvent::Departed),
        ("-relation-broken", RelationEvent::Broken),
    ];
    let event = events
        .iter()
        .find_map(|(end, event)| Some((name.strip_suffix(end)?, *event)));
    let kind = if let Some((endpoint, event)) = event {
        let (relation, other) = match (endpoint, application_of(unit)) {
            ("cluster", _) => (0, "web"),
            (_, "web") => (1, "db"),
            _ => (1, "web"),
        };
        HookKind::Relation(RelationHook {
            event,
            relation,
            remote_unit: remote.map(str::to_owned),
            remote_application: other.to_owned(),
            departing_unit: (event == RelationEvent::Departed).then(|| remote.unwrap().to_owned()),
        })
    } else if name == "action" {
        let params = serde_json::json!({"depth": {"inner": "x"}, "big": 5_000_000});
        HookKind::Action {
            id: "7".to_owned(),
            name: "act".to_owned(),
            params: params.as_object().unwrap().clone(),
        }
    } else if name.ends_with("-storage-attached") {
        HookKind::Storage {
            id: remote.unwrap().to_owned(),
        }
    } else {
        HookKind::Plain
    };
    HookSpec {
        name: name.to_owned(),
        kind,
        context_id: format!("{unit}-{name}-1"),
        agent_dir: "/agent".to_owned(),
    }
}

/// What the driver does after a hook that succeeded.
fn follow(model: &mut Model, unit: &str, spec: &HookSpec) {
    let HookKind::Relation(hook) = &spec.kind else {
        return;
    };
    let relations = &mut model.units.get_mut(unit).unwrap().relations;
    let Some(view) = relations.get_mut(&hook.relation) else {
        return;
    };
    match (hook.event, &hook.remote_unit) {
        (RelationEvent::Joined, Some(remote)) => {
            view.members.entry(remote.clone()).or_default();
        }
        (RelationEvent::Departed, Some(remote)) => drop(view.members.remove(remote)),
        (RelationEvent::Broken, _) => drop(relations.remove(&hook.relation)),
        _ => {}
    }
}

fn check(rule: &Rule) -> Result<(), String> {
    let mut model = world(&rule.juju);
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let charm = Charm::default();
    for (name, content) in [
        ("pairs.yaml", "a: 1\nb: true\nc: null\n"),
        ("nested.yaml", "a: [1]\n"),
    ] {
        charm.write(&format!("{CHARM}/{name}"), content.as_bytes())?;
    }
    for (number, run) in rule.runs.iter().enumerate() {
        if let Some(what) = &run.first {
            prepare(&mut model, what);
        }
        let spec = spec(&run.unit, &run.hook);
        let mut context =
            HookContext::open(&mut model, &run.unit, spec.clone()).map_err(|e| e.to_string())?;
        for call in &run.calls {
            let words = match call.run.clone() {
                Words::Line(line) => line.split(' ').map(str::to_owned).collect(),
                Words::List(list) => list,
            };
            let known = kept.clone();
            let fill = |text: &str| {
                known.iter().fold(text.to_owned(), |text, (name, value)| {
                    text.replace(&format!("${name}"), value)
                })
            };
            let argv: Vec<String> = words.iter().map(|word| fill(word)).collect();
            let at = format!("{} run {} `{}`", rule.id, number + 1, argv.join(" "));
            let stdin = call.stdin.as_ref().map(String::as_bytes);
            let mut reply = context.call(&mut model, &argv, CHARM, None, &charm);
            if reply == Reply::NeedsStdin {
                reply = context.call(&mut model, &argv, CHARM, stdin, &charm);
            } else if stdin.is_some() {
                return Err(format!("{at}: standard input was not wanted"));
            }
            let Reply::Answer(answer) = reply else {
                return Err(format!("{at}: wants standard input"));
            };
            let (out, err) = (
                String::from_utf8_lossy(&answer.stdout).into_owned(),
                String::from_utf8_lossy(&answer.stderr).into_owned(),
            );
            if let Some(name) = &call.keep {
                let out = out.trim_end();
                kept.insert(name.clone(), out.to_owned());
                if let Some(at) = out.len().checked_sub(20) {
                    kept.insert("id".to_owned(), out[at..].to_owned());
                }
            } else if (answer.code, out.as_str()) != (call.code, fill(&call.out).as_str()) {
                return Err(format!(
                    "{at}: got {} {out:?} {err:?}, wanted {} {:?}",
                    answer.code, call.code, call.out
                ));
            }
            let wanted = call
                .err
                .as_ref()
                .map(|text| format!("ERROR {}\n", fill(text)))
                .unwrap_or_default();
            if err != wanted {
                return Err(format!("{at}: got {err:?}, wanted {wanted:?}"));
            }
        }
        if run.exit != 0 {
            context.discard(&mut model, "exit status 1");
            continue;
        }
        let refused = context.commit(&mut model).err().map(|error| error.reason);
        let wanted = run.refused.as_ref().map(|text| {
            kept.iter().fold(text.clone(), |text, (name, value)| {
                text.replace(&format!("${name}"), value)
            })
        });
        if refused != wanted {
            let at = format!("{} run {}", rule.id, number + 1);
            return Err(format!(
                "{at}: commit refused with {refused:?}, wanted {wanted:?}"
            ));
        }
        if refused.is_none() {
            follow(&mut model, &run.unit, &spec);
        }
    }
    Ok(())
}

fn rules() -> Vec<Rule> {
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<Rule> {
        let text = std::fs::read_to_string(path).unwrap();
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().flat_map(read).collect()
}

#[test]
fn every_rule_holds() {
    let broken: Vec<String> = rules()
        .iter()
        .filter_map(|rule| check(rule).err())
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_rule_says_what_it_is_about() {
    let rules = rules();
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.len(), rules.len(), "two rules share an id");
    for rule in &rules {
        assert!(
            rule.rule.ends_with('.') && !rule.imitates.is_empty(),
            "{}",
            rule.id
        );
    }
}
