//! The golden examples of the published schemas.

use std::collections::BTreeMap;

use connect_core::wire::schema;
use serde_json::Value;

#[test]
fn every_example_is_as_good_or_bad_as_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/examples");
    let mut seen: BTreeMap<(String, bool), u32> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let example: Value = serde_json::from_str(&text).unwrap();
        let side = example["side"].as_str().unwrap();
        let schema = if side == "requirer" {
            schema::requirer()
        } else {
            schema::provider()
        };
        let databag: BTreeMap<String, String> =
            serde_json::from_value(example["databag"].clone()).unwrap();
        let faults = schema.check(&databag);
        let valid = example["valid"].as_bool().unwrap();
        assert_eq!(faults.is_empty(), valid, "{}: {faults:?}", path.display());
        if let Some(field) = example["fault"].as_str() {
            assert!(
                faults.iter().any(|fault| fault.field == field),
                "{faults:?}"
            );
        }
        for value in databag.values().filter(|value| value.len() > 5) {
            assert!(
                faults
                    .iter()
                    .all(|fault| !fault.text.contains(value.as_str())),
                "{faults:?}"
            );
        }
        *seen.entry((side.to_owned(), valid)).or_default() += 1;
    }
    assert_eq!(seen.len(), 4, "both sides, good and bad: {seen:?}");
}
