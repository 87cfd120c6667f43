//! Services: what unit files say is what happens.

use std::time::Duration;

use crate::world::{eventually, in_realm, in_realm_of_nohup, property, script, sh, write};

const UNITS: &str = "/etc/systemd/system";

#[test]
fn a_service_runs_as_its_unit_file_says() {
    in_realm("services::a_service_runs_as_its_unit_file_says", |world| {
        let machine = world.machine(2);
        sh(
            &machine,
            "useradd --system worker && groupadd extra && mkdir /srv/data && chown worker /srv/data",
        );
        write(
            &machine,
            "/etc/default/app",
            "NAME=\"two words\"\nPORT=8083\n",
        );
        write(
            &machine,
            "/opt/app",
            "#!/bin/sh\n{ id -un; id -gn; id -Gn; pwd; umask; ulimit -n; echo \"$NAME/$PORT/$OWN\"; echo \"$@\"; stat -c '%a %U %n' /run/app /var/lib/app; \
             grep NoNewPrivs /proc/self/status; grep CapBnd /proc/self/status; touch /usr/x /etc/x /srv/data/y 2>&1; ls /root /srv/secret 2>&1; ls -A /tmp; \
             } > /srv/data/out\necho started; echo trouble >&2\nsystemd-notify --ready --status='all good'\nexec sleep 1000\n",
        );
        sh(
            &machine,
            "chmod 755 /opt/app; mkdir /srv/secret; touch /tmp/visible",
        );
        write(
            &machine,
            &format!("{UNITS}/app.service"),
            "[Unit]\nDescription=An app\nAfter=network-online.target\nWants=network-online.target\n[Service]\nType=notify\nNotifyAccess=all\n\
             User=worker\nSupplementaryGroups=extra\nWorkingDirectory=/srv/data\nUMask=0027\nLimitNOFILE=4321\nEnvironment=OWN=%n\n\
             EnvironmentFile=/etc/default/app\nEnvironmentFile=-/etc/default/none\nRuntimeDirectory=app\nRuntimeDirectoryMode=0750\nStateDirectory=app\n\
             NoNewPrivileges=yes\nCapabilityBoundingSet=\nProtectSystem=strict\nReadWritePaths=/srv/data\nProtectHome=yes\nInaccessiblePaths=/srv/secret\nPrivateTmp=yes\n\
             ExecStartPre=+/bin/sh -c 'id -un > /run/pre; echo pre'\nExecStart=/opt/app --port ${PORT} $NAME\n[Install]\nWantedBy=multi-user.target\n",
        );
        sh(&machine, "systemctl daemon-reload && systemctl start app");
        let out = sh(&machine, "cat /srv/data/out");
        let expected = "worker\nworker\nworker extra\n/srv/data\n0027\n4321\ntwo words/8083/app.service\n--port 8083 two words\n\
            750 worker /run/app\n755 worker /var/lib/app\n";
        assert!(out.starts_with(expected), "{out}");
        assert!(
            out.contains("NoNewPrivs:\t1\nCapBnd:\t0000000000000000\n"),
            "{out}"
        );
        assert!(
            out.contains("touch: cannot touch '/usr/x': Read-only file system"),
            "{out}"
        );
        assert!(
            out.contains("touch: cannot touch '/etc/x': Read-only file system"),
            "{out}"
        );
        assert!(!out.contains("/srv/data/y"), "{out}");
        assert!(
            out.contains("cannot open directory '/root': Permission denied"),
            "{out}"
        );
        assert!(
            out.contains("cannot open directory '/srv/secret': Permission denied"),
            "{out}"
        );
        assert!(!out.contains("visible"), "{out}");
        assert_eq!(sh(&machine, "cat /run/pre"), "root");
        assert_eq!(
            sh(
                &machine,
                "systemctl show app -p ActiveState,SubState,Result,StatusText,NRestarts,LoadState,UnitFileState"
            ),
            "ActiveState=active\nSubState=running\nResult=success\nStatusText=all good\nNRestarts=0\nLoadState=loaded\nUnitFileState=disabled"
        );
        let pid = property(&machine, "app", "MainPID");
        assert_eq!(
            sh(&machine, &format!("ps -o user=,comm= -p {pid} | tr -s ' '")),
            "worker sleep"
        );
        let journal = sh(&machine, "journalctl -u app -o cat");
        for line in [
            "Starting app.service - An app...",
            "pre",
            "started",
            "trouble",
            "Started app.service - An app.",
        ] {
            assert!(
                journal.lines().any(|known| known == line),
                "{line} not in {journal}"
            );
        }
        let entries = juju_sim_machine::journal::read(&machine.journal()).unwrap();
        assert!(
            entries
                .iter()
                .any(|entry| entry.message == "started" && entry.identifier == "app")
        );
        assert!(
            script(&machine, "systemctl status app")
                .text
                .contains("Active: active (running)")
        );
        sh(&machine, "systemctl stop app");
        assert_eq!(script(&machine, "systemctl is-active app").code, 3);
        sh(
            &machine,
            "test ! -e /run/app && test -d /var/lib/app && ! pgrep -u worker",
        );
        sh(&machine, "test -z \"$(ls /tmp | grep systemd-private)\"");
        machine.remove(Duration::from_secs(5)).unwrap();
    });
}

#[test]
fn failures_restart_until_the_limit() {
    in_realm("services::failures_restart_until_the_limit", |world| {
        let machine = world.machine(2);
        write(
            &machine,
            &format!("{UNITS}/flaky.service"),
            "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=4\nOnFailure=alarm.service\n[Service]\nExecStart=/bin/sh -c 'date +%%s.%%N >> /run/times; exit 3'\n\
             Restart=on-failure\nRestartSec=100ms\nRestartSteps=2\nRestartMaxDelaySec=400ms\n",
        );
        write(
            &machine,
            &format!("{UNITS}/alarm.service"),
            "[Service]\nType=oneshot\nExecStart=/bin/touch /run/alarm\n",
        );
        sh(&machine, "systemctl start flaky");
        eventually("the limit is hit", || {
            (property(&machine, "flaky", "Result") == "start-limit-hit").then_some(())
        });
        let times: Vec<f64> = sh(&machine, "cat /run/times")
            .lines()
            .map(|line| line.parse().unwrap())
            .collect();
        let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 3, "{pauses:?}");
        assert!(
            pauses[0] >= 0.1 && pauses[1] >= 0.2 && pauses[2] >= 0.4 && pauses[2] < 2.0,
            "{pauses:?}"
        );
        eventually("the alarm ran", || {
            (script(&machine, "test -e /run/alarm").code == 0).then_some(())
        });
        assert_eq!(script(&machine, "systemctl is-failed flaky").text, "failed");
        assert_eq!(
            script(&machine, "systemctl is-system-running").text,
            "degraded"
        );
        sh(
            &machine,
            "systemctl reset-failed flaky && test $(systemctl is-active flaky) = inactive",
        );
        // A service that is killed comes again as another process, and a stopped one does not.
        write(
            &machine,
            &format!("{UNITS}/kept.service"),
            "[Service]\nType=exec\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=50ms\n",
        );
        sh(&machine, "systemctl start kept");
        let first = property(&machine, "kept", "MainPID");
        sh(&machine, &format!("kill -9 {first}"));
        let second = eventually("it runs again", || {
            let pid = property(&machine, "kept", "MainPID");
            (pid != first && pid != "0").then_some(pid)
        });
        assert_eq!(property(&machine, "kept", "NRestarts"), "1");
        sh(&machine, "systemctl restart kept");
        let third = property(&machine, "kept", "MainPID");
        assert!(third != second && third != "0");
        sh(&machine, "systemctl stop kept");
        assert_eq!(property(&machine, "kept", "ActiveState"), "inactive");
        machine.remove(Duration::from_secs(5)).unwrap();
    });
}

#[test]
fn what_is_not_honoured_is_an_error_that_names_it() {
    in_realm(
        "services::what_is_not_honoured_is_an_error_that_names_it",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                &format!("{UNITS}/odd.service"),
                "[Service]\nExecStart=/bin/true\nMemoryMax=1G\n",
            );
            let outcome = script(&machine, "systemctl start odd");
            assert_eq!(outcome.code, 1);
            assert_eq!(
                outcome.text,
                "Failed to start odd.service: Unit odd.service has a bad unit file setting.\n\
             /etc/systemd/system/odd.service:3: Service.MemoryMax: this key is not honoured by the systemctl stand-in"
            );
            assert_eq!(property(&machine, "odd", "LoadState"), "bad-setting");
            for (command, code, text) in [
                (
                    "start none",
                    5,
                    "Failed to start none.service: Unit none.service not found.",
                ),
                (
                    "stop none",
                    5,
                    "Failed to stop none.service: Unit none.service not loaded.",
                ),
                ("is-active none", 4, "inactive"),
                ("is-enabled none", 4, "not-found"),
                ("status none", 4, "Unit none.service could not be found."),
                ("is-system-running", 0, "running"),
            ] {
                let outcome = script(&machine, &format!("systemctl {command}"));
                assert_eq!(
                    (outcome.code, outcome.text.as_str()),
                    (code, text),
                    "{command}"
                );
            }
            write(
                &machine,
                "/usr/lib/systemd/system/bad.service",
                "[Service]\nType=oneshot\nExecStart=/bin/false\n",
            );
            let outcome = script(&machine, "systemctl start bad");
            assert_eq!(outcome.code, 1);
            assert!(
                outcome.text.starts_with(
                    "Job for bad.service failed because the control process exited with error code."
                ),
                "{}",
                outcome.text
            );
            write(
                &machine,
                &format!("{UNITS}/nobody.service"),
                "[Service]\nType=exec\nUser=no-such-user\nExecStart=/bin/true\n",
            );
            assert_eq!(script(&machine, "systemctl start nobody").code, 1);
            assert_eq!(property(&machine, "nobody", "ExecMainStatus"), "217");
            sh(&machine, "systemctl reset-failed && systemctl mask bad");
            assert_eq!(
                script(&machine, "systemctl start bad").text,
                "Failed to start bad.service: Unit bad.service is masked."
            );
            let asked = machine
                .command("setpriv")
                .args([
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    "systemctl",
                    "stop",
                    "odd",
                ])
                .output()
                .unwrap();
            assert!(String::from_utf8_lossy(&asked.stderr).contains("Access denied"));
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn units_start_and_stop_in_order_and_together() {
    in_realm(
        "services::units_start_and_stop_in_order_and_together",
        |world| {
            let machine = world.machine(2);
            let unit = |relations: &str, name: &str| {
                format!(
                    "[Unit]\n{relations}[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'sleep 0.1; echo +{name} >> /run/order'\n\
                 ExecStop=/bin/sh -c 'sleep 0.1; echo -{name} >> /run/order'\n[Install]\nWantedBy=multi-user.target\n"
                )
            };
            write(
                &machine,
                &format!("{UNITS}/base.service"),
                &unit("", "base"),
            );
            write(
                &machine,
                &format!("{UNITS}/middle.service"),
                &unit("Requires=base.service\nAfter=base.service\n", "middle"),
            );
            write(
                &machine,
                &format!("{UNITS}/top.service"),
                &unit(
                    "Wants=middle.service missing.service\nAfter=middle.service\n",
                    "top",
                ),
            );
            write(
                &machine,
                &format!("{UNITS}/side.service"),
                &unit("PartOf=base.service\nAfter=base.service\n", "side"),
            );
            write(
                &machine,
                &format!("{UNITS}/rival.service"),
                &unit("Conflicts=side.service\n", "rival"),
            );
            sh(&machine, "systemctl start top side");
            let order = sh(&machine, "cat /run/order");
            let at = |text: &str, what: &str| text.lines().position(|line| line == what).unwrap();
            assert!(
                at(&order, "+base") < at(&order, "+middle")
                    && at(&order, "+middle") < at(&order, "+top"),
                "{order}"
            );
            sh(
                &machine,
                "systemctl start rival && ! systemctl -q is-active side",
            );
            sh(&machine, "rm /run/order; systemctl restart base");
            eventually("what requires the unit restarts with it", || {
                (sh(&machine, "cat /run/order") == "-middle\n-base\n+base\n+middle").then_some(())
            });
            // Stopping the machine stops services in the opposite order of their start.
            sh(
                &machine,
                "rm /run/order; systemctl enable top; mkdir -p /var/out; mount --bind /var/out /mnt",
            );
            let enabled = sh(
                &machine,
                "systemctl is-enabled top && ls -l /etc/systemd/system/multi-user.target.wants | grep -o 'top.service.*'",
            );
            assert_eq!(
                enabled,
                "enabled\ntop.service -> /etc/systemd/system/top.service"
            );
            for name in ["base", "middle", "top"] {
                sh(
                    &machine,
                    &format!("sed -i s,/run/order,/var/out/order, {UNITS}/{name}.service"),
                );
            }
            sh(&machine, "systemctl daemon-reload");
            let machine = machine.reboot(Duration::from_secs(10)).unwrap();
            eventually("the enabled unit is up again", || {
                (script(&machine, "systemctl is-active top").code == 0).then_some(())
            });
            assert_eq!(
                sh(&machine, "cat /var/out/order"),
                "-top\n-middle\n-base\n+base\n+middle\n+top"
            );
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn stubborn_services_are_killed_with_all_their_processes() {
    in_realm(
        "services::stubborn_services_are_killed_with_all_their_processes",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                "/opt/stubborn",
                "#!/bin/sh\ntrap '' TERM\nsetsid sh -c 'trap \"\" TERM; while true; do sleep 0.1; done' >/dev/null 2>&1 &\nwhile true; do sleep 0.1; done\n",
            );
            sh(&machine, "chmod 755 /opt/stubborn");
            write(
                &machine,
                &format!("{UNITS}/stubborn.service"),
                "[Service]\nType=exec\nExecStart=/opt/stubborn\nTimeoutStopSec=300ms\nExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS > /run/post'\n",
            );
            sh(&machine, "systemctl start stubborn; sleep 0.2");
            assert_ne!(sh(&machine, "pgrep -fc 'trap|stubborn'"), "0");
            sh(&machine, "systemctl stop stubborn");
            assert_eq!(property(&machine, "stubborn", "Result"), "timeout");
            assert_eq!(sh(&machine, "cat /run/post"), "timeout killed KILL");
            assert_eq!(
                script(
                    &machine,
                    "ps ax -o args | grep -v grep | grep -e trap -e stubborn"
                )
                .text,
                ""
            );
            // A service may end with the code of its signal, if the unit says that this is success.
            for (extra, result) in [("", "exit-code"), ("SuccessExitStatus=143\n", "success")] {
                write(
                    &machine,
                    &format!("{UNITS}/java.service"),
                    &format!(
                        "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'trap \"exit 143\" TERM; systemd-notify --ready; while true; do sleep 0.05; done'\n{extra}"
                    ),
                );
                sh(
                    &machine,
                    "systemctl daemon-reload; systemctl reset-failed; systemctl start java; systemctl stop java",
                );
                assert_eq!(property(&machine, "java", "Result"), result);
            }
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn a_service_ignores_no_signal_although_its_realm_was_started_under_nohup() {
    in_realm_of_nohup(
        "services::a_service_ignores_no_signal_although_its_realm_was_started_under_nohup",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                &format!("{UNITS}/plain.service"),
                "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n",
            );
            sh(&machine, "systemctl start plain");
            let process = property(&machine, "plain", "MainPID");
            // A hook is no service, and starts clean all the same.
            for process in [process.as_str(), "self"] {
                let status = sh(&machine, &format!("grep SigIgn /proc/{process}/status"));
                let mask = status.split_whitespace().last().unwrap();
                let ignored = u64::from_str_radix(mask, 16).unwrap();
                // Signals 32 and 33 are the C library's own, and no program can set them.
                assert_eq!(ignored & 0x7fff_ffff, 0, "{process}: {status}");
            }
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

#[test]
fn reload_signals_and_timeouts_are_honoured() {
    in_realm(
        "services::reload_signals_and_timeouts_are_honoured",
        |world| {
            let machine = world.machine(2);
            write(
                &machine,
                &format!("{UNITS}/classic.service"),
                "[Service]\nType=exec\nExecStart=/bin/sh -c 'trap \"echo got-hup\" HUP; echo armed; while true; do sleep 0.05; done'\nExecReload=/bin/kill -HUP $MAINPID\n",
            );
            write(
                &machine,
                &format!("{UNITS}/modern.service"),
                "[Service]\nType=notify-reload\nNotifyAccess=all\nExecStart=/bin/bash -c 'trap \"systemd-notify --reloading; echo again; systemd-notify --ready\" HUP; systemd-notify --ready; while true; do sleep 0.05; done'\n",
            );
            write(
                &machine,
                &format!("{UNITS}/late.service"),
                "[Service]\nType=notify\nExecStart=/bin/sleep 1000\nTimeoutStartSec=200ms\n",
            );
            write(
                &machine,
                &format!("{UNITS}/dog.service"),
                "[Service]\nType=notify\nNotifyAccess=all\nWatchdogSec=300ms\nExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\n",
            );
            sh(&machine, "systemctl start classic modern");
            // Before its trap is set the signal would end it.
            eventually("the signal is awaited", || {
                sh(&machine, "journalctl -o cat -u classic")
                    .contains("armed")
                    .then_some(())
            });
            sh(&machine, "systemctl reload classic modern");
            assert_eq!(property(&machine, "classic", "ActiveState"), "active");
            eventually("both reloaded", || {
                let journal = sh(&machine, "journalctl -o cat");
                (journal.contains("got-hup") && journal.contains("again")).then_some(())
            });
            let outcome = script(&machine, "systemctl start late");
            assert!(
                outcome.text.contains("because a timeout was exceeded"),
                "{}",
                outcome.text
            );
            sh(&machine, "systemctl start dog");
            eventually("the watchdog bites", || {
                (property(&machine, "dog", "Result") == "watchdog").then_some(())
            });
            sh(&machine, "systemctl kill -s KILL classic");
            eventually("it was killed", || {
                (property(&machine, "classic", "Result") == "signal").then_some(())
            });
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}

/// Tries what the keys about system calls refuse, and writes what came of each.
const TRIES: &str = r#"
import ctypes, errno, mmap, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
def call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return "ok" if result not in (-1, 2 ** 64 - 1) else errno.errorcode[ctypes.get_errno()]
def python(function, *arguments):
    try:
        function(*arguments)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
open(f"/run/{sys.argv[1]}.file", "w")
results = {
    "rwx": call("mmap", None, 4096, 7, 0x22, -1, 0),
    "rw": call("mmap", None, 4096, 3, 0x22, -1, 0),
    "netlink": python(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    "inet": python(socket.socket, socket.AF_INET, socket.SOCK_STREAM),
    "realtime": python(os.sched_setscheduler, 0, os.SCHED_RR, os.sched_param(1)),
    "suid": python(os.chmod, f"/run/{sys.argv[1]}.file", 0o4755),
    "mode": python(os.chmod, f"/run/{sys.argv[1]}.file", 0o755),
    "namespace": call("unshare", 0x04000000),
    "personality": call("personality", 0x0008),
    "filtered": call("sethostname", b"x", 1),
    "meminfo": python(open, "/proc/meminfo"),
    "thread": python(lambda: __import__("threading").Thread(target=print).start()),
}
with open(f"/run/{sys.argv[1]}.tries", "w") as file:
    file.write(" ".join(f"{name}={result}" for name, result in results.items()))
"#;

#[test]
fn system_calls_are_refused_as_the_unit_asks() {
    in_realm(
        "services::system_calls_are_refused_as_the_unit_asks",
        |world| {
            let machine = world.machine(2);
            write(&machine, "/opt/tries", TRIES);
            let walls = "MemoryDenyWriteExecute=yes\nRestrictAddressFamilies=AF_INET AF_UNIX\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\nRestrictNamespaces=yes\nLockPersonality=yes\nProcSubset=pid\nSystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallFilter=~@resources\nSystemCallErrorNumber=EPERM\n";
            let run = |name: &str, settings: &str| {
                let text = format!(
                    "[Service]\nType=oneshot\n{settings}ExecStart=/usr/bin/python3 /opt/tries {name}\n"
                );
                write(&machine, &format!("{UNITS}/{name}.service"), &text);
                let code = script(&machine, &format!("systemctl start {name}")).code;
                (
                    code,
                    script(&machine, &format!("cat /run/{name}.tries")).text,
                )
            };
            // Root, so that nothing but the walls refuses anything.
            let (code, open) = run("open", "");
            assert_eq!(code, 0);
            for (index, tried) in open.split(' ').enumerate() {
                assert!(tried.ends_with("=ok"), "{index} {open}");
            }
            let (code, walled) = run("walled", walls);
            assert_eq!(
                (code, walled.as_str()),
                (
                    0,
                    "rwx=EPERM rw=ok netlink=EAFNOSUPPORT inet=ok realtime=EPERM suid=EPERM mode=ok namespace=EPERM personality=EPERM filtered=EPERM meminfo=ENOENT thread=ok"
                )
            );
            // Any user's process gives up new privileges for them.
            let user = "[Service]\nType=oneshot\nUser=nobody\nLockPersonality=yes\nExecStart=/bin/sh -c 'grep NoNewPrivs /proc/self/status'\n";
            write(&machine, &format!("{UNITS}/user.service"), user);
            sh(&machine, "systemctl start user");
            let log = sh(&machine, "journalctl -u user.service");
            assert!(log.contains("NoNewPrivs:\t1"), "{log}");
            // Without an error for it, a refused call ends the process.
            let (code, _) = run("killed", "SystemCallFilter=~sethostname\n");
            assert_eq!(code, 1);
            assert_eq!(property(&machine, "killed", "ExecMainStatus"), "31");
            machine.remove(Duration::from_secs(5)).unwrap();
        },
    );
}
