#!/usr/bin/env bash
# Installs what `make bench` compares with and nothing else needs: haproxy. Where that cannot be, the
# bench says "not measured" instead.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "haproxy is missing and cannot be installed here: the gateway is measured alone"
    exit 0
fi
say "installing haproxy, to compare with"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update && apt-get -qy install --no-install-recommends haproxy ||
    say "haproxy cannot be installed: the gateway is measured alone"
