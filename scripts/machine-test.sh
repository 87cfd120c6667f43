#!/usr/bin/env bash
# Runs the rendered units under a real systemd: in a container over an overlay of this machine, which
# stays as it is. Needs root and systemd-nspawn (package systemd-container); Debian or Ubuntu below.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ "$(id -u)" = 0 ] || die "only root can start a container"
command -v systemd-nspawn >/dev/null || die "there is no systemd-nspawn: install the package systemd-container"
[ -x "$TARGET/release/kafka-connect-gateway" ] || die "there is no gateway: run make build"

work=$(mktemp -d /var/tmp/machine-test.XXXXXX)
container=
finish() {
    [ -z "$container" ] || kill "$container" 2>/dev/null || true
    wait 2>/dev/null || true
    umount "$work/root" "$work/host" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap finish EXIT

mkdir "$work"/{host,upper,work,root}
mount --bind / "$work/host"
mount -t overlay overlay -o "lowerdir=$work/host,upperdir=$work/upper,workdir=$work/work" "$work/root"
# A machine of its own: none of the host's services, and another identity.
rm -rf "$work"/root/etc/systemd/system/*.wants
tr -d - </proc/sys/kernel/random/uuid >"$work/root/etc/machine-id"

say "placing the files as the golden transcript has them"
inside=$work/root/machine-test
mkdir "$inside"
python3 - crates/connect-core/tests/core/files.txt "$work/root" <<'EOF'
import os, re, sys
golden, root = sys.argv[1:]
found = re.finditer(r"^=== (\S+) (\d+) \S+\n(.*?\n)(?=\n=== |\Z)", open(golden).read(), re.S | re.M)
for path, mode, text in (match.groups() for match in found):
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    with open(root + path, "w") as file:
        file.write(text)
    os.chmod(root + path, int(mode, 8))
EOF
install -D "$TARGET/release/kafka-connect-gateway" "$work/root/opt/kafka-connect-gateway/kafka-connect-gateway"
kafka=$(sed -n 's|^ExecStart=.* -cp \(/.*\)/libs/\* .*|\1|p' crates/connect-core/tests/core/files.txt)
mkdir -p "$work/root$kafka"
tar -xzf "$TARGET/kafka/kafka-connect-4.1.2.tgz" -C "$work/root$kafka" --strip-components=1
cp scripts/machine-test-inside.sh tests/suite/scenarios/door_client.py "$inside"

say "starting $(systemctl --version | head -n 1)"
systemd-nspawn --quiet -D "$work/root" --boot --private-network --register=no --keep-unit --console=pipe \
    systemd.unit=multi-user.target >"$work/console" 2>&1 </dev/null &
container=$!
leader=
for _ in $(seq 120); do
    leader=$(pgrep -P "$container" -x systemd | head -n 1) || true
    state=$([ -z "$leader" ] || nsenter -t "$leader" -a systemctl is-system-running 2>/dev/null) || true
    case $state in running | degraded) break ;; esac
    sleep 0.5
done
[[ $state == running || $state == degraded ]] || die "the container did not come up: $(tail -n 5 "$work/console")"
nsenter -t "$leader" -a bash /machine-test/machine-test-inside.sh
