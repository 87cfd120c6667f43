//! The machines of the model, one per unit, and what lies in them for the charm.
//!
//! `machines/<n>/` in the model's directory belongs to machine `n`: `disk` and `state` to the
//! machine itself, `juju` is its `/var/lib/juju`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use juju_sim_machine::{Address, Bind, HELPER, Machine, MachineSpec};
use juju_sim_model::state::{Network, unit_tag};
use rustix::event::{PollFd, PollFlags, poll};

use crate::agent::process;
use crate::daemon::world::World;
use crate::link::Client;

/// The host's end of the machines' network, and the length of its prefix.
pub(crate) const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 151, 0, 1);
pub(crate) const PREFIX: u8 = 16;
/// Addresses below are for the bridge and for whoever tries things out.
const FIRST_HOST: u32 = 10;
/// How long a machine's services may take to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Every hook tool that Juju 3.6 links.
const TOOLS: [&str; 43] = [
    "action-fail",
    "action-get",
    "action-log",
    "action-set",
    "application-version-set",
    "close-port",
    "config-get",
    "credential-get",
    "goal-state",
    "is-leader",
    "juju-log",
    "juju-reboot",
    "k8s-raw-get",
    "k8s-raw-set",
    "k8s-spec-get",
    "k8s-spec-set",
    "leader-get",
    "leader-set",
    "network-get",
    "open-port",
    "opened-ports",
    "payload-register",
    "payload-status-set",
    "payload-unregister",
    "pod-spec-get",
    "pod-spec-set",
    "relation-get",
    "relation-ids",
    "relation-list",
    "relation-model-get",
    "relation-set",
    "resource-get",
    "secret-add",
    "secret-get",
    "secret-grant",
    "secret-ids",
    "secret-info-get",
    "secret-remove",
    "secret-revoke",
    "secret-set",
    "state-delete",
    "state-get",
    "state-set",
];
const MORE_TOOLS: [&str; 6] = [
    "status-get",
    "status-set",
    "storage-add",
    "storage-get",
    "storage-list",
    "unit-get",
];

/// The running machines by unit.
#[derive(Debug)]
pub(crate) struct Machines {
    directory: PathBuf,
    running: Mutex<BTreeMap<String, Machine>>,
}

/// Where a unit's things lie inside its machine.
pub(crate) fn agent_directory(unit: &str) -> PathBuf {
    Path::new("/var/lib/juju/agents").join(unit_tag(unit))
}

/// The tools directory inside the machine.
pub(crate) fn tools_directory(unit: &str) -> PathBuf {
    Path::new("/var/lib/juju/tools").join(unit_tag(unit))
}

/// The address of machine `number`.
fn address(number: &str) -> Ipv4Addr {
    let number: u32 = number.parse().unwrap_or(0);
    Ipv4Addr::from_bits(BRIDGE.to_bits() - 1 + FIRST_HOST + number)
}

/// What `network-get` answers on machine `number`.
pub(crate) fn network(number: &str) -> Network {
    network_at(number, IpAddr::V4(address(number)))
}

/// The same, were the machine at this address.
pub(crate) fn network_at(number: &str, at: IpAddr) -> Network {
    let [_, _, high, low] = address(number).octets();
    let mac = format!("02:73:69:6d:{high:02x}:{low:02x}");
    let cidr = match at {
        IpAddr::V4(at) => {
            let [first, second, ..] = at.octets();
            format!("{first}.{second}.0.0/{PREFIX}")
        }
        IpAddr::V6(_) => "fd00::/8".to_owned(),
    };
    Network::simple("eth0", &mac, &at.to_string(), &cidr)
}

impl Machines {
    pub(crate) fn new(model: &Path) -> io::Result<Self> {
        let directory = model.join("machines");
        fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            running: Mutex::new(BTreeMap::new()),
        })
    }

    /// `/var/lib/juju` of a machine, on the host.
    pub(crate) fn juju(&self, number: &str) -> PathBuf {
        self.directory.join(number).join("juju")
    }

    /// The agent's directory of a unit, on the host.
    pub(crate) fn agent(&self, number: &str, unit: &str) -> PathBuf {
        self.juju(number).join("agents").join(unit_tag(unit))
    }

    /// Starts the unit's machine, with the tools and the storage in it.
    pub(crate) fn start(
        &self,
        unit: &str,
        number: &str,
        model_uuid: &str,
        hidden: &[PathBuf],
        storage: &[(String, PathBuf)],
    ) -> Result<()> {
        let place = self.directory.join(number);
        let juju = self.juju(number);
        let agent = self.agent(number, unit);
        for directory in [
            agent.join("charm"),
            agent.join("resources"),
            juju.join("tools").join(unit_tag(unit)),
        ] {
            fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create `{}`", directory.display()))?;
        }
        for tool in TOOLS.iter().chain(&MORE_TOOLS) {
            let link = juju.join("tools").join(unit_tag(unit)).join(tool);
            if link.symlink_metadata().is_err() {
                symlink(HELPER, &link).context("cannot link the hook tools")?;
            }
        }
        let ip = IpAddr::V4(address(number));
        let short = model_uuid
            .get(model_uuid.len().saturating_sub(6)..)
            .unwrap_or(model_uuid);
        let hostname = format!("juju-{short}-{number}");
        let mut spec = MachineSpec::new(&place, &hostname, Address { ip, prefix: PREFIX })
            .context("cannot find this program")?;
        spec.hidden = hidden.to_vec();
        let bind = |source: PathBuf, target: &Path, read_only| Bind {
            source,
            target: target.to_owned(),
            read_only,
        };
        spec.binds
            .push(bind(juju, Path::new("/var/lib/juju"), false));
        spec.binds.push(bind(
            spec.helper.clone(),
            Path::new("/usr/bin/juju-exec"),
            true,
        ));
        for (id, location) in storage {
            let source = self.directory.join("..").join("storage").join(id);
            fs::create_dir_all(&source).context("cannot create the storage")?;
            spec.binds.push(bind(source, location, false));
        }
        let machine =
            Machine::start(spec).with_context(|| format!("cannot start the machine of {unit}"))?;
        self.lock().insert(unit.to_owned(), machine);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Machine>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unit's machine.
    pub(crate) fn of(&self, unit: &str) -> Option<Machine> {
        self.lock().get(unit).cloned()
    }

    /// Ends the unit's machine and removes its disk.
    pub(crate) fn remove(&self, unit: &str) -> Result<()> {
        let machine = self.lock().remove(unit);
        if let Some(machine) = machine {
            machine
                .remove(GRACE)
                .with_context(|| format!("cannot remove the machine of {unit}"))?;
        }
        Ok(())
    }

    /// Ends all machines at once; their disks stay.
    pub(crate) fn end_all(&self) {
        let machines: Vec<Machine> = std::mem::take(&mut *self.lock()).into_values().collect();
        for machine in machines {
            // What does not end now ends with the realm.
            drop(machine.kill_all());
        }
    }

    /// Runs a command in the unit's machine for a client; its exit status. One word is a shell's
    /// command line, several are taken as they are, none is a shell.
    pub(crate) fn ssh(
        &self,
        world: &World,
        client: &Client,
        unit: &str,
        words: &[String],
    ) -> Result<i32> {
        let unit = match unit.split_once('/') {
            Some((name, "leader")) => world
                .state()
                .model
                .applications
                .get(name)
                .and_then(|a| a.leader.clone())
                .unwrap_or_default(),
            _ => unit.to_owned(),
        };
        let Some(machine) = self.of(&unit) else {
            bail!("unit {unit:?} has no machine")
        };
        let mut command = match words {
            [] => {
                let mut command = machine.command_in("/root", "bash");
                command.arg("-l");
                command
            }
            [line] => {
                let mut command = machine.command_in("/root", "sh");
                command.args(["-c", line]);
                command
            }
            [program, rest @ ..] => {
                let mut command = machine.command_in("/root", program);
                command.args(rest);
                command
            }
        };
        let own = |file: &fs::File| file.try_clone().map(Stdio::from);
        command
            .stdin(own(&client.stdin).context("cannot share the client's files")?)
            .stdout(own(&client.stdout).context("cannot share the client's files")?)
            .stderr(own(&client.stderr).context("cannot share the client's files")?);
        let child = command.spawn().context("cannot run the command")?;
        drop(command);
        attend(child, client)
    }
}

/// Waits for the process's or the client's end, whichever is first.
fn attend(mut child: Child, client: &Client) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    let end = process::end_of(child.id()).context("cannot watch the command")?;
    loop {
        let connection = client.connection();
        let mut events = [
            PollFd::new(&end, PollFlags::IN),
            PollFd::new(&connection, PollFlags::IN | PollFlags::RDHUP),
        ];
        match poll(&mut events, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.context("cannot wait for the command")?,
        };
        let (ended, left) = (
            !events[0].revents().is_empty(),
            !events[1].revents().is_empty(),
        );
        if ended || left {
            if !ended {
                // It may have ended on its own in between.
                drop(child.kill());
            }
            let status = child.wait().context("cannot wait for the command")?;
            return Ok(status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
    }
}
