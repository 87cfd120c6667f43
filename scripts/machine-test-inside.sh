#!/usr/bin/env bash
# The part of machine-test.sh that runs inside the container, as root, with its systemd.
set -euo pipefail
SERVICE=kafka-connect-gateway.service
CLIENT=kafka-connect-gateway.socket
PEER=kafka-connect-gateway-peer.socket
HERE=/machine-test
OUT=$HERE/requests
failed=0

check() {
    if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1 ($2)"; failed=1; fi
}

# until_true WHAT COMMAND…: waits for about a minute.
until_true() {
    local what=$1 n
    shift
    for n in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
    echo "FAILED: not within a minute: $what"
    systemctl --no-pager status "$SERVICE" "$CLIENT" "$PEER" || true
    journalctl --no-pager -n 20 -u 'kafka-connect*' || true
    tail -n 20 /var/log/kafka-connect/worker.log 2>/dev/null || true
    exit 1
}

pid() { systemctl show -p MainPID --value "${1:-$SERVICE}"; }
is_replaced() { local now; now=$(pid); [ "$now" != 0 ] && [ "$now" != "$1" ] && systemctl -q is-active "$SERVICE"; }

# phase WHAT CUT: what became of the requests so far; only a kill may cut any off.
phase() {
    local before
    before=$(wc -l <"$OUT")
    more() { [ "$(wc -l <"$OUT")" -ge $((before + 50)) ]; }
    until_true "the client is answered after: $1" more
    awk -v what="$1" '{ n++; count[$3]++; d = $2 - $1; if (d > longest) longest = d }
        END { printf "%s: %d requests", what, n; for (o in count) printf ", %d %s", count[o], o; printf "; longest %.0f ms\n", longest * 1000 }' "$OUT"
    check "$1: none refused" "! grep -qv -E ' (200${2:+|$2})\$' $OUT"
    : >"$OUT"
}

for user in kafka-connect kafka-connect-gateway kafka-connect-warm; do
    id "$user" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$user"
done
chgrp -R kafka-connect-gateway /opt/kafka-connect-gateway
chgrp -R kafka-connect /etc/kafka-connect
chmod 750 /etc/kafka-connect /etc/kafka-connect-gateway /opt/kafka-connect-gateway{,/kafka-connect-gateway}
install -d -o kafka-connect -g kafka-connect /var/lib/kafka-connect/tmp /var/log/kafka-connect
mkdir -p /var/lib/kafka-connect/plugins/aaaa/path
[ -x /usr/bin/juju-exec ] || printf '#!/bin/sh\nexit 0\n' >/usr/bin/juju-exec
chmod 755 /usr/bin/juju-exec
ip link set lo up
ip address add 10.20.0.4/32 dev lo
ip address add 10.30.0.4/32 dev lo
# A user whose password is known, and something in place of the worker.
hash=$(printf secret | sha256sum | cut -d ' ' -f 1)
printf '{"generation":"one","users":[{"name":"client","passwords_sha256":["%s"],"owner":"m:a:1","access":"all"}]}\n' "$hash" \
    >/etc/kafka-connect-gateway/users.json
printf 'client:secret' >$HERE/login
# The golden transcript holds no real certificate.
etc=/etc/kafka-connect-gateway
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=peer \
    -keyout $etc/peer.key -out $etc/peer.crt 2>/dev/null
cp $etc/peer.crt $etc/ca.crt
for store in kafka-trust peer-trust; do
    rm -f /etc/kafka-connect/$store.jks
    keytool -importcert -noprompt -alias ca -file $etc/ca.crt -storetype JKS -storepass kafka-connect \
        -keystore /etc/kafka-connect/$store.jks 2>/dev/null
    chgrp kafka-connect /etc/kafka-connect/$store.jks
done
chgrp -R kafka-connect-gateway $etc
chmod 640 $etc/*
python3 - <<'EOF' &
import asyncio
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 18083, backlog=1024)
    await server.serve_forever()
asyncio.run(main())
EOF
worker=$!
trap 'kill $worker $client 2>/dev/null || true' EXIT
client=

systemctl daemon-reload
verified=$(systemd-analyze verify /etc/systemd/system/kafka-connect* 2>&1 | grep kafka-connect || true)
check "systemd-analyze verify has nothing to say" "[ -z '$verified' ]"
exposure() { systemd-analyze --no-pager security "$1" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p'; }
for pair in "$SERVICE 2.0" "kafka-connect.service 3.0"; do
    read -r unit most <<<"$pair"
    level=$(exposure "$unit")
    check "$unit: exposure $level of 10, at most $most" "awk 'BEGIN { exit !($level <= $most) }'"
done

systemctl -q enable "$CLIENT" "$PEER" "$SERVICE"
systemctl start "$CLIENT" "$PEER" "$SERVICE"
is_served() { curl -s -f -m 2 -u client:secret http://10.20.0.4:8083/connectors; }
until_true "the gateway serves" is_served
touch "$OUT"
python3 $HERE/door_client.py 10.20.0.4 8083 $HERE/login /connectors "$OUT" 20 &
client=$!
phase "before anything"
for _ in 1 2 3; do
    before=$(pid)
    systemctl restart "$SERVICE"
    until_true "another gateway runs" is_replaced "$before"
done
phase "three restarts"
program=/opt/kafka-connect-gateway/kafka-connect-gateway
before=$(pid)
cp -p "$program" "$program.new"
printf 'another release' >>"$program.new"
mv "$program.new" "$program"
systemctl restart --no-block "$SERVICE"
until_true "another gateway runs" is_replaced "$before"
phase "another program"
for _ in 1 2 3; do
    before=$(pid)
    kill -9 "$before"
    until_true "another gateway runs" is_replaced "$before"
done
phase "three times kill -9" cut
before=$(pid)
systemctl restart --no-block "$PEER"
until_true "another gateway runs" is_replaced "$before"
phase "the other door's socket restarted"
kill "$client"

before=$(pid)
sed -i 's/10\.20\.0\.4:8083/10.20.0.4:9083/' "/etc/systemd/system/$CLIENT" /etc/kafka-connect-gateway/gateway.json
systemctl daemon-reload
systemctl restart --no-block "$CLIENT"
is_moved() { curl -s -f -m 2 -u client:secret http://10.20.0.4:9083/connectors; }
until_true "the door has moved" is_moved
check "the old port refuses" "! curl -s -m 2 http://10.20.0.4:8083/"
check "systemd holds both doors" "[ \"\$(systemctl is-active $CLIENT $PEER $SERVICE | sort -u)\" = active ]"

# Somebody has the port: the other door is served, and the gateway says what is wrong.
python3 -c 'import socket, time; s = socket.create_server(("10.20.0.4", 7083)); time.sleep(600)' &
squatter=$!
is_taken() { ss -Hltn 'sport = :7083' | grep -q .; }
until_true "the port is taken" is_taken
sed -i 's/10\.20\.0\.4:9083/10.20.0.4:7083/' "/etc/systemd/system/$CLIENT" /etc/kafka-connect-gateway/gateway.json
systemctl daemon-reload
check "its socket fails" "! systemctl restart $CLIENT 2>/dev/null"
is_told() { grep -q '"fault":"cannot listen on 10.20.0.4:7083' /run/kafka-connect-gateway/state.json; }
until_true "the gateway says so" is_told
check "the other socket stays" "systemctl -q is-active $PEER $SERVICE"
kill "$squatter"
until_true "the gateway opens the door by itself" curl -s -f -m 2 -u client:secret http://10.20.0.4:7083/connectors
systemctl restart "$SERVICE"
check "its next start has the socket again" "systemctl -q is-active $CLIENT"

# A program that cannot run uses its budget up and closes the doors, and starts again when told to.
mv "$program" "$program.good"
printf '#!/bin/sh\nexit 1\n' >"$program"
chgrp kafka-connect-gateway "$program"
chmod 750 "$program"
systemctl restart "$SERVICE" 2>/dev/null || true
is_failed() { [ "$(systemctl is-active "$SERVICE" "$CLIENT" "$PEER" | sort -u)" = failed ]; }
until_true "the budget is used up" is_failed
echo "out of budget after $(systemctl show -p NRestarts --value "$SERVICE") restarts"
mv "$program.good" "$program"
is_back() { systemctl start "$SERVICE" && systemctl -q is-active "$CLIENT" "$PEER"; }
until_true "it starts again within a minute, with its sockets" is_back

# A JVM lives within the worker's walls. Without a broker it does not get far.
kill "$worker"
systemctl start kafka-connect.service
begins() { grep -q 'Kafka Connect worker initializ' /var/log/kafka-connect/worker.log; }
until_true "the worker begins" begins
until_true "its classes are scanned and its clients made" grep -q 'Kafka version: 4.1.2' /var/log/kafka-connect/worker.log
check "the worker's process is alive" "systemctl -q is-active kafka-connect.service"
systemctl stop kafka-connect.service
exit "$failed"
