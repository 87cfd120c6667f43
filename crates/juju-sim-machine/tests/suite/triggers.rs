//! Sockets, paths and timers start their services.

use std::time::Duration;

use crate::world::{eventually, in_realm, property, script, sh, write};

const UNITS: &str = "/etc/systemd/system";

#[test]
fn a_socket_starts_its_service_and_survives_its_restart() {
    in_realm(
        "triggers::a_socket_starts_its_service_and_survives_its_restart",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                "/opt/serve",
                "import os, socket, sys\nassert os.environ['LISTEN_PID'] == str(os.getpid())\nnames = os.environ['LISTEN_FDNAMES']\ncount = int(os.environ['LISTEN_FDS'])\n\
             open('/run/given', 'w').write(f'{count} {names}')\ns = socket.socket(fileno=3)\ns.setblocking(True)\nwhile True:\n    c, _ = s.accept()\n    c.sendall(str(os.getpid()).encode())\n    c.close()\n",
            );
            write(
                &machine,
                &format!("{UNITS}/web.service"),
                "[Service]\nExecStart=/usr/bin/python3 /opt/serve\n",
            );
            write(
                &machine,
                &format!("{UNITS}/web.socket"),
                "[Socket]\nListenStream=0.0.0.0:8083\nListenStream=/run/web/control\nFileDescriptorName=door\nSocketMode=0600\nNoDelay=yes\nBacklog=64\n[Install]\nWantedBy=sockets.target\n",
            );
            sh(&machine, "systemctl enable --now web.socket");
            assert_eq!(sh(&machine, "systemctl is-active web.socket"), "active");
            assert_eq!(script(&machine, "systemctl is-active web").text, "inactive");
            assert_eq!(sh(&machine, "stat -c %a /run/web/control"), "600");
            let other = world.machine(3);
            let client = "import socket; print(socket.create_connection(('10.211.0.2', 8083), 5).recv(9).decode())";
            let first = sh(&other, &format!("python3 -c \"{client}\""));
            assert_eq!(first, property(&machine, "web", "MainPID"));
            assert_eq!(sh(&machine, "cat /run/given"), "2 door:door");
            sh(&machine, "systemctl stop web");
            let second = sh(&other, &format!("python3 -c \"{client}\""));
            assert_ne!(first, second);
            sh(&machine, "systemctl restart web");
            assert_ne!(second, sh(&other, &format!("python3 -c \"{client}\"")));
            sh(&machine, "systemctl stop web.socket web");
            assert_ne!(script(&other, &format!("python3 -c \"{client}\"")).code, 0);
            for machine in [machine, other] {
                machine.remove(Duration::from_secs(5)).unwrap();
            }
        },
    );
}

#[test]
fn a_path_unit_sees_a_file_renamed_into_place() {
    in_realm(
        "triggers::a_path_unit_sees_a_file_renamed_into_place",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                &format!("{UNITS}/wake.service"),
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x >> /run/woken'\n",
            );
            write(
                &machine,
                &format!("{UNITS}/wake.path"),
                "[Path]\nPathChanged=/var/lib/gate/state.json\n[Install]\nWantedBy=multi-user.target\n",
            );
            write(
                &machine,
                &format!("{UNITS}/spool.path"),
                "[Path]\nDirectoryNotEmpty=/var/spool/in\nMakeDirectory=yes\n",
            );
            write(
                &machine,
                &format!("{UNITS}/spool.service"),
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'cat /var/spool/in/* >> /run/eaten; rm /var/spool/in/*'\n",
            );
            sh(&machine, "systemctl start wake.path spool.path");
            let woken = |count: &str| {
                eventually("the service ran", || {
                    (script(&machine, "grep -c x /run/woken").text == count
                        && property(&machine, "wake.service", "ActiveState") == "inactive"
                        && property(&machine, "wake.path", "SubState") == "waiting")
                        .then_some(())
                });
            };
            let replace = "mkdir -p /var/lib/gate && echo $RANDOM > /var/lib/gate/new && mv /var/lib/gate/new /var/lib/gate/state.json";
            sh(&machine, replace);
            woken("1");
            sh(&machine, replace);
            woken("2");
            sh(&machine, "echo more >> /var/lib/gate/state.json");
            woken("3");
            sh(
                &machine,
                "echo a > /var/spool/a && mv /var/spool/a /var/spool/in/",
            );
            eventually("the spool was eaten", || {
                (script(&machine, "cat /run/eaten").text == "a").then_some(())
            });
            sh(&machine, "systemctl stop wake.path");
            sh(&machine, replace);
            assert_eq!(sh(&machine, "sleep 0.2; grep -c x /run/woken"), "3");
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn a_timer_elapses_and_can_be_armed_again() {
    in_realm(
        "triggers::a_timer_elapses_and_can_be_armed_again",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                &format!("{UNITS}/tick.service"),
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x >> /run/ticks'\n",
            );
            write(
                &machine,
                &format!("{UNITS}/tick.timer"),
                "[Timer]\nOnActiveSec=200ms\nAccuracySec=1ms\n",
            );
            write(
                &machine,
                &format!("{UNITS}/beat.timer"),
                "[Timer]\nOnBootSec=0\nOnUnitActiveSec=150ms\nUnit=beat.service\n",
            );
            write(
                &machine,
                &format!("{UNITS}/beat.service"),
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x >> /run/beats'\n",
            );
            sh(
                &machine,
                "systemctl start tick.timer beat.timer && test ! -e /run/ticks",
            );
            let count = |file: &str, least: usize| {
                eventually("it ticked", || {
                    (script(&machine, &format!("cat {file}"))
                        .text
                        .lines()
                        .count()
                        >= least)
                        .then_some(())
                });
            };
            count("/run/ticks", 1);
            eventually("it is done", || {
                (property(&machine, "tick.timer", "SubState") == "elapsed").then_some(())
            });
            sh(&machine, "systemctl restart tick.timer");
            count("/run/ticks", 2);
            count("/run/beats", 3);
            sh(&machine, "systemctl stop beat.timer");
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}
