//! `hooks/dispatch`: what Juju can run and charmcraft's entry point linter can follow.

use super::Faults;

pub(super) fn check(script: &str, mode: u32, programs: &[&str], faults: &mut Faults) {
    if mode & 0o111 == 0 {
        faults.add("", "must be executable: Juju does not make it so");
    }
    if !script.starts_with("#!/") {
        faults.add("", "must begin with its interpreter");
    }
    if script.contains('\r') {
        faults.add("", "must have Unix line ends");
        return;
    }
    let last = script
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    // The linter takes the last word as a path from the charm's root, so there is nothing after it.
    let program = last.strip_prefix("exec ./bin/");
    if !program.is_some_and(|program| programs.contains(&program)) {
        let wanted = programs.join(" or ");
        faults.add(
            "",
            format!("the last line must be `exec ./bin/` and {wanted}, not `{last}`"),
        );
    }
    // It splits every line as a shell would, comments too.
    for quote in ['\'', '"'] {
        if script
            .lines()
            .any(|line| line.matches(quote).count() % 2 == 1)
        {
            faults.add("", format!("has a line with a lone {quote}"));
        }
    }
}
