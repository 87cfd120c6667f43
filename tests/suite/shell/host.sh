#!/bin/sh
# Stands in for the host's programs below $KAFKA_CONNECT_CHARM_ROOT. Services "run" as soon as they
# are started; the gateway "serves" whatever its users file says.
set -eu
program=$(basename "$0")
root=$KAFKA_CONNECT_CHARM_ROOT
echo "$program $*" >>"$root/programs"
state=$root/systemd-state
units=$root/etc/systemd/system
case $program in
  useradd)
    for name in "$@"; do :; done
    number=$((9001 + $(wc -l <"$root/etc/passwd")))
    echo "$name:x:$number:$number::/nonexistent:/usr/sbin/nologin" >>"$root/etc/passwd"
    echo "$name:x:$number:" >>"$root/etc/group" ;;
  userdel)
    sed -i "/^$1:/d" "$root/etc/passwd" "$root/etc/group" ;;
  apt-get)
    [ ! -e "$root/apt-fails" ] || { echo 'E: Could not get lock /var/lib/dpkg/lock-frontend' >&2; exit 100; } ;;
  systemctl)
    mkdir -p "$state/active" "$state/enabled"
    verb=$1; shift
    case $verb in
      show)
        gateway=$state/active/kafka-connect-gateway.service
        if [ -e "$gateway" ]; then
          generation=$(sed -n 's/.*"generation" *: *"\([^"]*\)".*/\1/p' "$root/etc/kafka-connect-gateway/users.json" 2>/dev/null | head -n 1)
          mkdir -p "$root/run/kafka-connect-gateway"
          printf '{"users_generation":"%s","settings_generation":"","client_door":true,"peer_door":true,"worker_healthy":false,"fault":null}\n' \
            "$generation" >"$root/run/kafka-connect-gateway/state.json"
        fi
        while [ "$1" != -- ]; do shift; done
        shift
        for unit in "$@"; do
          load=not-found active=inactive enabled=disabled
          [ ! -e "$units/$unit" ] || load=loaded
          [ ! -e "$state/active/$unit" ] || active=active
          [ ! -e "$state/enabled/$unit" ] || enabled=enabled
          began=0
          if [ $active = active ]; then
            # When it was started, counted from the machine's start; /proc/uptime is up to 10 ms late.
            touch "$state/now"
            read -r up _ </proc/uptime
            began=$(awk -v up="$up" -v now="$(stat -c %.9Y "$state/now")" -v then="$(stat -c %.9Y "$state/active/$unit")" \
              'BEGIN { printf "%.0f", (up + 0.01 - (now - then)) * 1000000 }')
          fi
          printf 'Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\nMainPID=7\nNRestarts=0\nNeedDaemonReload=no\nInactiveExitTimestampMonotonic=%s\n\n' \
            "$unit" "$load" "$active" "$enabled" "$began"
        done ;;
      start|restart)
        for unit in "$@"; do :; done
        [ -e "$units/$unit" ] || { echo "Unit $unit not found." >&2; exit 5; }
        touch "$state/active/$unit"
        if [ "$unit" = kafka-connect.service ]; then
          mkdir -p "$root/run/kafka-connect"
          cp "$root/etc/kafka-connect/start.json" "$root/run/kafka-connect/started.json"
        fi ;;
      stop)
        for unit in "$@"; do :; done
        rm -f "$state/active/$unit" ;;
      enable) touch "$state/enabled/$1" ;;
      disable) rm -f "$state/enabled/$1" ;;
    esac ;;
esac
