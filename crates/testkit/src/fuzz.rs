//! Fuzzing as an ordinary test: seeds first, then mutations of them for a while.
//!
//! `FUZZ_SECONDS` (1 unless told) is how long each target runs, `FUZZ_SEED` (1 unless told) what it
//! makes. It has no eye on which code ran, so what finds things is good seeds.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::mutate::{Numbers, mutate};

/// Gives every seed to `judge`, which panics at what must not be, then mutations of them. What made it
/// panic is kept below `kept`: it belongs into the seeds.
pub fn run(target: &str, kept: &Path, seeds: &[Vec<u8>], mut judge: impl FnMut(&[u8])) {
    for seed in seeds {
        check(target, kept, "a seed", seed, &mut judge);
    }
    let seed = setting("FUZZ_SEED", 1);
    let until = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 1));
    let mut numbers = Numbers::new(seed);
    let mut made = 0_u64;
    // At least as many, however slow the machine.
    while made < 20 || Instant::now() < until {
        let one = &seeds[numbers.below(seeds.len())];
        let other = &seeds[numbers.below(seeds.len())];
        let input = mutate(&mut numbers, one, other);
        let number = format!("seed {seed}, number {made}");
        check(target, kept, &number, &input, &mut judge);
        made += 1;
    }
    println!("{target}: {made} inputs from seed {seed}");
}

#[expect(clippy::panic, reason = "it is how a test says that it failed")]
fn check(target: &str, kept: &Path, number: &str, input: &[u8], judge: &mut impl FnMut(&[u8])) {
    let Err(reason) = catch_unwind(AssertUnwindSafe(|| judge(input))) else {
        return;
    };
    let name: String = number
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let path = kept.join(format!("{target}-{name}"));
    fs::create_dir_all(kept).expect("the directory for inputs can be made");
    fs::write(&path, input).expect("an input can be kept");
    let reason = told(reason.as_ref());
    panic!("{target}: {number}: {reason}\nkept as {}", path.display());
}

fn told(reason: &(dyn Any + Send)) -> String {
    let text = reason.downcast_ref::<String>().cloned();
    let fixed = || reason.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(fixed).unwrap_or_default()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().expect("the variable holds a number")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_it_panic_is_kept() {
        let kept = tempfile::tempdir().unwrap();
        let seeds = [b"harmless".to_vec(), b"another".to_vec()];
        let mut seen = 0;
        run("fine", kept.path(), &seeds, |_| seen += 1);
        assert!(seen >= 22, "{seen}");
        let found = catch_unwind(|| {
            run("bad", kept.path(), &seeds, |bytes| {
                assert!(!bytes.contains(&0xff), "cannot be");
            });
        });
        let reason = told(found.unwrap_err().as_ref());
        assert!(reason.contains("cannot be"), "{reason}");
        let path = reason.split_once("kept as ").unwrap().1;
        assert!(fs::read(path).unwrap().contains(&0xff));
    }
}
