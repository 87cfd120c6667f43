//! Where the files of a unit are. Contract: systemd.unit(5), section Unit File Load Path.

use std::fs;
use std::path::{Path, PathBuf};

use super::syntax;
use super::unit::{UnitConfig, template_of, type_of};
use super::{Problem, UnitError};

/// The directories of unit files, the most important first.
pub(crate) const UNIT_DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What was found of a unit on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    Masked(PathBuf),
    Bad {
        fragment: PathBuf,
        error: UnitError,
    },
    Loaded {
        fragment: PathBuf,
        drop_ins: Vec<PathBuf>,
        unit: Box<UnitConfig>,
    },
}

/// Looks units up below a root, which is `/` but in tests.
#[derive(Debug, Clone)]
pub(crate) struct Loader {
    root: PathBuf,
}

impl Loader {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        UNIT_DIRECTORIES
            .iter()
            .map(|directory| self.root.join(directory.trim_start_matches('/')))
    }

    /// The file that defines the unit: its own, or its template's.
    pub(crate) fn fragment(&self, name: &str) -> Option<PathBuf> {
        let find = |name: &str| {
            self.directories()
                .map(|directory| directory.join(name))
                .find(|path| path.symlink_metadata().is_ok())
        };
        find(name).or_else(|| template_of(name).and_then(|template| find(&template)))
    }

    /// The unit's real name when `name` is an alias: a link to a file of another name in a unit directory.
    pub(crate) fn canonical(&self, name: &str) -> String {
        let target = self
            .fragment(name)
            .filter(|fragment| fragment.is_symlink())
            .and_then(|fragment| fragment.canonicalize().ok());
        match target
            .as_deref()
            .and_then(Path::file_name)
            .and_then(|file| file.to_str())
        {
            Some(real)
                if type_of(real) == type_of(name) && Some(real) != template_of(name).as_deref() =>
            {
                real.to_owned()
            }
            Some(_) | None => name.to_owned(),
        }
    }

    /// Finds and reads all files of a unit.
    pub(crate) fn load(&self, name: &str) -> Found {
        let Some(fragment) = self.fragment(name) else {
            return Found::Absent;
        };
        if is_mask(&fragment) {
            return Found::Masked(fragment);
        }
        let drop_ins = self.drop_ins(name);
        let mut settings = Vec::new();
        for file in std::iter::once(&fragment).chain(&drop_ins) {
            let shown = file.display().to_string();
            let read = fs::read_to_string(file)
                .map_err(|error| UnitError {
                    file: shown.clone(),
                    line: 0,
                    section: String::new(),
                    key: String::new(),
                    problem: Problem::Unreadable(error.to_string()),
                })
                .and_then(|text| syntax::parse(&shown, &text));
            match read {
                Ok(more) => settings.extend(more),
                Err(error) => return Found::Bad { fragment, error },
            }
        }
        match UnitConfig::build(name, &fragment.display().to_string(), &settings) {
            Ok(mut unit) => {
                self.add_links(name, &mut unit);
                Found::Loaded {
                    fragment,
                    drop_ins,
                    unit: Box::new(unit),
                }
            }
            Err(error) => Found::Bad { fragment, error },
        }
    }

    /// `x.target.wants/y` makes `x` want `y`.
    fn add_links(&self, name: &str, unit: &mut UnitConfig) {
        for directory in self.directories() {
            for (suffix, names) in [
                ("wants", &mut unit.relations.wants),
                ("requires", &mut unit.relations.requires),
            ] {
                names.extend(entries(&directory.join(format!("{name}.{suffix}"))));
            }
        }
    }

    /// `x.service.d/*.conf` and, for all units of a type, `service.d/*.conf`: in the order of their file names; of two with the
    /// same name the more important directory's counts.
    fn drop_ins(&self, name: &str) -> Vec<PathBuf> {
        let mut owners = vec![name.to_owned()];
        owners.extend(template_of(name));
        owners.push(type_of(name).to_owned());
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for owner in owners {
            for directory in self.directories() {
                let directory = directory.join(format!("{owner}.d"));
                for file in entries(&directory) {
                    let is_new = !found.iter().any(|(name, _)| *name == file);
                    if Path::new(&file)
                        .extension()
                        .is_some_and(|kind| kind == "conf")
                        && is_new
                    {
                        found.push((file.clone(), directory.join(file)));
                    }
                }
            }
        }
        found.sort();
        found
            .into_iter()
            .map(|(_, path)| path)
            .filter(|path| !is_mask(path))
            .collect()
    }
}

/// The names in a directory, sorted; an absent directory is empty.
pub(crate) fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A link to `/dev/null` or an empty file hides a unit.
fn is_mask(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
        || path
            .metadata()
            .is_ok_and(|facts| facts.is_file() && facts.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::{Found, Loader};

    fn world(files: &[(&str, &str)]) -> (tempfile::TempDir, Loader) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let loader = Loader::new(root.path());
        (root, loader)
    }

    #[test]
    fn drop_ins_come_after_the_unit_and_may_reset_it() {
        let (_root, loader) = world(&[
            (
                "usr/lib/systemd/system/a.service",
                "[Service]\nExecStart=/bin/a\nUser=one\n",
            ),
            (
                "etc/systemd/system/a.service.d/20.conf",
                "[Service]\nExecStart=\nExecStart=/bin/b\n",
            ),
            (
                "etc/systemd/system/a.service.d/10.conf",
                "[Service]\nUser=two\n",
            ),
            (
                "usr/lib/systemd/system/a.service.d/10.conf",
                "[Service]\nUser=three\n",
            ),
        ]);
        let Found::Loaded { unit, drop_ins, .. } = loader.load("a.service") else {
            panic!()
        };
        let service = unit.service().unwrap();
        assert_eq!(service.start[0].program, "/bin/b");
        assert_eq!(service.exec.user.as_deref(), Some("two"));
        assert_eq!(drop_ins.len(), 2);
    }

    #[test]
    fn keys_that_are_not_honoured_are_named_with_file_and_section() {
        for (text, expected) in [
            (
                "[Service]\nExecStart=/bin/a\nMemoryMax=1G\n",
                "3: Service.MemoryMax: this key is not honoured by the systemctl stand-in",
            ),
            (
                "[Unit]\nJoinsNamespaceOf=b.service\n",
                "2: Unit.JoinsNamespaceOf: this key is not honoured by the systemctl stand-in",
            ),
            (
                "[Service]\nType=dbus\n",
                "2: Service.Type: the value `dbus` is not honoured by the systemctl stand-in",
            ),
            (
                "[Service]\nType=simple\n",
                "1: Service.ExecStart: a unit of this type needs it",
            ),
            (
                "[Mount]\nWhat=x\n",
                "2: Mount.What: this key is not honoured by the systemctl stand-in",
            ),
        ] {
            let (root, loader) = world(&[("etc/systemd/system/a.service", text)]);
            let Found::Bad { error, .. } = loader.load("a.service") else {
                panic!("{text}")
            };
            let file = root.path().join("etc/systemd/system/a.service");
            assert_eq!(error.to_string(), format!("{}:{expected}", file.display()));
        }
    }

    #[test]
    fn templates_aliases_masks_and_absence_are_told_apart() {
        let (root, loader) = world(&[
            (
                "etc/systemd/system/a@.service",
                "[Service]\nExecStart=/bin/a %i\n",
            ),
            ("etc/systemd/system/empty.service", ""),
        ]);
        let Found::Loaded { unit, .. } = loader.load("a@x.service") else {
            panic!()
        };
        assert_eq!(unit.service().unwrap().start[0].arguments, ["x"]);
        assert!(matches!(loader.load("empty.service"), Found::Masked(_)));
        assert_eq!(loader.load("b.service"), Found::Absent);
        let units = root.path().join("etc/systemd/system");
        std::os::unix::fs::symlink(units.join("empty.service"), units.join("other.service"))
            .unwrap();
        assert_eq!(loader.canonical("other.service"), "empty.service");
        assert_eq!(loader.canonical("a@x.service"), "a@x.service");
    }
}
