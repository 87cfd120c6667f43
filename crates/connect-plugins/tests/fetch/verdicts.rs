//! Every archive of the corpus meets its verdict, with nothing left behind and in little memory.

use std::collections::BTreeSet;

use testkit::{Behaviour, MisbehavingServer};

use crate::corpus::{Case, GROUPS, Verdict, limits, nocode, packed, tar_headers, tar_names, zip};
use crate::measured::check;

fn all_of(cases: Vec<Case>) {
    let server = MisbehavingServer::start().unwrap();
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|case| {
            let behaviour = Behaviour::ok(case.body);
            check(&server, case.name, behaviour, &case.options, &case.verdict)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tars_with_hostile_names_and_kinds() {
    all_of(tar_names::cases());
}

#[test]
fn tars_with_hostile_headers() {
    all_of(tar_headers::cases());
}

#[test]
fn zips_and_jars() {
    all_of(zip::cases());
}

#[test]
fn compressed_archives_whole_and_broken() {
    all_of(packed::cases());
}

#[test]
fn what_holds_no_code_is_said_plainly() {
    all_of(nocode::cases());
}

#[test]
fn each_limit_says_which_it_is() {
    all_of(limits::cases());
}

#[test]
fn the_corpus_is_large_and_every_name_its_own() {
    let mut names = BTreeSet::new();
    let mut hostile = 0;
    for case in GROUPS.into_iter().flat_map(|cases| cases()) {
        assert!(names.insert(case.name), "{} twice", case.name);
        hostile += usize::from(matches!(case.verdict, Verdict::Refused(_)));
    }
    assert!(hostile >= 80, "{hostile} of {} are refused", names.len());
}
