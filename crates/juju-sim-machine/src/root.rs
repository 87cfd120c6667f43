//! The root filesystem of a machine: an overlay of the host's root, and the kernel's filesystems freshly mounted.
//!
//! Runs in the machine's own mount namespace, before `pivot_root`. What is below the host's root on another filesystem is
//! not seen by an overlay, so `/dev`, `/proc`, `/sys`, `/run` and `/tmp` start empty, and the helper binary is bound in.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::spec::{Bind, MachineSpec};

/// Where the helper binary is in every machine.
pub const HELPER: &str = "/run/juju-sim/helper";
/// Where the machine's `state` directory is inside it.
pub(crate) const STATE: &str = "/run/juju-sim/state";
/// The programs that the helper stands in for.
pub(crate) const STAND_INS: [&str; 3] = ["systemctl", "journalctl", "systemd-notify"];

/// A step of building the root failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {intention}")]
pub struct RootError {
    intention: String,
    source: io::Error,
}

trait Intended<T> {
    fn meant(self, intention: impl FnOnce() -> String) -> Result<T, RootError>;
}

impl<T, E: Into<io::Error>> Intended<T> for Result<T, E> {
    fn meant(self, intention: impl FnOnce() -> String) -> Result<T, RootError> {
        self.map_err(|source| RootError {
            intention: intention(),
            source: source.into(),
        })
    }
}

/// Numbers of statfs(2).
const OVERLAY: rustix::fs::FsWord = 0x794c_7630;
const MEMORY: rustix::fs::FsWord = 0x0102_1994;

fn memory_disk(disk: &Path) -> Result<(), RootError> {
    rustix::mount::mount(
        "tmpfs",
        disk,
        "tmpfs",
        MountFlags::empty(),
        Some(c"mode=0755"),
    )
    .meant(|| format!("mount memory at `{}`", disk.display()))
}

/// The directories of a machine on the host.
pub(crate) struct Places {
    pub(crate) upper: PathBuf,
    work: PathBuf,
    root: PathBuf,
    pub(crate) state: PathBuf,
}

impl Places {
    pub(crate) fn of(directory: &Path) -> Self {
        Self {
            upper: directory.join("disk/upper"),
            work: directory.join("disk/work"),
            root: directory.join("root"),
            state: directory.join("state"),
        }
    }

    /// Makes the directories. Where they are on an overlay, which cannot hold the upper directory of another, the disk is
    /// put into memory, in the caller's mount namespace: it then outlives a stop of the machine, and ends with the realm.
    pub(crate) fn create(&self) -> Result<(), RootError> {
        let Some(disk) = self.upper.parent() else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput))
                .meant(|| "find the disk".into());
        };
        fs::create_dir_all(disk).meant(|| format!("create `{}`", disk.display()))?;
        let filesystem =
            rustix::fs::statfs(disk).meant(|| format!("examine `{}`", disk.display()))?;
        if filesystem.f_type == OVERLAY {
            memory_disk(disk)?;
        }
        self.create_directories()
    }

    /// Undoes what [`Self::create`] mounted.
    pub(crate) fn unmount(&self) {
        let disk = self.upper.parent().filter(|disk| {
            rustix::fs::statfs(*disk).is_ok_and(|filesystem| filesystem.f_type == MEMORY)
        });
        if let Some(disk) = disk {
            // Fails when the whole directory is in memory, and is then not ours to unmount.
            let _ = rustix::mount::unmount(disk, UnmountFlags::DETACH);
        }
    }

    fn create_directories(&self) -> Result<(), RootError> {
        for place in [&self.upper, &self.work, &self.root, &self.state] {
            fs::create_dir_all(place).meant(|| format!("create `{}`", place.display()))?;
        }
        // The upper directory becomes the machine's `/`.
        fs::set_permissions(&self.upper, Permissions::from_mode(0o755))
            .meant(|| format!("set the mode of `{}`", self.upper.display()))
    }
}

/// Builds the root and makes it this process's root.
pub(crate) fn enter(spec: &MachineSpec) -> Result<(), RootError> {
    let places = Places::of(&spec.directory);
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .meant(|| "make the machine's mounts private".into())?;
    let installed = spec.directory.join("disk/installed");
    let on_disk_already = installed.exists();
    if !on_disk_already {
        hide_all(&places.upper, &spec.hidden);
    }
    let disk = mount_overlay(&places, &spec.hidden)?;
    let root = places.root.as_path();
    if !on_disk_already || disk == Disk::Memory {
        for path in &spec.hidden {
            // Nothing is left to do where a whiteout could be made.
            remove(&inside(root, path)).meant(|| format!("hide `{}`", path.display()))?;
        }
        install(root)?;
        fs::write(installed, "").meant(|| "note the installation".into())?;
    }
    identify(root, spec)?;
    mount_kernel_filesystems(root)?;
    mount_run(root, spec, &places)?;
    for bind in &spec.binds {
        mount_bind(root, bind)?;
    }
    conceal(root, &spec.directory)?;
    pivot(root)
}

/// Where a machine's changes are kept.
#[derive(PartialEq, Eq)]
enum Disk {
    Host,
    /// Gone when the machine stops.
    Memory,
}

fn hide_all(upper: &Path, paths: &[PathBuf]) {
    for path in paths {
        // Where making the node is refused, the path is removed from the overlay later, file by file.
        let _ = hide(upper, path);
    }
}

/// A whiteout in the upper directory: the overlay then has no such path, and the machine may make its own.
fn hide(upper: &Path, path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let parent = parent.canonicalize()?;
    let mut copy = upper.to_owned();
    let mut original = PathBuf::from("/");
    for part in parent.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        copy.push(part);
        original.push(part);
        if copy.exists() {
            continue;
        }
        // A directory of the upper layer hides the lower one's owner and mode, so it takes them over.
        let facts = original.metadata()?;
        fs::create_dir(&copy)?;
        fs::set_permissions(&copy, Permissions::from_mode(facts.mode() & 0o7777))?;
        std::os::unix::fs::chown(&copy, Some(facts.uid()), Some(facts.gid()))?;
    }
    let whiteout = copy.join(name);
    if whiteout.symlink_metadata().is_ok() {
        return Ok(());
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &whiteout,
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )?;
    Ok(())
}

fn mount_overlay(places: &Places, hidden: &[PathBuf]) -> Result<Disk, RootError> {
    let overlay = |extra: &str| {
        let options = format!(
            "lowerdir=/,upperdir={},workdir={}{extra}",
            places.upper.display(),
            places.work.display()
        );
        let options = std::ffi::CString::new(options)?;
        let mut left = 100;
        loop {
            match rustix::mount::mount(
                "overlay",
                &places.root,
                "overlay",
                MountFlags::empty(),
                Some(options.as_c_str()),
            ) {
                // A machine that was just stopped lets go of its directories a moment later.
                Err(rustix::io::Errno::BUSY) if left > 0 => {
                    left -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                other => return other.map_err(io::Error::from),
            }
        }
    };
    // Renaming directories of the lower layer must work as on any disk; old kernels lack the option.
    if overlay(",redirect_dir=on").or_else(|_| overlay("")).is_ok() {
        return Ok(Disk::Host);
    }
    // The host's own root may be an overlay, which cannot hold another one's upper directory; memory can.
    let Some(disk) = places.upper.parent() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput)).meant(|| "find the disk".into());
    };
    memory_disk(disk)?;
    places.create_directories()?;
    hide_all(&places.upper, hidden);
    overlay("").meant(|| format!("mount an overlay of `/` at `{}`", places.root.display()))?;
    Ok(Disk::Memory)
}

/// Joins an absolute path of the machine to where its root is now.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// What makes a copy of the host a fresh machine, once: no units of the host's own, our stand-ins in place.
fn install(root: &Path) -> Result<(), RootError> {
    let units = root.join("etc/systemd/system");
    if let Ok(entries) = fs::read_dir(&units) {
        for entry in entries.flatten() {
            remove(&entry.path()).meant(|| format!("remove `{}`", entry.path().display()))?;
        }
    }
    fs::create_dir_all(&units).meant(|| "create `/etc/systemd/system`".into())?;
    for name in STAND_INS {
        let path = root.join("usr/bin").join(name);
        remove(&path)
            .and_then(|()| symlink(HELPER, &path))
            .meant(|| format!("install `/usr/bin/{name}`"))?;
    }
    Ok(())
}

/// The files that say who the machine is.
fn identify(root: &Path, spec: &MachineSpec) -> Result<(), RootError> {
    use std::fmt::Write as _;
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for address in &spec.addresses {
        let _ = writeln!(hosts, "{} {}", address.ip, spec.hostname);
    }
    for (ip, name) in &spec.hosts {
        let _ = writeln!(hosts, "{ip} {name}");
    }
    let machine_id = format!("{:032x}", fingerprint(&spec.directory, &spec.hostname));
    for (path, text) in [
        ("etc/hosts", hosts.as_str()),
        ("etc/hostname", &format!("{}\n", spec.hostname)),
        // No server named: look-ups of names that `/etc/hosts` lacks fail at once.
        ("etc/resolv.conf", "# This machine has no name server.\n"),
        ("etc/machine-id", &format!("{machine_id}\n")),
    ] {
        let file = root.join(path);
        // The host may have a link here that leads out of the machine.
        remove(&file)
            .and_then(|()| fs::write(&file, text))
            .meant(|| format!("write `/{path}`"))?;
    }
    rustix::system::sethostname(spec.hostname.as_bytes()).meant(|| "set the host name".into())
}

/// FNV-1a: a machine id has to differ between machines and stay the same over a reboot, nothing more.
fn fingerprint(directory: &Path, hostname: &str) -> u128 {
    let text = format!("{}\n{hostname}", directory.display());
    text.bytes()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        })
}

fn tmpfs(target: &Path, options: &std::ffi::CStr) -> Result<(), RootError> {
    fs::create_dir_all(target).meant(|| format!("create `{}`", target.display()))?;
    rustix::mount::mount(
        "tmpfs",
        target,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(options),
    )
    .meant(|| format!("mount memory at `{}`", target.display()))
}

fn mount_kernel_filesystems(root: &Path) -> Result<(), RootError> {
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", root.join("proc"), "proc", quiet, None)
        .meant(|| "mount `/proc`".into())?;
    // The kernel's settings are the host's; those of the network belong to the machine and stay writable.
    let settings = root.join("proc/sys");
    let network = root.join("proc/sys/net");
    read_only(&settings).meant(|| "protect `/proc/sys`".into())?;
    let _ = rustix::mount::mount_bind(&network, &network)
        .and_then(|()| rustix::mount::mount_remount(&network, MountFlags::BIND | quiet, c""));
    let _ = read_only(&root.join("proc/sysrq-trigger"));
    // Where the kernel refuses (nested containers), a machine goes without.
    let _ = rustix::mount::mount(
        "sysfs",
        root.join("sys"),
        "sysfs",
        quiet | MountFlags::RDONLY,
        None,
    );
    mount_devices(&root.join("dev"))?;
    tmpfs(&root.join("tmp"), c"mode=1777")
}

fn read_only(path: &Path) -> rustix::io::Result<()> {
    rustix::mount::mount_bind(path, path)?;
    rustix::mount::mount_remount(
        path,
        MountFlags::BIND
            | MountFlags::RDONLY
            | MountFlags::NOSUID
            | MountFlags::NODEV
            | MountFlags::NOEXEC,
        c"",
    )
}

/// The devices every program may count on, and no disk. Bound from the host, since making nodes may be refused.
fn mount_devices(dev: &Path) -> Result<(), RootError> {
    rustix::mount::mount(
        "tmpfs",
        dev,
        "tmpfs",
        MountFlags::NOSUID,
        Some(c"mode=0755"),
    )
    .meant(|| "mount `/dev`".into())?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let device = dev.join(name);
        fs::write(&device, "").meant(|| format!("create `/dev/{name}`"))?;
        rustix::mount::mount_bind(Path::new("/dev").join(name), &device)
            .meant(|| format!("bind `/dev/{name}`"))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).meant(|| format!("link `/dev/{name}`"))?;
    }
    let terminals = dev.join("pts");
    fs::create_dir(&terminals).meant(|| "create `/dev/pts`".into())?;
    rustix::mount::mount(
        "devpts",
        &terminals,
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5"),
    )
    .meant(|| "mount `/dev/pts`".into())?;
    tmpfs(&dev.join("shm"), c"mode=1777")
}

fn mount_run(root: &Path, spec: &MachineSpec, places: &Places) -> Result<(), RootError> {
    let run = root.join("run");
    tmpfs(&run, c"mode=0755")?;
    for name in ["lock", "systemd/system", "juju-sim/state", "user", "mount"] {
        fs::create_dir_all(run.join(name)).meant(|| format!("create `/run/{name}`"))?;
    }
    fs::set_permissions(run.join("lock"), Permissions::from_mode(0o1777))
        .meant(|| "open `/run/lock` to everyone".into())?;
    mount_bind(
        root,
        &Bind {
            source: places.state.clone(),
            target: STATE.into(),
            read_only: false,
        },
    )?;
    mount_bind(
        root,
        &Bind {
            source: spec.helper.clone(),
            target: HELPER.into(),
            read_only: true,
        },
    )
}

fn mount_bind(root: &Path, bind: &Bind) -> Result<(), RootError> {
    let target = inside(root, &bind.target);
    let is_directory = bind.source.is_dir();
    let made = if is_directory {
        fs::create_dir_all(&target)
    } else if target.exists() {
        Ok(())
    } else {
        target
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&target, ""))
    };
    let wanted = || {
        format!(
            "bind `{}` at `{}`",
            bind.source.display(),
            bind.target.display()
        )
    };
    made.meant(wanted)?;
    rustix::mount::mount_bind_recursive(&bind.source, &target).meant(wanted)?;
    if bind.read_only {
        rustix::mount::mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"")
            .meant(wanted)?;
    }
    Ok(())
}

/// The overlay would show the machine its own disk (and refuse to walk into it), so that place looks empty instead.
fn conceal(root: &Path, directory: &Path) -> Result<(), RootError> {
    let path = inside(root, directory);
    if path.is_dir() {
        tmpfs(&path, c"mode=0700")?;
    }
    Ok(())
}

fn pivot(root: &Path) -> Result<(), RootError> {
    // The overlay itself was mounted here, so it is a mount point, as pivot_root wants.
    std::env::set_current_dir(root)
        .and_then(|()| rustix::process::pivot_root(".", ".").map_err(Into::into))
        .and_then(|()| rustix::mount::unmount("/", UnmountFlags::DETACH).map_err(Into::into))
        .and_then(|()| std::env::set_current_dir("/"))
        .meant(|| format!("make `{}` the root", root.display()))
}
