//! Packing small inputs: the same bytes each time, the right modes, and refusals that say why.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xtask::pack::{Architecture, Glibc, Packed, Recipe, pack};
use zip::ZipArchive;

const RECIPE: Recipe = Recipe {
    name: "small",
    source: ".",
    programs: &["engine"],
    directories: &["schemas"],
    files: &["README.md"],
};

struct Checkout(TempDir);

impl Checkout {
    fn new(glibc: &str) -> Self {
        let checkout = Self(TempDir::new().unwrap());
        for file in ["metadata.yaml", "config.yaml", "actions.yaml", "README.md"] {
            checkout.write(file, format!("# {file}\n").as_bytes());
        }
        for file in ["schemas/z.json", "schemas/a.json", "schemas/deep/er.json"] {
            checkout.write(file, b"{}");
        }
        let dispatch = checkout.write("hooks/dispatch", b"#!/bin/sh\nexec ./bin/engine\n");
        set_mode(&dispatch, 0o700);
        checkout.write("target/release/engine", &program(glibc));
        checkout
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn pack(&self) -> anyhow::Result<Packed> {
        pack(self.path(), &self.path().join("target"), &RECIPE)
    }

    fn refusal(&self) -> String {
        format!("{:#}", self.pack().unwrap_err())
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// As much of an ELF file as packing looks at.
fn program(glibc: &str) -> Vec<u8> {
    let machine: u8 = match Architecture::of_this_build().unwrap() {
        Architecture::Amd64 => 62,
        Architecture::Arm64 => 183,
    };
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    bytes.extend([machine, 0]);
    bytes.extend(b"libc.so.6\0");
    bytes.extend(glibc.as_bytes());
    bytes.push(0);
    bytes
}

#[test]
fn two_checkouts_with_equal_content_give_equal_bytes() {
    let first = Checkout::new("GLIBC_2.34");
    let second = Checkout::new("GLIBC_2.34");
    // Another mode and another time of the same file change nothing.
    set_mode(&second.path().join("README.md"), 0o600);
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    File::options()
        .append(true)
        .open(second.path().join("metadata.yaml"))
        .unwrap()
        .set_times(old)
        .unwrap();
    let first = fs::read(first.pack().unwrap().path).unwrap();
    let second = fs::read(second.pack().unwrap().path).unwrap();
    assert!(first == second, "the archives differ");
}

#[test]
fn the_layout_is_the_one_juju_unpacks() {
    let checkout = Checkout::new("GLIBC_2.34");
    let packed = checkout.pack().unwrap();
    assert_eq!(packed.glibc, Some(Glibc(2, 34)));
    let name = format!(
        "small_ubuntu@24.04-{}.charm",
        Architecture::of_this_build().unwrap()
    );
    assert_eq!(packed.path.file_name().unwrap(), name.as_str());

    let mut zip = ZipArchive::new(File::open(&packed.path).unwrap()).unwrap();
    let mut found = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).unwrap();
        assert_eq!(entry.last_modified().unwrap().year(), 1980);
        found.push(format!(
            "{:o} {}",
            entry.unix_mode().unwrap(),
            entry.name().unwrap()
        ));
    }
    assert_eq!(
        found,
        [
            "100644 README.md",
            "100644 actions.yaml",
            "100755 bin/engine",
            "100644 config.yaml",
            "100755 dispatch",
            "100644 manifest.yaml",
            "100644 metadata.yaml",
            "100644 schemas/a.json",
            "100644 schemas/deep/er.json",
            "100644 schemas/z.json",
        ]
    );
    let mut manifest = String::new();
    zip.by_name("manifest.yaml")
        .unwrap()
        .read_to_string(&mut manifest)
        .unwrap();
    assert!(manifest.contains("channel: '24.04'"), "{manifest}");
}

#[test]
fn packing_again_leaves_an_equal_file_alone() {
    let checkout = Checkout::new("GLIBC_2.34");
    let first = checkout.pack().unwrap().path;
    let before = fs::metadata(&first).unwrap().modified().unwrap();
    checkout.pack().unwrap();
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), before);
}

#[test]
fn a_program_that_needs_a_newer_c_library_is_refused() {
    let refusal = Checkout::new("GLIBC_2.4\0GLIBC_2.40").refusal();
    assert_eq!(
        refusal,
        "cannot pack engine: it needs GLIBC_2.40, and the base has GLIBC_2.39"
    );
}

#[test]
fn what_is_missing_is_named() {
    let checkout = Checkout::new("");
    fs::remove_file(checkout.path().join("target/release/engine")).unwrap();
    assert!(
        checkout
            .refusal()
            .starts_with("cannot find engine: build it first")
    );

    let checkout = Checkout::new("");
    fs::remove_file(checkout.path().join("README.md")).unwrap();
    assert!(checkout.refusal().contains("README.md"));
}

#[test]
fn a_dispatch_without_execute_bit_is_refused() {
    let checkout = Checkout::new("");
    set_mode(&checkout.path().join("hooks/dispatch"), 0o644);
    assert!(
        checkout
            .refusal()
            .ends_with("hooks/dispatch: it is not executable")
    );
}

#[test]
fn a_program_for_another_machine_is_refused() {
    let checkout = Checkout::new("");
    checkout.write(
        "target/release/engine",
        b"#!/bin/sh\nexit 0 # not a program at all\n",
    );
    assert!(
        checkout
            .refusal()
            .starts_with("cannot pack engine: it is not a program for")
    );
}
