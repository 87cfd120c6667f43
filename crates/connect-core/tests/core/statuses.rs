//! The page of statuses is the catalogue.

use connect_core::status::catalogue::reference;

#[test]
fn the_reference_page_is_made_from_the_catalogue() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/statuses.md"
    )
    .to_owned();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == reference(),
        "{path} is out of date: run this test with UPDATE=1"
    );
}
