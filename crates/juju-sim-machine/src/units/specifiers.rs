//! `%` specifiers. Contract: systemd.unit(5), section Specifiers.

use super::Problem;
use super::unit::{instance_of, prefix_of, stem_of};

/// Replaces the specifiers in a value of the unit called `name`.
pub(super) fn expand(text: &str, name: &str, user: Option<&str>) -> Result<String, Problem> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let letter = after.chars().next().unwrap_or('%');
        out.push_str(
            &value(letter, name, user)
                .ok_or_else(|| Problem::ValueNotHonoured(format!("%{letter}")))?,
        );
        rest = after.strip_prefix(letter).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

fn value(letter: char, name: &str, user: Option<&str>) -> Option<String> {
    let account = || {
        nix::unistd::User::from_name(user.unwrap_or("root"))
            .ok()
            .flatten()
    };
    let file = |path: &str| Some(std::fs::read_to_string(path).ok()?.trim().replace('-', ""));
    Some(match letter {
        '%' => "%".to_owned(),
        'n' => name.to_owned(),
        'N' => stem_of(name).to_owned(),
        'p' => prefix_of(name).to_owned(),
        'P' => unescape(prefix_of(name)),
        'i' => instance_of(name).unwrap_or_default().to_owned(),
        'I' => unescape(instance_of(name).unwrap_or_default()),
        'j' => prefix_of(name)
            .rsplit('-')
            .next()
            .unwrap_or_default()
            .to_owned(),
        'J' => unescape(prefix_of(name).rsplit('-').next().unwrap_or_default()),
        'f' => format!(
            "/{}",
            unescape(instance_of(name).unwrap_or_else(|| prefix_of(name)))
        ),
        't' => "/run".to_owned(),
        'S' => "/var/lib".to_owned(),
        'C' => "/var/cache".to_owned(),
        'L' => "/var/log".to_owned(),
        'E' => "/etc".to_owned(),
        'T' => "/tmp".to_owned(),
        'V' => "/var/tmp".to_owned(),
        'u' => user.unwrap_or("root").to_owned(),
        'U' => account()?.uid.to_string(),
        'G' => account()?.gid.to_string(),
        'h' => account()?.dir.display().to_string(),
        's' => account()?.shell.display().to_string(),
        'H' | 'l' => rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        'v' => rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        'm' => file("/etc/machine-id")?,
        'b' => file("/proc/sys/kernel/random/boot_id")?,
        _ => return None,
    })
}

/// Undoes the escaping of unit names: `-` is `/`, `\x2d` is the byte.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let byte = after
            .strip_prefix('x')
            .and_then(|hex| hex.get(..2))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (c, byte) {
            ('\\', Some(byte)) => {
                out.push(char::from(byte));
                rest = after.get(3..).unwrap_or_default();
                continue;
            }
            ('-', _) => out.push('/'),
            (c, _) => out.push(c),
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn specifiers_are_replaced() {
        let name = r"worker@data-a\x2db.service";
        for (text, expected) in [
            ("%n", name),
            ("%N", r"worker@data-a\x2db"),
            ("%p/%i", r"worker/data-a\x2db"),
            ("%I %f", "data/a-b /data/a-b"),
            ("100%% %t %S %L", "100% /run /var/lib /var/log"),
        ] {
            assert_eq!(expand(text, name, None).unwrap(), expected);
        }
        assert!(expand("%d", name, None).is_err());
    }
}
