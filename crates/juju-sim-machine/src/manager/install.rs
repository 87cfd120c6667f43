//! `systemctl enable` and its kin: links in the unit directories, and no more than that.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Manager;
use super::unit::Load;
use crate::control::{Reply, Request};
use crate::units::{Install, entries, template_of};

const ADMIN: &str = "/etc/systemd/system";
const RUNTIME: &str = "/run/systemd/system";

impl Manager {
    /// Changes links; returns the units that `--now` starts or stops.
    pub(super) fn change_files(&mut self, request: &Request, reply: &mut Reply) -> Vec<String> {
        let home = Path::new(if request.runtime { RUNTIME } else { ADMIN });
        let mut touched = Vec::new();
        for given in &request.units {
            let name = self.adopt_path(given, home, reply);
            let done = match request.verb.as_str() {
                "enable" => self.enable(&name, home, reply, &mut Vec::new()),
                "disable" => self.disable(&name, home, reply),
                "reenable" => self
                    .disable(&name, home, reply)
                    .and_then(|()| self.enable(&name, home, reply, &mut Vec::new())),
                "mask" => mask(&name, home, reply),
                "unmask" => unmask(&name, home, reply),
                // No preset files: what a package ships stays as it is.
                _ => Ok(()),
            };
            match done {
                Ok(()) => touched.push(name),
                Err(error) => {
                    let verb = &request.verb;
                    reply.fail(1, &format!("Failed to {verb} unit: {error}"));
                }
            }
        }
        self.reload();
        if request.now { touched } else { Vec::new() }
    }

    /// `systemctl enable /some/path/x.service` links the file first.
    fn adopt_path(&self, given: &str, home: &Path, reply: &mut Reply) -> String {
        let path = Path::new(given);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return given.to_owned();
        };
        if path.is_absolute()
            && !self
                .loader
                .directories()
                .any(|directory| path.starts_with(directory))
        {
            let link = home.join(name);
            if symlink(path, &link).is_ok() {
                reply.err.push_str(&format_link(&link, path));
            }
        }
        name.to_owned()
    }

    fn install_of(&self, name: &str) -> io::Result<Option<(PathBuf, Install)>> {
        match Load::from(self.loader.load(name)) {
            Load::Absent => Err(io::Error::other(format!(
                "Unit file {name} does not exist."
            ))),
            Load::Masked(path) => Err(io::Error::other(format!(
                "Unit file {} is masked.",
                path.display()
            ))),
            Load::Bad { reason, .. } => Err(io::Error::other(reason)),
            Load::Loaded {
                fragment, config, ..
            } => Ok(Some((fragment, config.install))),
        }
    }

    fn enable(
        &self,
        name: &str,
        home: &Path,
        reply: &mut Reply,
        seen: &mut Vec<String>,
    ) -> io::Result<()> {
        if seen.iter().any(|known| known == name) {
            return Ok(());
        }
        seen.push(name.to_owned());
        let Some((fragment, install)) = self.install_of(name)? else {
            return Ok(());
        };
        let target = match (name.contains("@."), &install.default_instance) {
            (true, Some(instance)) => name.replacen("@.", &format!("@{instance}."), 1),
            (true, None) => {
                return Err(io::Error::other(format!(
                    "{name} is a template and names no instance"
                )));
            }
            (false, _) => name.to_owned(),
        };
        let mut links = Vec::new();
        for (owners, suffix) in [
            (&install.wanted_by, "wants"),
            (&install.required_by, "requires"),
        ] {
            links.extend(
                owners
                    .iter()
                    .map(|owner| home.join(format!("{owner}.{suffix}")).join(&target)),
            );
        }
        links.extend(install.alias.iter().map(|alias| home.join(alias)));
        if links.is_empty() && install.also.is_empty() {
            reply.err.push_str(
                "The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=,\nAlias= settings in the [Install] section, and DefaultInstance= for template\nunits). This means they are not meant to be enabled or disabled using systemctl.\n",
            );
        }
        for link in links {
            if fs::read_link(&link).is_ok_and(|existing| existing == fragment) {
                continue;
            }
            if let Some(parent) = link.parent() {
                fs::create_dir_all(parent)?;
            }
            let _ = fs::remove_file(&link);
            symlink(&fragment, &link)?;
            reply.err.push_str(&format_link(&link, &fragment));
        }
        for other in &install.also {
            self.enable(other, home, reply, seen)?;
        }
        Ok(())
    }

    fn disable(&self, name: &str, home: &Path, reply: &mut Reply) -> io::Result<()> {
        let also = match self.install_of(name) {
            Ok(found) => found.map(|(_, install)| install.also).unwrap_or_default(),
            Err(error) if links(name, home).is_empty() => return Err(error),
            Err(_) => Vec::new(),
        };
        for link in links(name, home) {
            fs::remove_file(&link)?;
            reply.note(&format!("Removed \"{}\".\n", link.display()));
            if let Some(parent) = link.parent().filter(|parent| *parent != home) {
                let _ = fs::remove_dir(parent);
            }
        }
        for other in also {
            for link in links(&other, home) {
                fs::remove_file(&link)?;
                reply.note(&format!("Removed \"{}\".\n", link.display()));
            }
        }
        Ok(())
    }

    /// `UnitFileState`, and the exit code of `is-enabled`.
    pub(super) fn file_state(&self, name: &str) -> (&'static str, i32) {
        let fragment = self.loader.fragment(name);
        let load = Load::from(self.loader.load(name));
        let install = match &load {
            Load::Absent => return ("not-found", 4),
            Load::Masked(path) if path.starts_with(RUNTIME) => return ("masked-runtime", 1),
            Load::Masked(_) => return ("masked", 1),
            Load::Bad { .. } => None,
            Load::Loaded { config, .. } => Some(&config.install),
        };
        for (home, state) in [(ADMIN, "enabled"), (RUNTIME, "enabled-runtime")] {
            if !links(name, Path::new(home)).is_empty() {
                return (state, 0);
            }
        }
        if self.loader.canonical(name) != name {
            return ("alias", 0);
        }
        let linked = fragment.as_deref().filter(|path| path.is_symlink());
        if linked.is_some() && template_of(name).is_none() {
            return ("linked", 1);
        }
        match install {
            None => ("bad", 1),
            Some(install)
                if !install.wanted_by.is_empty()
                    || !install.required_by.is_empty()
                    || !install.alias.is_empty() =>
            {
                ("disabled", 1)
            }
            Some(install) if !install.also.is_empty() => ("indirect", 0),
            Some(_) => ("static", 0),
        }
    }
}

/// The links of a unit in one directory: below `*.wants`, `*.requires`, and aliases.
fn links(name: &str, home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in entries(home) {
        let path = home.join(&entry);
        if path
            .extension()
            .is_some_and(|kind| kind == "wants" || kind == "requires")
        {
            let link = path.join(name);
            if link.is_symlink() {
                found.push(link);
            }
        } else if entry != name
            && path.is_symlink()
            && fs::read_link(&path).is_ok_and(|target| target.file_name() == Some(name.as_ref()))
        {
            found.push(path);
        }
    }
    found
}

fn format_link(link: &Path, target: &Path) -> String {
    format!(
        "Created symlink {} \u{2192} {}.\n",
        link.display(),
        target.display()
    )
}

fn mask(name: &str, home: &Path, reply: &mut Reply) -> io::Result<()> {
    let path = home.join(name);
    if fs::read_link(&path).is_ok_and(|target| target == Path::new("/dev/null")) {
        return Ok(());
    }
    if path.symlink_metadata().is_ok() {
        return Err(io::Error::other(format!(
            "File {} already exists.",
            path.display()
        )));
    }
    symlink("/dev/null", &path)?;
    reply
        .err
        .push_str(&format_link(&path, Path::new("/dev/null")));
    Ok(())
}

fn unmask(name: &str, home: &Path, reply: &mut Reply) -> io::Result<()> {
    let path = home.join(name);
    if fs::read_link(&path).is_ok_and(|target| target == Path::new("/dev/null")) {
        fs::remove_file(&path)?;
        reply.note(&format!("Removed \"{}\".\n", path.display()));
    }
    Ok(())
}
