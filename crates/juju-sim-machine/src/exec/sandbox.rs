//! A service's own view of the files: a mount namespace in which some paths are read-only, empty or gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::mount::{MountFlags, MountPropagationFlags};
use serde::{Deserialize, Serialize};

/// What a service may see and change. Paths are absolute; one that starts with `-` may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) read_only: Vec<String>,
    pub(crate) read_write: Vec<String>,
    pub(crate) inaccessible: Vec<String>,
    /// Replaced by an empty directory.
    pub(crate) empty: Vec<String>,
    /// What appears at `/tmp` and at `/var/tmp`.
    pub(crate) temporary: Option<(String, String)>,
    /// `hidepid=` of a `/proc` of its own.
    pub(crate) hide_processes: Option<String>,
    /// That `/proc` holds nothing but processes.
    pub(crate) only_processes: bool,
    pub(crate) own_hostname: bool,
}

impl Sandbox {
    fn is_needed(&self) -> bool {
        *self != Self::default()
    }

    /// Enters the view. Needs root; does nothing when nothing is asked for.
    pub(super) fn enter(&self) -> io::Result<()> {
        if !self.is_needed() {
            return Ok(());
        }
        let mut flags = CloneFlags::CLONE_NEWNS;
        if self.own_hostname {
            flags |= CloneFlags::CLONE_NEWUTS;
        }
        nix::sched::unshare(flags)?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
        )?;
        if let Some((tmp, var_tmp)) = &self.temporary {
            rustix::mount::mount_bind(tmp, "/tmp")?;
            rustix::mount::mount_bind(var_tmp, "/var/tmp")?;
        }
        if self.hide_processes.is_some() || self.only_processes {
            let hide = self
                .hide_processes
                .iter()
                .map(|how| format!("hidepid={how}"));
            let only = self.only_processes.then(|| "subset=pid".to_owned());
            let options: Vec<String> = hide.chain(only).collect();
            let option = std::ffi::CString::new(options.join(","))?;
            let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount("proc", "/proc", "proc", quiet, Some(option.as_c_str()))?;
        }
        let mut writable = existing(&self.read_write)?;
        if self.temporary.is_some() {
            writable.extend(["/tmp".into(), "/var/tmp".into()]);
        }
        let read_only = existing(&self.read_only)?;
        make_mount_points(&read_only, &writable)?;
        for path in existing(&self.inaccessible)? {
            if path.is_dir() {
                memory(&path, c"mode=0000,size=4k")?;
            } else {
                rustix::mount::mount_bind(nothing()?, &path)?;
            }
        }
        for path in existing(&self.empty)? {
            memory(&path, c"mode=0755,size=4k")?;
        }
        protect(&read_only, &writable)
    }
}

/// The paths without their marks, links resolved; absent ones that may be absent are left out.
fn existing(paths: &[String]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for text in paths {
        let (optional, path) = text
            .strip_prefix('-')
            .map_or((false, text.as_str()), |p| (true, p));
        let path = path.strip_prefix('+').unwrap_or(path);
        match fs::canonicalize(path) {
            Ok(path) => found.push(path),
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("`{path}`: {error}"))),
        }
    }
    Ok(found)
}

fn memory(path: &Path, options: &std::ffi::CStr) -> io::Result<()> {
    rustix::mount::mount(
        "tmpfs",
        path,
        "tmpfs",
        MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        Some(options),
    )
    .map_err(Into::into)
}

/// A file that nobody may open.
fn nothing() -> io::Result<&'static str> {
    use std::os::unix::fs::PermissionsExt;
    const PATH: &str = "/run/juju-sim/nothing";
    if !Path::new(PATH).exists() {
        fs::write(PATH, "")?;
    }
    fs::set_permissions(PATH, fs::Permissions::from_mode(0o000))?;
    Ok(PATH)
}

/// Being read-only is a property of a mount, so every path becomes one, outer paths first.
fn make_mount_points(read_only: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    if read_only.is_empty() {
        return Ok(());
    }
    let mut paths: Vec<&PathBuf> = read_only.iter().chain(writable).collect();
    paths.sort();
    paths.dedup();
    for path in paths
        .into_iter()
        .filter(|path| path.as_path() != Path::new("/"))
    {
        rustix::mount::mount_bind_recursive(path, path)?;
    }
    Ok(())
}

/// Makes every mount read-only whose innermost listed ancestor is. Kernel filesystems keep what they have.
fn protect(read_only: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    if read_only.is_empty() {
        return Ok(());
    }
    let kernel = ["/dev", "/proc", "/sys"].map(PathBuf::from);
    for (mount, options) in mounts()? {
        let depth = |paths: &[PathBuf]| {
            paths
                .iter()
                .filter(|path| mount.starts_with(path))
                .map(|path| path.components().count())
                .max()
                .unwrap_or(0)
        };
        let closed = depth(read_only);
        if closed == 0 || depth(writable) >= closed || depth(&kernel) > closed {
            continue;
        }
        let mut flags = MountFlags::BIND | MountFlags::RDONLY;
        for (name, flag) in [
            ("nosuid", MountFlags::NOSUID),
            ("nodev", MountFlags::NODEV),
            ("noexec", MountFlags::NOEXEC),
        ] {
            if options.split(',').any(|option| option == name) {
                flags |= flag;
            }
        }
        match rustix::mount::mount_remount(&mount, flags, c"") {
            // Covered by another mount, or not ours to change: out of the service's reach either way.
            Ok(())
            | Err(
                rustix::io::Errno::INVAL | rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS,
            ) => {}
            Err(errno) => {
                return Err(io::Error::other(format!("`{}`: {errno}", mount.display())));
            }
        }
    }
    Ok(())
}

/// Mount points with their options, from `/proc/self/mountinfo`.
fn mounts() -> io::Result<Vec<(PathBuf, String)>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(4);
            let path = fields.next()?.replace("\\040", " ");
            Some((PathBuf::from(path), fields.next()?.to_owned()))
        })
        .collect())
}
