//! Machines themselves: isolation, network, disk, ending.

use std::time::Duration;

use juju_sim_machine::{Bind, Machine};

use crate::world::{in_realm, outcome, script, sh};

#[test]
fn machine_comes_up_runs_commands_and_leaves_nothing() {
    in_realm(
        "machines::machine_comes_up_runs_commands_and_leaves_nothing",
        |world| {
            let mounts_before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            let machine = world.machine(2);
            assert_eq!(
                sh(&machine, "hostname; id -u; cat /proc/1/comm"),
                "machine-2\n0\nsim-machine"
            );
            assert_eq!(
                sh(&machine, "ip -brief -4 addr show eth0 | tr -s ' '"),
                "eth0@if3 UP 10.211.0.2/24"
            );
            assert_eq!(script(&machine, "exit 7").code, 7);
            assert_eq!(
                outcome(machine.command_in("/var", "pwd").env("A", "b")).text,
                "/var"
            );
            assert_eq!(outcome(&mut machine.command("no-such-program")).code, 127);
            let directory = machine.spec().directory.clone();
            let pid = machine.pid();
            sh(
                &machine,
                "sleep 1000 >/dev/null 2>&1 & setsid sleep 1000 >/dev/null 2>&1 &",
            );
            machine.remove(Duration::from_secs(5)).unwrap();
            assert!(!directory.exists());
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
            let links = String::from_utf8(
                std::process::Command::new("ip")
                    .args(["-brief", "link"])
                    .output()
                    .unwrap()
                    .stdout,
            )
            .unwrap();
            assert!(!links.contains("sv"), "{links}");
            assert_eq!(
                std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
                mounts_before
            );
        },
    );
}

#[test]
fn machines_reach_each_other_and_nothing_else() {
    in_realm(
        "machines::machines_reach_each_other_and_nothing_else",
        |world| {
            let (one, two) = (world.machine(2), world.machine(3));
            let listener = "import socket; s = socket.create_server(('', 4000)); print('up', flush=True); s.accept()[0].sendall(b'hello')";
            let mut server = one
                .command("python3")
                .args(["-c", listener])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(
                &mut std::io::BufReader::new(server.stdout.take().unwrap()),
                &mut line,
            )
            .unwrap();
            assert_eq!(line, "up\n");
            let client = "import socket; print(socket.create_connection(('10.211.0.2', 4000), 5).recv(9).decode())";
            assert_eq!(
                outcome(two.command("python3").args(["-c", client])).text,
                "hello"
            );
            server.wait().unwrap();
            let outside = "import socket; socket.create_connection(('192.0.2.1', 80), 5)";
            assert!(
                outcome(two.command("python3").args(["-c", outside]))
                    .text
                    .ends_with("Network is unreachable")
            );
            for machine in [one, two] {
                machine.remove(Duration::from_secs(5)).unwrap();
            }
        },
    );
}

#[test]
fn what_a_machine_writes_stays_on_its_disk_and_survives_a_reboot() {
    in_realm(
        "machines::what_a_machine_writes_stays_on_its_disk_and_survives_a_reboot",
        |world| {
            let machine = world.machine(2);
            sh(
                &machine,
                "useradd --system worker-of-a-test && mkdir /srv/x && chown worker-of-a-test /srv/x",
            );
            assert_eq!(sh(&machine, "stat -c %U /srv/x"), "worker-of-a-test");
            assert!(
                !std::fs::read_to_string("/etc/passwd")
                    .unwrap()
                    .contains("worker-of-a-test")
            );
            assert!(!std::path::Path::new("/srv/x").exists());
            let machine: Machine = machine.reboot(Duration::from_secs(5)).unwrap();
            assert_eq!(sh(&machine, "stat -c %U /srv/x"), "worker-of-a-test");
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn binds_appear_and_hidden_paths_do_not() {
    in_realm("machines::binds_appear_and_hidden_paths_do_not", |world| {
        let shared = world.directory.join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::write(shared.join("note"), "from the host").unwrap();
        let mut spec = world.spec(2);
        spec.hidden = vec!["/usr/lib/python3".into(), "/usr/bin/env".into()];
        spec.binds = vec![
            Bind {
                source: shared.clone(),
                target: "/var/lib/juju/agents".into(),
                read_only: false,
            },
            Bind {
                source: shared.join("note"),
                target: "/opt/note".into(),
                read_only: true,
            },
        ];
        let machine = Machine::start(spec).unwrap();
        assert_eq!(
            sh(&machine, "cat /var/lib/juju/agents/note"),
            "from the host"
        );
        assert_ne!(script(&machine, "echo x > /opt/note").code, 0);
        sh(&machine, "echo back > /var/lib/juju/agents/answer");
        assert_eq!(
            std::fs::read_to_string(shared.join("answer")).unwrap(),
            "back\n"
        );
        sh(
            &machine,
            "test ! -e /usr/lib/python3 && test ! -e /usr/bin/env && test -e /usr/bin/id",
        );
        assert_eq!(sh(&machine, "stat -c %a%U /usr/lib"), "755root");
        sh(
            &machine,
            "mkdir /usr/lib/python3 && test -z \"$(ls /usr/lib/python3)\"",
        );
        assert!(std::path::Path::new("/usr/bin/env").exists());
        machine.remove(Duration::from_secs(5)).unwrap();
    });
}

#[test]
fn killing_what_waits_for_a_command_kills_the_command() {
    in_realm(
        "machines::killing_what_waits_for_a_command_kills_the_command",
        |world| {
            let machine = world.machine(2);
            let mut child = machine.command("sleep").arg("1234").spawn().unwrap();
            crate::world::eventually("sleep runs", || {
                (script(&machine, "pgrep -f 'sleep 123[4]'").code == 0).then_some(())
            });
            child.kill().unwrap();
            child.wait().unwrap();
            crate::world::eventually("sleep is gone", || {
                (script(&machine, "pgrep -f 'sleep 123[4]'").code == 1).then_some(())
            });
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}
