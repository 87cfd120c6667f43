//! `config.yaml`, `actions.yaml`, `charmcraft.yaml` and `hooks/dispatch`.

use super::{faults, good, table};

#[test]
fn options() {
    let rows = [
        ("port: {type: int, default: 8083, description: d}", ""),
        ("load: {type: float, default: 0.5, description: d}", ""),
        ("on: {type: boolean, default: true, description: d}", ""),
        (
            "key: {type: secret, default: 'secret:abc', description: d}",
            "",
        ),
        ("key: {type: secret, default: '', description: d}", ""),
        ("port: 8083", "options.port: must be a map"),
        (
            "port: {default: 8083, description: d}",
            "options.port.type: a text is required",
        ),
        (
            "port: {type: int}",
            "options.port.description: a text is required",
        ),
        (
            "port: {type: number, description: d}",
            "options.port.type: must be one of string, int, float, boolean, secret",
        ),
        (
            "port: {type: int, default: \"8083\", description: d}",
            "options.port.default: not of type int",
        ),
        (
            "port: {type: int, default: 1.5, description: d}",
            "options.port.default: not of type int",
        ),
        (
            "port: {type: int, default: , description: d}",
            "options.port.default: not of type int",
        ),
        (
            "name: {type: string, default: 4.1, description: d}",
            "options.name.default: not of type string",
        ),
        (
            "on: {type: boolean, default: \"true\", description: d}",
            "options.on.default: not of type boolean",
        ),
        (
            "load: {type: float, default: x, description: d}",
            "options.load.default: not of type float",
        ),
        (
            "key: {type: secret, default: abc, description: d}",
            "options.key.default: not of type secret",
        ),
        (
            "rest_port: {type: int, description: d}",
            "options.rest_port: an option's name has no underscore",
        ),
        (
            "Rest: {type: int, description: d}",
            "options.Rest: not an option's name",
        ),
        (
            "trust: {type: boolean, description: d}",
            "options.trust: Juju keeps this name for itself",
        ),
        (
            "port: {type: int, description: d, min: 1}",
            "options.port.min: unknown key",
        ),
    ];
    table("config.yaml", &rows, |files, text| {
        files.config = format!("options: {{{text}}}");
    });
    let rows = [
        ("{}", "options: required, if only as an empty map"),
        ("options: {}\noption: {}", "option: unknown key"),
        ("options: [a]", "options: must be a map"),
    ];
    table("config.yaml", &rows, |files, text| {
        text.clone_into(&mut files.config);
    });
}

#[test]
fn actions() {
    let rows = [
        (
            "2-do: {description: d, title: t, parallel: true, execution-group: g, additionalProperties: true}",
            "",
        ),
        (
            "a: {description: d, params: {n: {type: integer, minimum: 0, default: 1, description: d}}, required: [n], additionalProperties: false}",
            "",
        ),
        ("restart:", "restart: must be a map"),
        (
            "a: {additionalProperties: false}",
            "a.description: a text is required",
        ),
        (
            "a: {description: d}",
            "a.additionalProperties: must be written",
        ),
        (
            "a: {description: d, additionalProperties: no thanks}",
            "a.additionalProperties: must be true or false",
        ),
        (
            "a: {description: d, title: 5, additionalProperties: false}",
            "a.title: must be a string",
        ),
        (
            "a: {description: d, parallel: 1, additionalProperties: false}",
            "a.parallel: must be true or false",
        ),
        (
            "List_All: {description: d, additionalProperties: false}",
            "List_All: an action's name has no underscore",
        ),
        (
            "List: {description: d, additionalProperties: false}",
            "List: not an action's name",
        ),
        (
            "a-: {description: d, additionalProperties: false}",
            "a-: not an action's name",
        ),
        (
            "juju-run: {description: d, additionalProperties: false}",
            "juju-run: the name is reserved",
        ),
        (
            "actions: {a: {description: d}}",
            "actions: the actions stand at the top of the file, not below a key",
        ),
        (
            "a: {description: d, params: [n], additionalProperties: false}",
            "a.params: must be a map",
        ),
        (
            "a: {description: d, params: {n: integer}, additionalProperties: false}",
            "a.params.n: must be a map",
        ),
        (
            "a: {description: d, params: {my_n: {type: integer, description: d}}, additionalProperties: false}",
            "a.params.my_n: a parameter's name has no underscore",
        ),
        (
            "a: {description: d, params: {n: {type: integer, default: x, description: d}}, additionalProperties: false}",
            "a.params.n.default: does not fit its own schema",
        ),
        (
            "a: {description: d, params: {n: {type: integer, description: d, $ref: x}}, additionalProperties: false}",
            "a.params.n.$ref: Juju refuses this key",
        ),
        (
            "a: {description: d, $schema: x, additionalProperties: false}",
            "a.$schema: Juju refuses this key",
        ),
        (
            "a: {description: d, required: n, additionalProperties: false}",
            "a.required: must be a list",
        ),
        (
            "a: {description: d, required: [n], additionalProperties: false}",
            "a.required: \"n\" is not a parameter",
        ),
    ];
    table("actions.yaml", &rows, |files, text| {
        text.clone_into(&mut files.actions);
    });
}

#[test]
fn schemas_of_another_draft() {
    for schema in [
        "{type: int, description: d}",
        "{type: integer, description: d, minimum: '0'}",
        "{type: integer, description: d, exclusiveMinimum: 0}",
        "{type: string, description: d, required: true}",
        "{type: string, description: d, enum: x}",
        "{type: string, description: d, minLength: -1}",
        "{type: array, description: d, items: string}",
    ] {
        let mut files = good();
        files.actions =
            format!("a: {{description: d, params: {{n: {schema}}}, additionalProperties: false}}");
        let found = faults(&files);
        assert_eq!(found.len(), 1, "{schema}: {found:?}");
        assert!(
            found[0].starts_with("actions.yaml: a: not a JSON schema of draft 4: "),
            "{schema}: {found:?}"
        );
    }
}

#[test]
fn charmcraft() {
    for (from, to, fault) in [
        ("type: charm", "type: bundle", "type: must be charm"),
        (
            "type: charm",
            "type: charm\nname: x",
            "name: metadata.yaml has it; charmcraft refuses both",
        ),
        (
            "type: charm",
            "type: charm\nconfig: {}",
            "config: config.yaml has it; charmcraft refuses both",
        ),
        (
            "type: charm",
            "type: charm\nactions: {}",
            "actions: actions.yaml has it; charmcraft refuses both",
        ),
        (
            "type: charm",
            "type: charm\nbases: []",
            "bases: bases belong into platforms",
        ),
        (
            "type: charm",
            "type: charm\nprovides: {}",
            "provides: charmcraft refuses it or, beside a metadata.yaml, drops it",
        ),
        (
            "ubuntu@24.04:amd64",
            "noble:amd64",
            "platforms.noble:amd64: must be BASE:ARCHITECTURE, of those supported",
        ),
        (
            "amd64:",
            "amd64: {build-for: arm64}",
            "platforms.ubuntu@24.04:amd64: must have no value",
        ),
        (
            "platforms:\n  ubuntu@24.04:amd64:",
            "platforms: {}",
            "platforms: must name at least one platform",
        ),
        (
            "rust-channel: '1.95.0', ",
            "",
            "parts.binaries.rust-channel: a text is required",
        ),
        (
            "rust-path: [.]",
            "rust-path: []",
            "parts.binaries.rust-path: must name the packages",
        ),
        (
            "stage: [dispatch]",
            "stage: [README.md]",
            "parts: none packs hooks/dispatch as dispatch",
        ),
        (
            "plugin: rust",
            "plugin: make",
            "parts: none builds the programs",
        ),
    ] {
        let mut files = good();
        files.charmcraft = files.charmcraft.replacen(from, to, 1);
        assert_eq!(
            faults(&files),
            [format!("charmcraft.yaml: {fault}")],
            "{from} -> {to}"
        );
    }
}

#[test]
fn dispatch() {
    let last = |line: &str| format!("the last line must be `exec ./bin/` and engine, not `{line}`");
    let rows = [
        (
            "#!/bin/sh\n# 'quoted'\nexec ./bin/engine\n\n",
            String::new(),
        ),
        (
            "exec ./bin/engine\n",
            "must begin with its interpreter".into(),
        ),
        (
            "#!/bin/sh\n# don't\nexec ./bin/engine\n",
            "has a line with a lone '".into(),
        ),
        (
            "#!/bin/sh\nexec ./bin/engine \"$@\"\n",
            last("exec ./bin/engine \"$@\""),
        ),
        (
            "#!/bin/sh\nexec \"$JUJU_CHARM_DIR/bin/engine\"\n",
            last("exec \"$JUJU_CHARM_DIR/bin/engine\""),
        ),
        ("#!/bin/sh\n./bin/engine\n", last("./bin/engine")),
        ("#!/bin/sh\nexec ./bin/other\n", last("exec ./bin/other")),
        (
            "#!/bin/sh\r\nexec ./bin/engine\r\n",
            "must have Unix line ends".into(),
        ),
    ];
    let rows: Vec<(&str, &str)> = rows
        .iter()
        .map(|(text, fault)| (*text, fault.as_str()))
        .collect();
    table("hooks/dispatch", &rows, |files, text| {
        text.clone_into(&mut files.dispatch);
    });
    table(
        "hooks/dispatch",
        &[("", "must be executable: Juju does not make it so")],
        |files, _| {
            files.dispatch_mode = 0o644;
        },
    );
}
