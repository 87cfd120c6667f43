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

/// Answers each connection with what it was handed, until it is killed; says that it is ready as `Type=notify` wants it.
const DOORS: &str = r#"
import os, select, signal, socket, sys
count = int(os.environ["LISTEN_FDS"]) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
names = os.environ.get("LISTEN_FDNAMES", "").split(":") if count else []
doors = [socket.socket(fileno=3 + index) for index in range(count)]
ports = {names[index]: door.getsockname()[1] for index, door in enumerate(doors)}
told = " ".join(f"{name}={ports[name]}" for name in sorted(ports))
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    for door in select.select(doors, [], [])[0]:
        door.setblocking(True)
        peer, _ = door.accept()
        peer.sendall(f"{os.getpid()} {told}".encode())
        peer.close()
"#;

/// What a client reads on a port of machine 2; what it says where it is refused.
const CLIENT: &str = "
import socket, sys
try:
    with socket.create_connection(('10.211.0.2', int(sys.argv[1])), 5) as peer:
        print(peer.recv(99).decode() or 'nothing')
except ConnectionRefusedError:
    print('refused')
";

#[test]
fn doors_of_several_sockets_outlive_their_service_and_move_with_it() {
    in_realm(
        "triggers::doors_of_several_sockets_outlive_their_service_and_move_with_it",
        |world| {
            let (machine, other) = (world.machine(2), world.machine(3));
            write(&machine, "/opt/doors", DOORS);
            write(&other, "/opt/client", CLIENT);
            let socket = |name: &str, listen: &str| {
                let text = format!(
                    "[Socket]\n{listen}FileDescriptorName={name}\nService=web.service\nFreeBind=yes\n"
                );
                write(&machine, &format!("{UNITS}/web-{name}.socket"), &text);
            };
            socket("front", "ListenStream=10.211.0.2:8083\n");
            // The second address is nobody's: listened on all the same.
            socket(
                "back",
                "ListenStream=10.211.0.2:8084\nListenStream=10.211.0.99:8084\n",
            );
            let sockets = "web-front.socket web-back.socket";
            write(
                &machine,
                &format!("{UNITS}/web.service"),
                &format!(
                    "[Unit]\nPartOf={sockets}\nStartLimitIntervalSec=0\n[Service]\nType=notify\nSockets={sockets}\nExecStart=/usr/bin/python3 /opt/doors\nRestart=always\nRestartSec=300ms\n"
                ),
            );
            let ask = |port: u16| sh(&other, &format!("python3 /opt/client {port}"));
            let state = |unit: &str| script(&machine, &format!("systemctl is-active {unit}")).text;
            let main = || property(&machine, "web", "MainPID");

            // The service wants its sockets, and they come first.
            sh(&machine, "systemctl start web");
            let told = |ports: &str| format!("{} {ports}", main());
            assert_eq!(ask(8083), told("back=8084 front=8083"));
            assert_eq!(ask(8084), told("back=8084 front=8083"));
            // A restart of the service keeps them.
            let first = main();
            sh(&machine, "systemctl restart --no-block web");
            assert_ne!(ask(8083).split(' ').next(), Some(first.as_str()));
            // After a crash a connection waits for the next automatic start.
            let second = main();
            sh(&machine, &format!("kill -9 {second}"));
            assert_ne!(ask(8084).split(' ').next(), Some(second.as_str()));
            assert_eq!(property(&machine, "web", "NRestarts"), "1");

            // Stopping one stops the service that is part of it; a connection to another starts both.
            sh(&machine, "systemctl stop web-front.socket");
            assert_eq!(state("web.service"), "inactive");
            assert_eq!(ask(8083), "refused");
            assert_eq!(ask(8084), told("back=8084 front=8083"));
            // None can be started beside the running service,
            socket("late", "ListenStream=10.211.0.2:8085\n");
            let refused = script(&machine, "systemctl start web-late.socket");
            assert_eq!(
                (refused.code, state("web-late.socket").as_str()),
                (1, "inactive")
            );
            let log = sh(&machine, "journalctl -u web-late.socket");
            assert!(
                log.contains("Socket service web.service already active, refusing."),
                "{log}"
            );
            // but restarted with it, to listen elsewhere. Reading its file again closes what that does not name any more.
            socket("front", "ListenStream=10.211.0.2:9083\n");
            sh(&machine, "systemctl daemon-reload && systemctl restart web");
            assert_eq!(ask(8084), told("back=8084"));
            assert_eq!(
                (ask(8083), ask(9083)),
                ("refused".to_owned(), "refused".to_owned())
            );
            sh(&machine, "systemctl restart web-front.socket");
            eventually("it runs again", || {
                (state("web.service") == "active").then_some(())
            });
            assert_eq!(ask(9083), told("back=8084 front=9083"));
            assert_eq!(ask(8083), "refused");

            // A socket that cannot listen keeps the service from nothing.
            socket("front", "ListenStream=10.211.0.2:22222\n");
            write(
                &machine,
                "/opt/taken",
                "import socket, time\ns = socket.create_server(('10.211.0.2', 22222))\nopen('/run/taken', 'w')\ntime.sleep(60)\n",
            );
            sh(
                &machine,
                "python3 /opt/taken >/dev/null 2>&1 & for n in $(seq 100); do [ -e /run/taken ] && break; sleep 0.1; done",
            );
            sh(&machine, "systemctl daemon-reload");
            assert_ne!(
                script(&machine, "systemctl restart web-front.socket").code,
                0
            );
            eventually("it runs again", || {
                (state("web.service") == "active").then_some(())
            });
            assert_eq!(state("web-front.socket"), "failed");
            assert!(ask(8084).ends_with(" back=8084"));
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
