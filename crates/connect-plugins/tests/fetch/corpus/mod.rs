//! Archives that are hostile, broken or merely odd, each made by code and named by what it tries,
//! with the verdict on it.

pub(crate) mod limits;
pub(crate) mod nocode;
pub(crate) mod packed;
pub(crate) mod tar_headers;
pub(crate) mod tar_names;
pub(crate) mod zip;

/// What becomes of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the store, with these jars.
    Stored(Vec<String>),
    /// It is no plugin.
    Empty,
    /// It is refused with this message.
    Refused(String),
}

/// One archive.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What it tries.
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    /// Limits that are not the defaults, as `fetch-plugin` takes them.
    pub(crate) options: Vec<String>,
    pub(crate) verdict: Verdict,
}

impl Case {
    fn new(name: &'static str, body: Vec<u8>, verdict: Verdict) -> Self {
        Self {
            name,
            body,
            options: Vec::new(),
            verdict,
        }
    }

    fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }
}

/// The file whose existence shows that something got out.
pub(crate) const OUTSIDE: &str = "/tmp/escaped-plugin";
const TRUNCATED: &str = "the archive is truncated";
const DAMAGED: &str = "the archive is damaged";

/// Refused while it is unpacked.
fn refused(name: &'static str, body: Vec<u8>, why: &str) -> Case {
    let message = format!("cannot unpack the plugin: {why}");
    Case::new(name, body, Verdict::Refused(message))
}

/// Refused for what it is.
fn unusable(name: &'static str, body: Vec<u8>, why: &str) -> Case {
    let message = format!("cannot use the plugin: {why}");
    Case::new(name, body, Verdict::Refused(message))
}

fn stored(name: &'static str, body: Vec<u8>, jars: &[&str]) -> Case {
    let jars = jars.iter().map(|jar| (*jar).to_owned()).collect();
    Case::new(name, body, Verdict::Stored(jars))
}

fn empty(name: &'static str, body: Vec<u8>) -> Case {
    Case::new(name, body, Verdict::Empty)
}

/// Changes one byte.
fn flip(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 0x55;
    bytes
}

/// The start of it.
fn cut(mut bytes: Vec<u8>, keep: usize) -> Vec<u8> {
    bytes.truncate(keep);
    bytes
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    let keep = bytes.len() / 2;
    cut(bytes, keep)
}

/// Bytes that no compressor makes smaller.
fn noise(count: u32) -> Vec<u8> {
    (0..count)
        .flat_map(|n| {
            n.wrapping_mul(2_654_435_761)
                .rotate_left(n % 31)
                .to_le_bytes()
        })
        .collect()
}

/// Makes the checksum of a tar's first header right.
fn sealed(mut tar: Vec<u8>) -> Vec<u8> {
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

/// Every archive, by group.
pub(crate) const GROUPS: [fn() -> Vec<Case>; 6] = [
    tar_names::cases,
    tar_headers::cases,
    zip::cases,
    packed::cases,
    nocode::cases,
    limits::cases,
];
