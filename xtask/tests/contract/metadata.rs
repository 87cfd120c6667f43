//! `metadata.yaml`.

use super::table;

#[test]
fn metadata() {
    let rows = [
        ("", ""),
        (
            "display-name: K\ndocs: https://example.com/x\nissues: [https://example.com/i]\nterms: [t, o/t, o/t/2]",
            "",
        ),
        ("charm-user: root", ""),
        (
            "nmae: x",
            "nmae: unknown key, or one that a machine charm has no use for",
        ),
        (
            "containers: {a: {}}",
            "containers: unknown key, or one that a machine charm has no use for",
        ),
        (
            "series: [noble]",
            "series: refused beside assumes and a manifest with bases",
        ),
        (
            "min-juju-version: 3.6.0",
            "min-juju-version: refused beside assumes and a manifest with bases",
        ),
        ("display-name: 5", "display-name: must be a string"),
        ("docs: example.com", "docs: must be a URL"),
        ("docs: [https://example.com]", "docs: must be a URL"),
        ("issues: [https://example.com, x]", "issues: must be a URL"),
        ("maintainers: me", "maintainers: must be a list of strings"),
        (
            "terms: [a/b/c/d]",
            "terms: must be a list of [owner/]name[/revision]",
        ),
        (
            "charm-user: admin",
            "charm-user: must be one of root, sudoer, non-root",
        ),
        (
            "name: twice",
            "cannot be parsed: duplicate entry with key \"name\"",
        ),
    ];
    table("metadata.yaml", &rows, |files, text| {
        files.metadata.push_str(text);
    });
    let rows = [
        (
            "summary: s\ndescription: d\nassumes: [juju]",
            "name: a text is required",
        ),
        (
            "name: K_C\nsummary: s\ndescription: d\nassumes: [juju]",
            "name: `K_C` is not a charm's name",
        ),
        (
            "name: kafka-2\nsummary: s\ndescription: d\nassumes: [juju]",
            "name: `kafka-2` is not a charm's name",
        ),
        (
            "name: a\nsummary: \"s\\nt\"\ndescription: d\nassumes: [juju]",
            "summary: must be one line of at most 200 characters",
        ),
        (
            "name: a\nsummary: s\ndescription: ''\nassumes: [juju]",
            "description: a text is required",
        ),
        (
            "name: a\nsummary: s\ndescription: d",
            "assumes: must say which Juju the charm needs",
        ),
        ("- name", "must be a map"),
        ("", "must be a map"),
    ];
    table("metadata.yaml", &rows, |files, text| {
        text.clone_into(&mut files.metadata);
    });
}

#[test]
fn assumptions() {
    let rows = [
        ("[juju]", ""),
        ("[any-of: [juju >= 3.6.1, all-of: [juju < 5]]]", ""),
        (
            "juju >= 3.6",
            "assumes: must be a list with something in it",
        ),
        ("[]", "assumes: must be a list with something in it"),
        (
            "[juju > 3.6]",
            "assumes[0]: \"juju > 3.6\" is not an assumption, such as `juju >= 3.6`",
        ),
        (
            "[juju >= 3.x]",
            "assumes[0]: \"juju >= 3.x\" is not an assumption, such as `juju >= 3.6`",
        ),
        (
            "[jujuu >= 3.6]",
            "assumes[0]: \"jujuu >= 3.6\" is not an assumption, such as `juju >= 3.6`",
        ),
        ("[k8s-api]", "assumes[0]: no machine model has it"),
        (
            "[one-of: [juju]]",
            "assumes[0]: must be any-of or all-of with a list",
        ),
        (
            "[any-of: juju]",
            "assumes[0]: must be any-of or all-of with a list",
        ),
        (
            "[{any-of: [juju], all-of: [juju]}]",
            "assumes[0]: {\"all-of\":[\"juju\"],\"any-of\":[\"juju\"]} is not an assumption, such as `juju >= 3.6`",
        ),
    ];
    table("metadata.yaml", &rows, |files, text| {
        files.metadata = files.metadata.replace("[juju >= 3.6]", text);
    });
}

#[test]
fn endpoints() {
    let rows = [
        (
            "provides: {a: {interface: x}, b_c: {interface: y, limit: 1, scope: global, optional: true}}",
            "",
        ),
        (
            "requires: {d: {interface: juju-info}}\npeers: {e: {interface: z}}\nextra-bindings: {admin: }",
            "",
        ),
        (
            "subordinate: true\nrequires: {host: {interface: juju-info, scope: container}}",
            "",
        ),
        ("provides: [a]", "provides: must be a map"),
        (
            "provides: {Rest: {interface: x}}",
            "provides.Rest: not an endpoint's name",
        ),
        (
            "provides: {juju: {interface: x}}",
            "provides.juju: the name is reserved",
        ),
        (
            "requires: {juju-a: {interface: x}}",
            "requires.juju-a: the name is reserved",
        ),
        (
            "provides: {a: {interface: juju-info}}",
            "provides.a.interface: the name is reserved",
        ),
        (
            "peers: {a: {interface: juju}}",
            "peers.a.interface: the name is reserved",
        ),
        (
            "provides: {a: {interface: x}}\nrequires: {a: {interface: y}}",
            "requires.a: the name is used in provides already",
        ),
        (
            "requires: {a: {limit: 1}}",
            "requires.a.interface: a text is required",
        ),
        ("requires: {a: }", "requires.a: must be a map"),
        (
            "requires: {a: {interface: x, limit: one}}",
            "requires.a.limit: must be a whole number",
        ),
        (
            "requires: {a: {interface: x, limit: -1}}",
            "requires.a.limit: must be a whole number",
        ),
        (
            "requires: {a: {interface: x, scope: local}}",
            "requires.a.scope: must be one of global, container",
        ),
        (
            "requires: {a: {interface: x, optional: 1}}",
            "requires.a.optional: must be true or false",
        ),
        (
            "requires: {a: {interface: x, limits: 1}}",
            "requires.a.limits: unknown key",
        ),
        (
            "subordinate: true",
            "subordinate: needs a requirer with scope container",
        ),
        (
            "subordinate: yes please",
            "subordinate: must be true or false",
        ),
        (
            "extra-bindings: {}",
            "extra-bindings: must name at least one binding",
        ),
        (
            "extra-bindings: {a: b}",
            "extra-bindings.a: must have no value",
        ),
        (
            "provides: {a: {interface: x}}\nextra-bindings: {a: }",
            "extra-bindings.a: an endpoint has this name",
        ),
    ];
    table("metadata.yaml", &rows, |files, text| {
        files.metadata.push_str(text);
    });
}

#[test]
fn storage_and_resources() {
    let range = "storage.p.multiple.range: must be m, m-n, m+ or m-";
    let size = "storage.p.minimum-size: must be a string such as \"1G\"";
    let rows = [
        (
            "{type: filesystem, location: /x, description: d, shared: false, read-only: true}",
            "",
        ),
        (
            "{type: block, description: d, minimum-size: 2G, properties: [transient]}",
            "",
        ),
        (
            "{type: filesystem, description: d, multiple: {range: 0-1}}",
            "",
        ),
        (
            "{type: filesystem, description: d, multiple: {range: 1+}}",
            "",
        ),
        (
            "{type: filesystem, description: d, multiple: {range: 2}}",
            "",
        ),
        ("filesystem", "storage.p: must be a map"),
        ("{description: d}", "storage.p.type: a text is required"),
        (
            "{type: tmpfs, description: d}",
            "storage.p.type: must be one of filesystem, block",
        ),
        (
            "{type: block, description: d, location: /x}",
            "storage.p.location: only a filesystem has one",
        ),
        (
            "{type: filesystem, description: d, location: x}",
            "storage.p.location: must be an absolute path",
        ),
        ("{type: filesystem, description: d, minimum-size: 1}", size),
        ("{type: filesystem, description: d, minimum-size: 1K}", size),
        ("{type: filesystem, description: d, multiple: {}}", range),
        (
            "{type: filesystem, description: d, multiple: {range: 3-1}}",
            range,
        ),
        (
            "{type: filesystem, description: d, multiple: {range: many}}",
            range,
        ),
        (
            "{type: filesystem, description: d, properties: [fast]}",
            "storage.p.properties: transient is the only property",
        ),
        (
            "{type: filesystem, description: d, size: 1G}",
            "storage.p.size: unknown key",
        ),
    ];
    table("metadata.yaml", &rows, |files, text| {
        files.metadata = format!("{}storage: {{p: {text}}}\n", files.metadata);
    });
    let rows = [
        ("{type: file, filename: k.tgz, description: d}", ""),
        (
            "{type: file, description: d}",
            "resources.k.filename: a text is required",
        ),
        (
            "{filename: k.tgz, description: d}",
            "resources.k.type: a text is required",
        ),
        (
            "{type: file, filename: a/k.tgz, description: d}",
            "resources.k.filename: must be a name without directories",
        ),
        (
            "{type: file, filename: .., description: d}",
            "resources.k.filename: must be a name without directories",
        ),
        (
            "{type: image, description: d}",
            "resources.k.type: must be one of file, oci-image",
        ),
        (
            "{type: file, filename: k, description: d, path: x}",
            "resources.k.path: unknown key",
        ),
        ("file", "resources.k: must be a map"),
    ];
    table("metadata.yaml", &rows, |files, text| {
        files.metadata = format!("{}resources: {{k: {text}}}\n", files.metadata);
    });
}
