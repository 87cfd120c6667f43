//! Good evidence is green, and each way of tampering with it turns the right check red.

use super::*;

fn good() -> Evidence {
    let units = ["kc/0", "kc/1"];
    let probe = |status| {
        units
            .map(|unit| Probe {
                unit: unit.into(),
                status,
            })
            .to_vec()
    };
    let sample = |at, unit: &str, process: &str, plugin| Sample {
        at,
        unit: unit.into(),
        process: Some(process.into()),
        plugin,
    };
    let commit = |at, relation, key: &str| Commit {
        at,
        relation,
        application: "kc".into(),
        changes: BTreeMap::from([(key.to_owned(), Some("secret:x".to_owned()))]),
    };
    let records: Vec<String> = (0..1000).map(|n| format!("record {n}")).collect();
    let connectors = Connectors::from([(
        "mirror".to_owned(),
        vec!["RUNNING".to_owned(), "RUNNING".to_owned()],
    )]);
    Evidence {
        units: units.map(str::to_owned).into(),
        application: "kc".into(),
        first: 3,
        second: 4,
        commits: vec![
            commit(5_000, 3, "secret-user"),
            commit(7_000, 4, "secret-user"),
        ],
        hooks: vec![Hook {
            unit: "kc/0".into(),
            name: "start".into(),
            exit: 0,
            tool_calls: 9,
            millis: 40,
        }],
        samples: vec![
            sample(1_000, "kc/0", "10@1", false),
            sample(1_000, "kc/1", "11@1", false),
            sample(4_000, "kc/0", "20@4", true),
            sample(4_500, "kc/1", "21@4", true),
            sample(6_500, "kc/0", "20@4", true),
            sample(6_500, "kc/1", "21@4", true),
            sample(7_500, "kc/0", "20@4", true),
            sample(7_500, "kc/1", "21@4", true),
            sample(9_500, "kc/0", "20@4", true),
            sample(9_500, "kc/1", "21@4", true),
        ],
        sent: records.clone(),
        received: records,
        first_use: probe(200),
        spans: BTreeMap::from([
            ("deploy-to-active".to_owned(), (0, 20_000)),
            ("integrate-to-published".to_owned(), (1_000, 5_000)),
            ("second-client".to_owned(), (6_000, 8_000)),
            ("removal".to_owned(), (9_000, 10_000)),
        ]),
        removed_user: probe(401),
        remaining_user: probe(200),
        connectors: units
            .map(|unit| (unit.to_owned(), connectors.clone()))
            .into(),
        first_connectors: ["source", "sink"].map(str::to_owned).into(),
        second_connectors: ["mirror".to_owned()].into(),
        store: units.map(|unit| (unit.to_owned(), Vec::new())).into(),
        mirrored: 1000,
        memory_mib: 2000,
    }
}

fn red(evidence: &Evidence) -> Vec<&'static str> {
    judge(evidence)
        .into_iter()
        .filter(|check| !check.ok)
        .map(|check| check.name)
        .collect()
}

#[test]
fn good_evidence_is_green() {
    assert_eq!(red(&good()), Vec::<&str>::new());
}

#[test]
fn no_evidence_is_red_in_every_check() {
    let all = judge(&Evidence::default());
    let green: Vec<_> = all
        .iter()
        .filter(|check| check.ok)
        .map(|check| check.name)
        .collect();
    assert_eq!(green, Vec::<&str>::new());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn tampered_evidence_turns_the_right_check_red() {
    type Tamper = fn(&mut Evidence);
    let rows: [(&str, Tamper, &[&str]); 14] = [
        (
            "published early",
            |e| e.commits[0].at = 4_200,
            &["no-credentials-before-every-worker-has-the-plugin"],
        ),
        (
            "published early, in plain keys",
            |e| {
                let mut early = e.commits[0].clone();
                early.at = 2_000;
                early.changes = BTreeMap::from([("password".into(), Some("x".into()))]);
                e.commits.push(early);
            },
            &["no-credentials-before-every-worker-has-the-plugin"],
        ),
        (
            "one unit skipped",
            |e| {
                let skipped = e.samples.iter_mut().filter(|s| s.unit == "kc/1");
                skipped.for_each(|s| s.plugin = false);
            },
            &["no-credentials-before-every-worker-has-the-plugin"],
        ),
        (
            "one record lost",
            |e| drop(e.received.remove(500)),
            &["records-once-and-in-order"],
        ),
        (
            "two records swapped",
            |e| e.received.swap(1, 2),
            &["records-once-and-in-order"],
        ),
        (
            "one record twice",
            |e| e.received.push("record 999".into()),
            &["records-once-and-in-order"],
        ),
        (
            "a worker restarted for the second client",
            |e| {
                let later = e
                    .samples
                    .iter_mut()
                    .filter(|s| s.unit == "kc/0" && s.at > 7_000);
                later.for_each(|s| s.process = Some("99@6".into()));
            },
            &["second-client-restarts-no-worker", "worker-starts"],
        ),
        (
            "a worker restarted at the removal",
            |e| e.samples[9].process = None,
            &["other-client-untouched"],
        ),
        (
            "the removed user still gets in on one unit",
            |e| e.removed_user[1].status = 200,
            &["removed-user-gets-401-on-every-unit"],
        ),
        (
            "one unit was not asked",
            |e| drop(e.first_use.pop()),
            &["credentials-work-on-every-endpoint-at-first-use"],
        ),
        (
            "a connector stayed",
            |e| {
                let unit = e.connectors.get_mut("kc/0").unwrap();
                unit.insert("sink".into(), Vec::new());
            },
            &["removed-clients-connectors-are-gone"],
        ),
        (
            "a bundle stayed",
            |e| e.store.get_mut("kc/1").unwrap().push("ab12".into()),
            &["removed-clients-plugin-directory-is-gone"],
        ),
        (
            "the other client's task failed",
            |e| {
                e.connectors
                    .get_mut("kc/0")
                    .unwrap()
                    .get_mut("mirror")
                    .unwrap()[1] = "FAILED".into();
            },
            &["other-client-untouched"],
        ),
        (
            "a hook failed",
            |e| e.hooks[0].exit = 1,
            &["every-hook-succeeds"],
        ),
    ];
    for (title, tamper, expected) in rows {
        let mut evidence = good();
        tamper(&mut evidence);
        assert_eq!(red(&evidence), expected, "{title}");
    }
}
