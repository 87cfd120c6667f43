//! The store's promises, and what a contract says.

use std::fs;
use std::time::Duration;

use connect_plugins::{
    Admitted, Digest, Kind, Places, list, load_contract, move_bundle, plugin_path_entry, remove,
    sweep_staging,
};
use testkit::Behaviour;
use testkit::archive::TarBuilder;
use testkit::archive::plugin::{self, SINK, SOURCE, TRANSFORM, bundle, class_file, jar};

use crate::place::{Place, children, run};

#[test]
fn the_same_content_is_stored_once() {
    let place = Place::new();
    let first = place.fetch_stored(bundle());
    let marker = place
        .store()
        .join(first.digest.as_str())
        .join("path/bundle/marker");
    fs::write(&marker, "").unwrap();
    let second = place.fetch_stored(bundle());
    assert_eq!(first, second);
    assert!(marker.exists(), "the first copy stays as it is");
    place.assert_holds(&[first.digest.as_str()]);
}

#[test]
fn fetches_at_the_same_time_do_not_disturb_each_other() {
    let place = Place::new();
    let other = TarBuilder::new()
        .file("b.jar", jar(&[(SINK, "com.b.BSinkConnector")]))
        .finish();
    place
        .server
        .on(
            "/a",
            Behaviour::Trickle {
                body: bundle().into(),
                bytes: 2000,
                every_ms: 1,
            },
        )
        .on("/b", Behaviour::ok(other))
        .on("/bad", Behaviour::status(404));
    let options = ["/a", "/a", "/b", "/bad"].map(|path| place.options(&place.server.url(path)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcomes = runtime.block_on(async {
        let [a, same, b, bad] =
            options.map(|options| tokio::task::spawn(connect_plugins::fetch(options)));
        [
            a.await.unwrap(),
            same.await.unwrap(),
            b.await.unwrap(),
            bad.await.unwrap(),
        ]
    });
    let digest = |outcome: &Result<Admitted, _>| match outcome {
        Ok(Admitted::Stored(stored)) => stored.digest.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(digest(&outcomes[0]), digest(&outcomes[1]));
    assert!(outcomes[3].is_err());
    place.assert_holds(&[digest(&outcomes[0]).as_str(), digest(&outcomes[2]).as_str()]);
}

#[test]
fn so_many_bundles_are_unpacked_at_the_same_time_and_no_more() {
    let place = Place::new();
    serve_slowly(&place);
    assert_eq!(most_at_once(&place, Some(&Places::new(2))), 2);
    // Options that nobody gave places, and their clones.
    let place = Place::new();
    serve_slowly(&place);
    assert!(most_at_once(&place, None) > 1);
}

/// Four bundles that take a while.
fn serve_slowly(place: &Place) {
    for number in 0..4 {
        let class = format!("com.a.A{number}Connector");
        let body = TarBuilder::new()
            .file("a.jar", jar(&[(SOURCE, &class)]))
            .finish();
        let slow = Behaviour::Trickle {
            body: body.into(),
            bytes: 512,
            every_ms: 5,
        };
        place.server.on(&format!("/{number}"), slow);
    }
}

/// How many of the four are unpacked at the same time by clones of one set of options.
fn most_at_once(place: &Place, places: Option<&Places>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut template = place.options(&place.server.url("/0"));
    if let Some(places) = places {
        template.places = places.clone();
    }
    runtime.block_on(async {
        let fetches: Vec<_> = (0..4)
            .map(|number| {
                let mut options = template.clone();
                options.url = place.options(&place.server.url(&format!("/{number}"))).url;
                tokio::task::spawn(connect_plugins::fetch(options))
            })
            .collect();
        let mut most = 0;
        while fetches.iter().any(|fetch| !fetch.is_finished()) {
            most = most.max(children(&place.staging()).len());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for fetch in fetches {
            fetch.await.unwrap().unwrap();
        }
        most
    })
}

#[test]
fn an_incomplete_bundle_is_not_listed_and_is_replaced() {
    let place = Place::new();
    let stored = place.fetch_stored(bundle());
    fs::write(place.store().join("notes.txt"), "not ours").unwrap();
    fs::remove_file(place.store().join("notes.txt")).unwrap();
    let contract = place
        .store()
        .join(stored.digest.as_str())
        .join("contract.json");
    fs::write(&contract, "{").unwrap();
    assert!(list(&place.store()).unwrap().is_empty());
    assert!(load_contract(&place.store(), &stored.digest).is_err());
    let again = place.fetch_stored(bundle());
    assert_eq!(again, stored);
    assert_eq!(
        list(&place.store()).unwrap()[&stored.digest],
        stored.contract
    );
    place.assert_holds(&[stored.digest.as_str()]);
}

#[test]
fn bundles_are_listed_and_removed() {
    let place = Place::new();
    assert!(list(&place.store()).unwrap().is_empty());
    let stored = place.fetch_stored(bundle());
    assert_eq!(
        list(&place.store()).unwrap().keys().collect::<Vec<_>>(),
        [&stored.digest]
    );
    for _ in 0..2 {
        remove(&place.store(), &place.staging(), &stored.digest).unwrap();
        place.assert_holds(&[]);
    }
}

#[test]
fn a_bundle_is_moved_off_the_plugin_path_and_back() {
    let place = Place::new();
    let stored = place.fetch_stored(bundle());
    let digest = &stored.digest;
    let (store, staging) = (place.store(), place.staging());
    let elsewhere = tempfile::tempdir().unwrap();
    let retired = elsewhere.path().join("retired");
    let mv = |from, to| move_bundle(from, to, &staging, digest);
    for _ in 0..2 {
        mv(&store, &retired).unwrap();
        assert!(list(&store).unwrap().is_empty());
        assert_eq!(list(&retired).unwrap().len(), 1);
    }
    // Fetched anew in the meantime: one of the two goes.
    place.fetch_stored(bundle());
    mv(&retired, &store).unwrap();
    assert!(list(&retired).unwrap().is_empty());
    place.assert_holds(&[digest.as_str()]);
    remove(&store, &staging, digest).unwrap();
    assert!(mv(&retired, &store).is_err());
}

#[test]
fn what_a_crash_left_is_swept() {
    let place = Place::new();
    sweep_staging(&place.staging()).unwrap();
    fs::create_dir_all(place.staging().join("fetch-abc/item/path")).unwrap();
    fs::write(place.staging().join("spool"), "x").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("kept"), "").unwrap();
    std::os::unix::fs::symlink(outside.path(), place.staging().join("link")).unwrap();
    sweep_staging(&place.staging()).unwrap();
    assert!(children(&place.staging()).is_empty());
    assert!(outside.path().join("kept").exists());
}

#[test]
fn the_server_says_how_to_ask_again() {
    let place = Place::new();
    let headers = vec![
        ("ETag".to_owned(), "\"abc\"".to_owned()),
        (
            "Last-Modified".to_owned(),
            "Tue, 24 Nov 2026 12:00:00 GMT".to_owned(),
        ),
    ];
    place.server.on(
        "/plugin",
        Behaviour::Ok {
            body: bundle().into(),
            headers,
        },
    );
    let Ok(Admitted::Stored(stored)) = run(place.options(&place.server.url("/plugin"))) else {
        panic!("a good bundle");
    };
    assert_eq!(stored.etag.as_deref(), Some("\"abc\""));
    assert_eq!(
        stored.last_modified.as_deref(),
        Some("Tue, 24 Nov 2026 12:00:00 GMT")
    );
}

#[test]
fn digests_are_sixty_four_hex_digits() {
    let good = "a".repeat(64);
    assert!(good.parse::<Digest>().is_ok());
    for bad in [
        "",
        "abc",
        &"A".repeat(64),
        &"g".repeat(64),
        &"a".repeat(65),
        "../../etc",
    ] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
}

fn classes(files: &[(&str, Vec<u8>)]) -> (Vec<String>, bool, Vec<String>) {
    let place = Place::new();
    let tar = files
        .iter()
        .fold(TarBuilder::new(), |tar, (name, content)| {
            tar.file(name, content.clone())
        });
    let contract = place.fetch_stored(tar.finish()).contract;
    let shown = contract
        .classes
        .iter()
        .map(|class| {
            format!(
                "{} {:?}{}",
                class.class,
                class.kind,
                if class.listed { "" } else { " unlisted" }
            )
        })
        .collect();
    (shown, contract.has_manifests, contract.warnings)
}

#[test]
fn manifests_name_the_classes_of_every_kind() {
    let jar = jar(&[
        (SOURCE, "a.A"),
        (SOURCE, "a.B"),
        (SINK, "a.C"),
        (TRANSFORM, "a.D$Key"),
    ]);
    let (classes, has_manifests, warnings) = classes(&[("x/y/a.jar", jar)]);
    assert_eq!(
        classes,
        ["a.A Source", "a.B Source", "a.C Sink", "a.D$Key Transform"]
    );
    assert!(has_manifests);
    assert!(warnings.is_empty());
    assert!(Kind::Sink.is_connector() && !Kind::Transform.is_connector());
}

#[test]
fn plugins_without_manifests_are_found_by_their_class_files() {
    const CONVERTER: &str = "org.apache.kafka.connect.converters.NumberConverter";
    let old = plugin::jar_without_manifests(&[
        ("b.BaseConnector", SOURCE, true),
        ("b.DeepConnector", "b.BaseConnector", false),
        ("b.OtherConnector", "java.lang.Object", false),
        ("b.LoopConnector", "b.LoopConnector", false),
        ("b.Shout", TRANSFORM, false),
        ("b.Numbers", CONVERTER, false),
    ]);
    let expected = [
        "b.DeepConnector Source unlisted",
        "b.Numbers Converter unlisted",
        "b.Numbers HeaderConverter unlisted",
        "b.Shout Transform unlisted",
    ];
    let (found, has_manifests, _) = classes(&[("old.jar", old.clone())]);
    assert_eq!(found, expected);
    assert!(has_manifests, "ours");
    // One jar with manifests does not speak for the other.
    let (found, has_manifests, _) =
        classes(&[("old.jar", old), ("new.jar", jar(&[(SINK, "a.C")]))]);
    assert_eq!(found[0], "a.C Sink");
    assert_eq!(found[1..], expected);
    assert!(has_manifests, "ours");
    let loose = class_file("c.LooseConnector", SINK, false);
    let (found, has_manifests, _) = classes(&[("c/LooseConnector.class", loose)]);
    assert_eq!(found, ["c.LooseConnector Sink unlisted"]);
    assert!(has_manifests, "ours");
}

#[test]
fn missing_manifests_are_written_beside_the_clients_files() {
    let old = plugin::jar_without_manifests(&[("b.OneConnector", SOURCE, false)]);
    let new = jar(&[(SINK, "a.C")]);
    let loose = class_file("c.LooseConnector", SINK, false);
    let manifest = |class: &str| format!("{class}\n").into_bytes();
    let path = |interface: &str| format!("META-INF/services/{interface}");
    let ours = "kafka-connect-charm-services.jar";
    for (name, files, added, completed) in [
        ("all listed", vec![("a.jar", new.clone())], vec![], false),
        (
            "a jar without",
            vec![("a.jar", new), ("lib/old-1.2.jar", old.clone())],
            vec![ours.to_owned()],
            true,
        ),
        (
            "class files",
            vec![("c/LooseConnector.class", loose.clone())],
            vec![path(SINK)],
            true,
        ),
        (
            "class files with a manifest that leaves one out",
            vec![
                ("c/LooseConnector.class", loose),
                (&*path(SINK), manifest("c.Other")),
            ],
            vec![],
            false,
        ),
        (
            "our name is taken",
            vec![("Kafka-Connect-Charm-Services.jar", old)],
            vec![],
            false,
        ),
    ] {
        let place = Place::new();
        let tar = files
            .iter()
            .fold(TarBuilder::new(), |tar, (name, content)| {
                tar.file(name, content.clone())
            });
        let stored = place.fetch_stored(tar.finish());
        let location = plugin_path_entry(&place.store(), &stored.digest).join("bundle");
        for (file, content) in &files {
            assert_eq!(
                &fs::read(location.join(file)).unwrap(),
                content,
                "{name}: {file}"
            );
        }
        let there: Vec<String> = crate::place::listing(&location)
            .iter()
            .filter_map(|line| line.strip_suffix(" 100644").map(str::to_owned))
            .filter(|file| !files.iter().any(|(theirs, _)| theirs == file))
            .collect();
        assert_eq!(there, added, "{name}");
        assert_eq!(stored.contract.completed, completed, "{name}");
        assert_eq!(
            stored.contract.has_manifests,
            completed || name == "all listed",
            "{name}"
        );
        if added == [ours] {
            let file = fs::File::open(location.join(ours)).unwrap();
            let mut jar = zip::ZipArchive::new(file).unwrap();
            let mut text = String::new();
            let mut entry = jar.by_name(&path(SOURCE)).unwrap();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            assert_eq!(text, "b.OneConnector\n");
            let version = &stored
                .contract
                .classes
                .iter()
                .find(|it| it.class == "b.OneConnector");
            assert_eq!(version.unwrap().version.as_deref(), Some("1.2"));
        }
    }
}

#[test]
fn a_plugin_that_cannot_be_judged_leaves_the_worker_scanning() {
    let strange = "org.apache.kafka.connect.runtime.Herder";
    let jar = plugin::jar_without_manifests(&[
        ("b.OneConnector", SOURCE, false),
        ("b.Strange", strange, false),
    ]);
    let (_, has_manifests, warnings) = classes(&[("a.jar", jar)]);
    assert!(!has_manifests);
    assert_eq!(
        warnings,
        [
            "it is not clear whether `b.Strange` is a plugin",
            "the worker scans for its classes, which slows down each start",
        ]
    );
}

#[test]
fn the_same_class_in_two_bundles_is_told() {
    let place = Place::new();
    let body = |more: &str| {
        TarBuilder::new()
            .file("acme-1.0.jar", jar(&[(SINK, "a.C")]))
            .file(more, "x")
            .finish()
    };
    let first = place.fetch_stored(body("one"));
    assert_eq!(first.contract.warnings, [""; 0]);
    let second = place.fetch_stored(body("two"));
    let other = &first.digest.as_str()[..12];
    assert_eq!(
        second.contract.warnings,
        [format!(
            "`a.C` 1.0 is also in bundle {other}, with other content"
        )]
    );
}

#[test]
fn an_operator_is_warned_of_what_makes_trouble() {
    let (_, _, warnings) = classes(&[
        ("a.jar", jar(&[(SOURCE, "a.A"), (SOURCE, "not a class!")])),
        ("broken.jar", b"PK\x03\x04nonsense".to_vec()),
        ("kafka-clients-3.7.0.jar", jar(&[])),
        ("lib/slf4j-simple-2.0.jar", jar(&[])),
        ("a/B.class", class_file("a.B", "java.lang.Object", false)),
    ]);
    assert_eq!(
        warnings,
        [
            "a manifest names `not a class!`, which is no class",
            "jar `broken.jar` cannot be read",
            "it brings a copy of kafka-clients: `kafka-clients-3.7.0.jar`",
            "it brings an slf4j binding: `slf4j-simple-2.0.jar`",
            "class files beside jars are not loaded",
        ]
    );
}
